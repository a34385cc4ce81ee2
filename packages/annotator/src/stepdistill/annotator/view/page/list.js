// The list of rows, and the filters beside it.

import { changed, cleared, go, openRow, toggled } from "./address.js";
import { at, el, n, usd } from "./dom.js";

const PAGE = 50;
const FEW = 8; // words of a facet that are shown at once
const SHOWN_BY_LABEL = ["teacher / gold", "teacher / student", "student / gold"];
const unfolded = new Set(); // facets of which all words are shown

/** Show a page of the list. */
export function showList(page) {
  const rows = page.rows.map(line);
  at("list").replaceChildren(...rows);
  if (!rows.length) at("list").append(el("li", { class: "soft" }, page.n ? "No row here." : "No row is like that."));
  const end = page.start + page.rows.length;
  at("found").textContent = `${n(page.n)} ${page.n === 1 ? "row" : "rows"}`;
  at("pages").hidden = page.n <= PAGE && page.start === 0;
  at("place").textContent = page.n ? `${n(Math.min(page.start + 1, end))} to ${n(end)} of ${n(page.n)}` : "";
  at("previous").disabled = page.start === 0;
  at("next").disabled = end >= page.n;
  markOpen();
}

/** The address of the page before or behind this one. */
export function turned(page, way) {
  const start = Math.max(0, page.start + way * PAGE);
  return changed({ start: start || null, row: null });
}

/** Show in the list which row is open. */
export function markOpen() {
  const open = openRow();
  for (const link of at("list").querySelectorAll("a")) {
    if (Number(link.dataset.n) === open) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

/** What a row's label is, in words and with a sign: colour alone says nothing. */
export function verdict(row) {
  if (row.rejected) return el("span", { class: "label odd" }, `— ${row.rejected}`);
  if (row.label === null || row.label === undefined) return null;
  if (row.gold === null || row.gold === undefined) return el("span", { class: "label", dir: "auto" }, row.label);
  const right = row.is_right;
  return el("span", { class: `label ${right ? "right" : "wrong"}`, dir: "auto" }, `${right ? "✓" : "✗"} ${row.label}`);
}

function line(row) {
  const link = el("a", { href: changed({ row: String(row.n) }), "data-n": String(row.n) },
    el("span", { class: "head" }, verdict(row),
      row.is_right === false || (row.rejected && row.gold) ? el("span", { class: "soft", dir: "auto" }, `gold: ${row.gold}`) : null,
      row.student ? el("span", { class: "soft", dir: "auto" }, `student: ${row.student}`) : null,
      el("span", { class: "facts" }, ...facts(row))),
    el("span", { class: "two", dir: "auto" }, row.input.length ? row.input.map(([, text]) => text).join(" · ") : "the row's texts are not known"),
    row.rationale ? el("span", { class: "two soft", dir: "auto" }, row.rationale) : null,
    row.why ? el("span", { class: "two soft", dir: "auto" }, row.why) : null);
  link.addEventListener("click", (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
    event.preventDefault();
    go(link.getAttribute("href"));
  });
  return el("li", {}, link);
}

function facts(row) {
  const votes = row.votes && Object.keys(row.votes).length > 1
    ? Object.entries(row.votes).map(([label, count]) => `${label} ${count}`).join(", ") : null;
  const differ = (row.disagrees ?? []).filter((who) => !SHOWN_BY_LABEL.includes(who) && !(votes && who === "vote / vote"));
  const id = row.id.length > 16 ? `${row.id.slice(0, 12)}…` : row.id;
  const each = [row.template, votes && `votes: ${votes}`, sure(row.confidence), usd(row.usd), ...differ.map((who) => `${who} differ`), id];
  return each.filter(Boolean).map((text) => el("span", {}, text));
}

export const sure = (share) => (share === null || share === undefined ? null : `${(100 * share).toFixed(0)} % sure`);

let shape = null; // of the filters that are shown

/** Show the filters; what was in focus stays so. Where only counts have changed, these alone do. */
export function showFacets(names, page) {
  const counts = Object.fromEntries(names.flatMap(([name]) => (page.facets[name] ?? []).map(([value, count]) => [`${name} ${value}`, count])));
  const now = JSON.stringify([names.map(([name]) => (page.facets[name] ?? []).map(([value, , chosen]) => [value, chosen])), page.more]);
  if (now === shape) {
    for (const box of at("facets").querySelectorAll("input")) box.closest("label").querySelector(".n").textContent = n(counts[box.dataset.key]);
    return;
  }
  shape = now;
  const focused = document.activeElement?.dataset?.key;
  const sets = names.map(([name, title]) => facet(name, title, page.facets[name] ?? [], page.more[name]));
  at("facets").replaceChildren(...sets.filter(Boolean));
  const chosen = Object.values(page.facets).flat().filter((each) => each[2]).length;
  at("filter-n").textContent = chosen ? `(${chosen})` : "";
  if (chosen) at("facets").append(el("p", {}, el("button", { type: "button", onclick: () => go(cleared()) }, "No filter")));
  if (focused) for (const box of at("facets").querySelectorAll("input")) if (box.dataset.key === focused) box.focus();
}

function facet(name, title, values, more) {
  if (!values.length || (values.length === 1 && !values[0][2] && name !== "disagrees")) return null;
  const boxes = values.map(([value, count, chosen]) => {
    const box = el("input", { type: "checkbox", "data-key": `${name} ${value}`, onchange: () => go(toggled(name, value)) });
    box.checked = chosen;
    return el("label", {}, box, el("span", { class: value ? false : "none", dir: "auto" }, value || "none"), el("span", { class: "n" }, n(count)));
  });
  const last = values.findLastIndex((each) => each[2]) + 1;
  const few = unfolded.has(name) || boxes.length <= FEW + 2 ? boxes.length : Math.max(FEW, last);
  const rest = boxes.length - few;
  const all = rest > 0 && el("button", { type: "button", class: "small", onclick: () => {
    unfolded.add(name);
    all.replaceWith(...boxes.slice(few));
    boxes[few].querySelector("input").focus();
  } }, `${n(rest)} more`);
  return el("fieldset", {}, el("legend", {}, title), ...boxes.slice(0, few), all,
    more > 0 && !rest ? el("p", { class: "soft small" }, `and ${n(more)} more: search for one`) : null);
}
