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
  const fill = (most) => {
    let left = most;
    box.replaceChildren();
    for (const piece of pieces) {
      const text = piece.text.slice(0, left);
      left -= text.length;
      if (text) box.append(piece.is ? el("mark", { class: `is-${piece.is}`, title: piece.is }, text) : text);
    }
  };
  fill(LONG);
  if (length <= LONG) return box;
  const whole = el("button", { type: "button" }, `Show all ${n(length)} characters`);
  whole.addEventListener("click", () => { fill(length); whole.remove(); box.focus(); });
  return el("div", {}, box, whole);
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
