// Rows to be judged, one at a time: what is said goes to the server at once, and the next row comes.

import { ask, at, el, fold, n, textBox } from "./dom.js";
import { resultParts } from "./result.js";

let state = null, current = null, reasons = null, choosing = false, busy = false, isResult = false;

async function send(path, body = null) {
  const response = await fetch(path, { method: "POST", body: body && JSON.stringify(body), headers: { accept: "application/json", "content-type": "application/json" } });
  const content = await response.json();
  if (!response.ok) throw new Error(content.error ?? response.statusText);
  return content;
}

function progress(note = "") {
  const done = state.verdicts.filter(Boolean).length;
  at("progress").textContent = `${n(done)} of ${n(state.n)} judged by ${state.judge}${note ? ` · ${note}` : ""}`;
  at("progress").classList.remove("failed");
  at("undo").disabled = done === 0;
}

function fail(error) {
  at("progress").classList.add("failed");
  at("progress").textContent = `${error.message.replace(/^annotate view: /, "")}${error instanceof TypeError ? ": is the command still running?" : ""}`;
}

/** One thing at a time: a second press waits for no first. */
async function doing(work) {
  if (busy) return;
  busy = true;
  try { await work(); } catch (error) { fail(error); } finally { busy = false; }
}

/** Show a row: by its number, or the result where none is left. */
async function open(number) {
  if (number === null) return showResult();
  const found = await ask(`/api/rows/${number}`);
  [current, isResult, choosing] = [found, false, false];
  reasons = found.row.mine?.reasons ?? null;
  const words = new URLSearchParams(location.search);
  words.set("row", number + 1);
  history.replaceState(null, "", `?${words}`);
  draw();
  scrollTo(0, 0);
  at("judge").focus({ preventScroll: true });
}

function draw() {
  const { row } = current;
  at("judge").replaceChildren(
    el("h2", {}, `Row ${n(current.n + 1)} of ${n(state.n)}`),
    el("p", { class: "soft small" }, `${row.split}, ${row.id}`),
    ...(row.input ?? []).flatMap(([name, text]) => [el("h3", {}, name), textBox([{ text }], "div")]),
    el("h3", {}, "The label"), el("p", { class: "said" }, row.label),
    ...(row.rationale ? [el("h3", {}, "The reasons"), textBox([{ text: row.rationale }], "div")] : []),
    ...row.answers.map((each) => fold("The whole answer", () => [
      each.thoughts ? fold("Thinking", () => textBox([{ text: each.thoughts }])) : null, textBox(each.answer)])),
    el("div", { class: "verdicts", role: "group", "aria-label": "Your judgement" }, choosing ? which(row) : verdicts(row)),
  );
}

const button = (key, text, isPressed, act) => el("button", { type: "button", "aria-pressed": String(isPressed), "data-key": key, onclick: act }, `${text} `, el("kbd", {}, key));

function verdicts(row) {
  const mine = row.mine?.verdict;
  return el("div", {},
    button("r", "Right", mine === "right", () => say("right")),
    button("w", row.mine?.right ? `Wrong: ${row.mine.right}` : "Wrong", mine === "wrong", wrong),
    button("c", "Cannot tell", mine === "cannot_tell", () => say("cannot_tell")),
    el("span", { class: "gap" }),
    ...(row.rationale ? [el("span", { class: "soft small" }, "Reasons:"),
      button("g", "Good", reasons === "good", () => judgeReasons("good")),
      button("b", "Bad", reasons === "bad", () => judgeReasons("bad"))] : []));
}

