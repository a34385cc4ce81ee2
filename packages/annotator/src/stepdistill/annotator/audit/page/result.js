// What the judgements say so far: shares with their intervals, and where the errors are.

const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)} %`;

export function resultParts(result, state, { el, n }) {
  const table = (caption, head, rows) => rows.length ? el("div", { class: "scroll" }, el("table", {}, el("caption", {}, caption),
    el("thead", {}, el("tr", {}, ...head.map((each) => el("th", { scope: "col" }, each)))),
    el("tbody", {}, ...rows.map((row) => el("tr", {}, ...row.map((each) => el("td", { dir: "auto" }, each))))))) : null;
  const shares = [["teacher's labels", result.teacher], ["student's labels", result.student], ["rationales: good", result.rationales_good]]
    .filter(([, each]) => each)
    .map(([name, each]) => [name, percent(each.accuracy), `${percent(each.low)} to ${percent(each.high)}`, n(each.judged), each.more_to_halve === null ? "" : `${n(each.more_to_halve)} more`]);
  const groups = (name, each) => table(name, ["", "judged", "wrong", "right, of its rows"], each.filter((group) => group.wrong)
    .map((group) => [group.name, n(group.judged), n(group.wrong), percent(group.accuracy, 0)]));
  const remarks = [
    result.cannot_tell && `${n(result.cannot_tell)} that nobody could tell are left out.`,
    result.student_unknown && `Of the student ${n(result.student_unknown)} more are left out: their label is wrong, and nobody said which is right.`,
    ...result.agreements.map((each) => `${each.judges.join(" and ")} agree on ${n(each.same)} of ${n(each.rows)} rows: Cohen's kappa ${each.kappa === null ? "is not defined" : each.kappa.toFixed(2)}.`),
  ].filter(Boolean);
  return [
    el("h2", {}, state.next === null ? "All rows are judged" : "The result so far"),
    el("p", { class: "soft" }, `${n(result.judged)} of ${n(result.chosen)} chosen rows judged, out of ${n(result.rows)} labelled rows.`),
    shares.length ? table("Right, as judged", ["", "share", "95 % interval", "judged", "to halve it"], shares) : el("p", {}, "Nothing is judged yet."),
    ...remarks.map((line) => el("p", { class: "remark" }, line)),
    table("Labelled as, but is", ["", "is", "rows"], result.confusions.map((each) => [each.label, each.right, n(each.rows)])),
    groups("Labels with errors", result.by_label),
    result.by_template.length > 1 ? groups("Templates with errors", result.by_template) : null,
    el("p", { class: "soft small" }, `Kept in ${result.judgements}`),
  ].filter(Boolean);
}
