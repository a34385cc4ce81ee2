// The page's address keeps all that is chosen: filters, search, order, the open row.

const OWN = ["token", "row"]; // no part of what is asked of the list

export const query = () => new URLSearchParams(location.search);

/** The same address with other words. changes: name -> texts, or null for none. */
export function changed(changes) {
  const words = query();
  for (const [name, values] of Object.entries(changes)) {
    words.delete(name);
    for (const value of [values ?? []].flat()) words.append(name, value);
  }
  return `?${words}`;
}

/** Go to an address within the page. */
export function go(address, { replace = false } = {}) {
  history[replace ? "replaceState" : "pushState"](null, "", address);
  dispatchEvent(new Event("address"));
}

/** What is asked of the list. */
export function listQuery() {
  const words = query();
  for (const name of OWN) words.delete(name);
  return words.toString();
}

/** The number of the open row, or null. */
export function openRow() {
  const row = query().get("row");
  return row !== null && /^\d{1,11}$/.test(row) ? Number(row) : null;
}

/** Whether a word of a facet is chosen, turned round; and back to the first page. */
export function toggled(facet, value) {
  const values = query().getAll(facet);
  const kept = values.includes(value) ? values.filter((each) => each !== value) : [...values, value];
  return changed({ [facet]: kept, start: null });
}

/** Without any filter or search. */
export function cleared() {
  const words = query();
  const kept = new URLSearchParams();
  for (const name of ["token", "order"]) if (words.has(name)) kept.set(name, words.get(name));
  return `?${kept}`;
}
