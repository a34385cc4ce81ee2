// Elements made of texts: whatever comes from a run is text, never markup.

/** An element. attributes: `class` and so on, `on...` a listener; true sets it, false leaves it out. */
export function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((each) => each !== null && each !== undefined && each !== false));
  return node;
}

export const at = (id) => document.getElementById(id);

const numbers = new Intl.NumberFormat("en-US");
export const n = (value) => numbers.format(value);

/** US dollars, with as many digits as say something. */
export function usd(value) {
  if (value === null || value === undefined) return null;
  return value === 0 ? "$0" : `$${value.toFixed(value >= 0.01 ? 4 : 7)}`;
}

const LONG = 20000; // characters of a text that are shown at once

/** A text in a box, of pieces that may be marked; the end of a long one only where it is asked for. */
export function textBox(pieces, name = "pre") {
  const box = el(name, name === "pre" ? { tabindex: "0" } : { class: "text" });
  const length = pieces.reduce((sum, each) => sum + each.text.length, 0);
  box.append(...marked(cutAfter(pieces, LONG)));
  if (length <= LONG) return box;
  const whole = el("button", { type: "button" }, `Show all ${n(length)} characters`);
  whole.addEventListener("click", () => { box.replaceChildren(...blocks(pieces)); whole.remove(); });
  return el("div", {}, box, whole);
}

const marked = (pieces) => pieces.map(({ text, is }) => (is ? el("mark", { class: `is-${is}`, title: is }, text) : text));

function cutAfter(pieces, most) {
  let left = most;
  return pieces.map(({ text, is }) => {
    const kept = text.slice(0, Math.max(0, left));
    left -= kept.length;
    return { text: kept, is };
  }).filter((each) => each.text);
}

/** A very long text as blocks: the browser lays out those that are to be seen, and not a megabyte. */
function blocks(pieces) {
  const made = [[]];
  let size = 0;
  for (const { text, is } of pieces) {
    for (let start = 0, end; start < text.length; start = end) {
      const space = text.slice(start, start + LONG - size).search(/\s\S{0,200}$/);
      end = text.length - start <= LONG - size ? text.length : start + (space > 0 ? space + 1 : LONG - size);
      made.at(-1).push({ text: text.slice(start, end), is });
      size += end - start;
      if (end < text.length) { made.push([]); size = 0; }
    }
  }
  return made.map((each) => el("div", { class: "block" }, ...marked(each)));
}

/** A part that is folded until somebody opens it; content is made then. */
export function fold(summary, content, open = false) {
  const node = el("details", { class: "fold", open }, el("summary", {}, ...[summary].flat()));
  const show = () => { if (node.open && node.childElementCount === 1) node.append(...[content()].flat().filter(Boolean)); };
  node.addEventListener("toggle", show);
  show();
  return node;
}

/** What the server says of an address; an error is thrown in its words. */
export async function ask(path, signal) {
  const response = await fetch(path, { signal, headers: { accept: "application/json" } });
  const content = await response.json();
  if (!response.ok) throw new Error(content.error ?? response.statusText);
  return content;
}
