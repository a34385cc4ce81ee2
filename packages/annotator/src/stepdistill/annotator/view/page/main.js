// The page: what its address says is asked of the server and shown; keys and buttons change the address.

import { changed, cleared, go, listQuery, openRow, query } from "./address.js";
import { ask, at, n } from "./dom.js";
import { markOpen, showFacets, showList, turned } from "./list.js";
import { showRow } from "./row.js";

const POLL_MS = 1000, TYPED_MS = 250;
let about = null, page = null, listed = null, opened = null, listing = null, toFocus = null;

/** Ask for what the address says, as far as it is not shown yet. */
async function show() {
  at("q").value = document.activeElement === at("q") ? at("q").value : query().get("q") ?? "";
  at("order").value = query().get("order") ?? "file";
  await Promise.all([list(), row()]);
}

async function list(again = false) {
  const wanted = listQuery();
  if (wanted === listed && !again) return markOpen();
  listing?.abort();
  listing = new AbortController();
  try {
    const answer = await ask(`/api/rows?${wanted}`, listing.signal);
    const isSame = again && wanted === listed && page && JSON.stringify(answer.rows) === JSON.stringify(page.rows) && answer.n === page.n;
    page = answer;
    listed = wanted;
    if (!isSame) showList(page);
    showFacets(about.facets, page);
    progress(page);
    focusRow();
  } catch (error) {
    if (error.name !== "AbortError") fail(error);
  }
}

async function row() {
  const number = openRow();
  at("parts").classList.toggle("open", number !== null);
  at("row").hidden = number === null;
  markOpen();
  if (number === opened) return;
  const before = opened;
  opened = number;
  if (number === null) {
    linkOf(before)?.focus();
    return;
  }
  let content = null, why = "";
  try {
    content = await ask(`/api/rows/${number}`);
  } catch (error) {
    why = error.message;
  }
  if (opened !== number) return;
  showRow(content, why);
  linkOf(number)?.scrollIntoView({ block: "nearest" });
  at("row-title").focus({ preventScroll: false });
}

const linkOf = (number) => at("list").querySelector(`a[data-n="${number}"]`);

function focusRow() {
  if (toFocus === null || !page.rows.length) return;
  const target = page.rows[toFocus === "last" ? page.rows.length - 1 : 0].n;
  const isOpen = toFocus.open;
  toFocus = null;
  if (isOpen) go(changed({ row: String(target) }));
  else linkOf(target)?.focus();
}

/** The next row, or the one before; over the end of the page to another. */
function step(way) {
  if (!page) return;
  const numbers = page.rows.map((each) => each.n);
  const current = openRow() ?? Number(document.activeElement?.closest?.("#list a")?.dataset.n ?? NaN);
  const place = numbers.indexOf(current);
  const next = place < 0 ? (way > 0 ? 0 : -1) : place + way;
  if (next >= 0 && next < numbers.length) {
    if (openRow() !== null) go(changed({ row: String(numbers[next]) }), { replace: true });
    else linkOf(numbers[next]).focus();
  } else if (openRow() === null && (way > 0 ? !at("next").disabled : page.start > 0)) {
    toFocus = way > 0 ? "first" : "last";
    go(turned(page, way));
  }
}

function progress(state) {
  const all = about.total >= state.known ? ` of ${n(about.total)}` : ""; // of some sources nobody knows
  const known = `${n(state.known)}${all} rows read`;
  const told = {
    reading: state.known ? `${known}; counts are of these` : "reading rows",
    comparing: `templates and readers compared: ${n(state.compared)}${all} rows`,
    failed: `Stopped at ${known}: ${state.error}`,
    done: "",
  }[state.state];
  if (at("progress").textContent !== told) at("progress").textContent = told;
  at("progress").classList.toggle("failed", state.state === "failed");
}

/** While the index grows, the counts are brought up to date. */
async function poll() {
  if (["done", "failed"].includes(page?.state)) return;
  await list(true);
  setTimeout(poll, POLL_MS);
}

function fail(error) {
  at("progress").classList.add("failed");
  at("progress").textContent = `${error.message}${error instanceof TypeError ? ": is the command still running?" : ""}`;
}

const isTyping = () => ["INPUT", "SELECT", "TEXTAREA"].includes(document.activeElement?.tagName) && document.activeElement.type !== "checkbox";

const KEYS = {
  j: () => step(1),
  k: () => step(-1),
  "/": () => { if (openRow() !== null && innerWidth < 960) go(changed({ row: null })); at("q").focus(); at("q").select(); },
  f: () => { at("filter-box").open = true; at("facets").querySelector("input")?.focus(); },
  x: () => go(cleared()),
  "?": () => at("help").showModal(),
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || at("help").open) return;
  if (event.key === "Escape") {
    if (isTyping()) document.activeElement.blur();
    else if (openRow() !== null) go(changed({ row: null }));
    return;
  }
  if (isTyping() || !(event.key in KEYS)) return;
  event.preventDefault();
  KEYS[event.key]();
}

function listen() {
  let typed;
  const search = () => go(changed({ q: at("q").value.trim() || null, start: null }), { replace: true });
  at("q").addEventListener("input", () => { clearTimeout(typed); typed = setTimeout(search, TYPED_MS); });
  at("search").addEventListener("submit", (event) => { event.preventDefault(); clearTimeout(typed); search(); at("rows").focus(); });
  at("order").addEventListener("change", () => go(changed({ order: at("order").value === "file" ? null : at("order").value, start: null })));
  at("previous").addEventListener("click", () => { toFocus = "first"; go(turned(page, -1)); });
  at("next").addEventListener("click", () => { toFocus = "first"; go(turned(page, 1)); });
  at("help-button").addEventListener("click", () => at("help").showModal());
  at("row").addEventListener("click", (event) => { const way = event.target.closest("[data-step]")?.dataset.step; if (way) step(Number(way)); });
  addEventListener("keydown", onKey);
  addEventListener("address", show);
  addEventListener("popstate", show);
}

async function start() {
  about = await ask("/api/about");
  document.title = `${about.title} · annotate view`;
  at("title").textContent = about.title;
  at("remarks").replaceChildren(...about.remarks.map((line) => { const p = document.createElement("p"); p.className = "remark"; p.textContent = line; return p; }));
  if (innerWidth < 960) at("filter-box").open = false;
  listen();
  await show();
  poll();
}

start().catch(fail);