/** Which label is right: one of those that there are, or a text. */
function which(row) {
  const others = row.choices.map((text, choice) => ({ text, choice })).filter((each) => each.text !== row.label);
  const skip = el("button", { type: "button", "data-key": "Enter", onclick: () => say("wrong", textOf()) }, others.length ? "I cannot say which " : "Go on ", el("kbd", {}, "Enter"));
  const back = el("button", { type: "button", "data-key": "Escape", onclick: cancel }, "Back ", el("kbd", {}, "Esc"));
  if (others.length) {
    return el("div", {}, el("p", { id: "which" }, "Which label is right?"),
      el("div", { class: "which", role: "group", "aria-labelledby": "which" },
        ...others.map((each, place) => el("button", { type: "button", "data-key": place < 9 ? String(place + 1) : false, onclick: () => say("wrong", { choice: each.choice }) },
          `${each.text} `, place < 9 ? el("kbd", {}, String(place + 1)) : null))), skip, back);
  }
  return el("div", {}, el("div", { class: "which" }, el("label", { for: "right" }, "Which label is right? "),
    el("input", { id: "right", autocomplete: "off", maxlength: "10000", placeholder: "leave it empty if you cannot say" })), skip, back);
}

const textOf = () => ({ text: at("right")?.value || null });

function wrong() {
  choosing = true;
  draw();
  (at("right") ?? at("judge").querySelector(".which button")).focus();
}

function cancel() {
  choosing = false;
  draw();
  at("judge").focus({ preventScroll: true });
}

/** Good or bad; kept with the label's verdict, at once where there is one already. */
function judgeReasons(word) {
  reasons = reasons === word ? null : word;
  const mine = current.row.mine;
  if (!mine) return draw();
  const choice = current.row.choices.indexOf(mine.right);
  say(mine.verdict, choice >= 0 ? { choice } : { text: mine.right }, { stays: true });
}

function say(verdict, right = {}, { stays = false } = {}) {
  return doing(async () => {
    const number = current.n, was = current.row.mine;
    state = await send(`/api/rows/${number}`, { answer: current.answer, verdict, reasons, ...right });
    progress();
    await open(stays || was ? (stays ? number : Math.min(number + 1, state.n - 1)) : following(number));
  });
}

/** The next row that is not judged yet: behind this one, else the first. */
function following(number) {
  const behind = state.verdicts.findIndex((verdict, place) => place > number && !verdict);
  return behind >= 0 ? behind : state.next;
}

const undo = () => doing(async () => {
  state = await send("/api/undo");
  progress(`row ${n(state.undone + 1)} is open again`);
  await open(state.undone);
});

async function showResult() {
  const { result } = await ask("/api/result");
  isResult = true;
  at("judge").replaceChildren(...resultParts(result, state, { el, n }),
    el("p", {}, el("button", { type: "button", onclick: back }, state.next === null ? "Back to the rows" : "Go on judging")));
  at("judge").focus({ preventScroll: true });
  scrollTo(0, 0);
}

const back = () => doing(() => open(state.next ?? 0));
const result = () => doing(() => (isResult ? open(current?.n ?? state.next ?? 0) : showResult()));
const step = (way) => doing(() => open(Math.max(0, Math.min(state.n - 1, (current?.n ?? 0) + way))));

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || at("help").open) return;
  const isTyping = document.activeElement?.tagName === "INPUT";
  const onButton = document.activeElement?.tagName === "BUTTON" || document.activeElement?.tagName === "SUMMARY";
  const key = event.key;
  if (isTyping && key !== "Enter" && key !== "Escape") return;
  if (key === "Enter" && onButton && !(choosing && document.activeElement.closest(".which"))) return;
  const target = isResult ? null : at("judge").querySelector(`.verdicts [data-key="${CSS.escape(key)}"]`);
  const act = target ? () => target.click() : choosing ? null : KEYS[key];
  if (!act) return;
  event.preventDefault();
  act();
}

const KEYS = { u: undo, e: result, j: () => step(1), k: () => step(-1), "?": () => at("help").showModal() };

async function start() {
  state = await ask("/api/judging");
  document.title = `${state.title} · annotate audit`;
  at("title").textContent = state.title;
  at("undo").addEventListener("click", undo);
  at("to-result").addEventListener("click", result);
  at("help-button").addEventListener("click", () => at("help").showModal());
  addEventListener("keydown", onKey);
  progress();
  const asked = Number(new URLSearchParams(location.search).get("row")) - 1;
  await open(asked >= 0 && asked < state.n && state.verdicts.some(Boolean) && !state.verdicts[asked] ? asked : state.next);
}

start().catch(fail);
