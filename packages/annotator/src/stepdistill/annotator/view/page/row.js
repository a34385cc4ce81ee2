// One row: what was sent, what came back, and what was read in it.

import { changed, go } from "./address.js";
import { at, el, fold, n, textBox, usd } from "./dom.js";
import { sure, verdict } from "./list.js";

const SHORT = 80; // characters

/** Show a row, or that there is none. */
export function showRow(row, error) {
  const box = at("row");
  const tools = el("div", { class: "tools" },
    el("button", { type: "button", onclick: () => go(changed({ row: null })) }, "Close ", el("kbd", {}, "Esc")),
    el("button", { type: "button", "data-step": "-1" }, "Previous ", el("kbd", {}, "k")),
    el("button", { type: "button", "data-step": "1" }, "Next ", el("kbd", {}, "j")));
  const title = el("h2", { id: "row-title", tabindex: "-1" }, row ? row.id : "No such row");
  box.replaceChildren(tools, title, ...(row ? parts(row) : [el("p", { class: "remark" }, error)]));
  box.scrollTop = 0;
}

function parts(row) {
  const others = row.others ?? [];
  return [
    ...(row.remarks ?? []).map((line) => el("p", { class: "remark" }, line)),
    list(facts(row)),
    row.input?.length ? el("h3", {}, "Input") : null,
    ...input(row.input ?? []),
    row.gold_rationale ? el("h3", {}, "The dataset's reasons") : null,
    row.gold_rationale ? textBox([{ text: row.gold_rationale }], "div") : null,
    ...replies(row.answers ?? []),
    others.length ? el("h3", {}, `What other templates got (${n(others.length)})`) : null,
    ...others.map(folded),
    row.not_asked ? el("p", { class: "soft small" }, `${n(row.not_asked)} other templates were not asked about this row.`) : null,
  ].filter(Boolean);
}

/** The row's texts: short ones beside their names, long ones in boxes. */
function input(fields) {
  const isShort = ([, text]) => text.length <= SHORT && !text.includes("\n");
  const boxes = fields.filter((each) => !isShort(each))
    .flatMap(([name, text]) => [el("p", { class: "soft small" }, name), textBox([{ text }], "div")]);
  return [...boxes, list(fields.filter(isShort))];
}

function facts(row) {
  const votes = row.votes ? Object.entries(row.votes).map(([label, count]) => `${label}: ${count}`).join(", ") : null;
  const told = row.probabilities ? Object.entries(row.probabilities).map(([label, share]) => `${label}: ${(100 * share).toFixed(1)} %`).join(", ") : null;
  return [
    ["label", verdict({ ...row, rejected: null })],
    ["rejected", row.rejected && `${row.rejected}${row.why ? `: ${row.why}` : ""}`],
    ["gold", row.gold], ["student", row.student], ["confidence", sure(row.confidence)], ["votes", votes], ["probable", told],
    ["template", row.template],
    ["place", row.split && `${row.split}, row ${n(row.index)}`],
    ["rationale", row.rationale],
  ];
}

const list = (pairs) => el("dl", {}, ...pairs.filter(([, value]) => value)
  .flatMap(([name, value]) => [el("dt", {}, name), el("dd", { dir: "auto" }, value)]));

/** The answers that the row's label and rationale are from; the same asked again is folded. */
function replies(answers) {
  const votes = answers.filter((each) => each.part === "vote");
  const read = answers.filter((each) => each.part !== "vote");
  return [
    ...read.flatMap((each) => asked(each, read.length > 1 ? `: ${each.part}` : "")),
    votes.length ? el("h3", {}, `Asked again (${n(votes.length)})`) : null,
    ...votes.map(folded),
  ];
}

function asked(reply, what) {
  return [
    el("h3", {}, `The answer${what}`),
    ...answer(reply),
    reply.messages ? el("h3", {}, `What was asked${what}`) : null,
    ...prompt(reply),
  ];
}

const prompt = (reply) => (reply.messages ?? [])
  .flatMap((each) => [el("p", { class: "soft small" }, each.role), textBox([{ text: each.content }])]);

function answer(reply) {
  if (!reply.answer) return [el("p", { class: "remark" }, reply.failure ?? "Not answered: the store has nothing for this request.")];
  const marks = new Set(reply.answer.map((each) => each.is));
  return [
    reply.thoughts ? fold(`Thinking (${n(reply.thoughts.length)} characters)`, () => textBox([{ text: reply.thoughts }])) : null,
    reply.answer.length ? textBox(reply.answer) : el("p", { class: "soft" }, "an empty text"),
    marks.has("label") || marks.has("rationale") ? el("p", { class: "soft small" }, "Read: ",
      marks.has("label") ? el("mark", { class: "is-label" }, "label") : null, " ",
      marks.has("rationale") ? el("mark", { class: "is-rationale" }, "rationale") : null) : null,
    otherwise(reply),
    el("p", { class: "soft small" }, usage(reply)),
  ].filter(Boolean);
}

/** What the other kind of reader reads, where that is not the same. */
function otherwise({ label, otherwise: other }) {
  if (!other || other.label === label) return null;
  return el("p", { class: "odd small", dir: "auto" }, `Reader ${other.reader} reads ${other.label ?? `no label (${other.unread})`}.`);
}

function usage(reply) {
  const { prompt, completion, cached, reasoning } = reply.tokens;
  return [
    reply.rule && (reply.label ? `read by rule ${reply.rule}, ${sure(reply.confidence)}` : `no label: ${reply.unread}`),
    `${n(prompt)} tokens in${cached ? ` (${n(cached)} cached)` : ""}, ${n(completion)} out${reasoning ? ` (${n(reasoning)} of thinking)` : ""}`,
    reply.usd === null || reply.usd === undefined ? "price not known" : usd(reply.usd),
    `${reply.model}, ${reply.mode}, ended: ${reply.finish || "stop"}`,
    reply.asked_at.replace("T", " ").replace("+00:00", " UTC"),
    reply.request_id && `request ${reply.request_id}`, `key ${reply.key.slice(0, 12)}`,
  ].filter(Boolean).join(" · ");
}

/** Another answer to the row, and whether it says the same. */
function folded(reply) {
  const sign = reply.agrees === null ? "" : reply.agrees ? " = the same label" : " ≠ another label";
  const said = reply.label ?? (reply.answer ? `no label (${reply.unread})` : "not answered");
  const summary = [
    reply.vote ? `vote ${reply.vote + 1}: ` : `${reply.template}: `,
    el("strong", { dir: "auto" }, said),
    el("span", { class: reply.agrees === false ? "odd" : "soft" }, sign),
  ];
  return fold(summary, () => [...answer(reply), reply.vote ? null : fold("What was asked", () => prompt(reply))]);
}
