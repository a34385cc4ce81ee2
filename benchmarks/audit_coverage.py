#!/usr/bin/env python3
"""How often the intervals of `annotate audit` hold the truth, and how wide they are beside those of
rows that are drawn at random.

Over the original's recorded answers, where those lie beside the checkout (../shared/data): their
rows have gold labels, so it is known how many of a run's labels are right. Each draw chooses rows
as the command does, has them judged by their gold labels, and looks whether the interval holds the
truth. At random is: as many rows out of all, with Wilson's interval. What is known of a label
besides:

    one template's run  what the store has of other templates' answers to the row
    with a student      what another model (PaLM 540B) answered to the same rows
    all answers         as of one template's run; all templates' answers are one large run

cqa has both. Of esnli the recorded rows are not among those that PaLM was asked about.

Made-up runs are audited, too: nearly all labels right, and none more doubtful than others.

Example:

    python benchmarks/audit_coverage.py --check --json benchmarks/results/audit_coverage.json
"""

import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from measuring import Figure, Results, parser, report
from race_templates import REAL, ROOT, json_lines
from stepdistill.annotator.audit.estimate import JudgedStratum, ShareEstimate, estimate
from stepdistill.annotator.audit.sampling import Design, Signals, make_design
from stepdistill.annotator.importing.original import read_templates
from stepdistill.annotator.prompt.task import load_task
from stepdistill.annotator.reading.readers import make_readers
from stepdistill.common.intervals import wilson
from stepdistill.common.kinds.kind import Kind
from stepdistill.common.kinds.registry import kind_of
from stepdistill.common.task import TaskSpec

LEAST_COVERED, MOST_COVERED, WIDTH_AT_MOST = 93.0, 97.0, 0.85
JUDGED = 100  # rows; a third of a run that has fewer than three times as many
FEWEST_ROWS = 40  # of a run
# (task, its template that was asked about whole splits, not among the others)
WHOLE_SPLITS = (("svamp", "1"), ("anli1", "100"))
BY_TEMPLATES = ("cqa", "anli1", "esnli")
# What PaLM's answers end with, in the words of its prompts: `So the answer is (c) wooded area.`
PALM = re.compile(r"[Tt]he answer is \(?(.*?)\)?\.?$")
NLI = {"yes": "entailment", "no": "contradiction", "it's not possible to tell": "neutral"}
MADE_ROWS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A recorded answer whose label could be read. row: split and number of its row."""

    row: tuple[str, int]
    template: str
    label: str
    reader: float
    is_right: bool
    gold: str
    fields: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The labels of a run: what makes each doubtful, and whether it is right."""

    doubt: NDArray[np.float64]
    labels: Sequence[str] | None  # None: they are no classes
    right: NDArray[np.bool_]
    # Whether the student's label is right, and whether it has one; None: there is no student.
    student: tuple[NDArray[np.bool_], NDArray[np.bool_]] | None = None


@cache
def recorded(task: str) -> tuple[Answer, ...]:
    """A task's recorded answers to rows that have gold labels."""
    spec, found = load_task(ROOT / "prompts", task), list[Answer]()
    originals = read_templates(REAL / "prompt-templates" / f"{task}.yaml")
    templates = {str(number): each.as_template() for number, each in originals.items()}
    readers, kind = make_readers("verdict", spec.label, templates), kind_of(spec.label)
    for path in sorted((REAL / "query-results" / task).glob("*/*/responses.json.gz")):
        split, template = path.parent.parent.name, path.parent.name
        golds = gold_labels(task, split, spec)
        for answer in json_lines(path):
            gold = golds.get(answer["idx"])
            if gold is None:
                continue
            fields = {name: str(text) for name, text in answer["prompt_values"].items()}
            reading = readers.read(template, answer["response"], fields)
            if reading.label is not None:
                found.append(
                    Answer(
                        row=(split, answer["idx"]),
                        template=template,
                        label=reading.label,
                        reader=reading.confidence,
                        is_right=kind.same(reading.label, gold, kind.choices(fields)),
                        gold=gold,
                        fields=fields,
                    )
                )
    return tuple(found)


def gold_labels(task: str, split: str, spec: TaskSpec) -> dict[int, str]:
    """Gold labels of a split's rows, by number."""
    queried = REAL / "ground-truth" / f"{task}_{split}_queried.jsonl"
    if queried.is_file():
        return {row["idx"]: row["label"] for row in json_lines(queried) if row["label"]}
    kind, rows = kind_of(spec.label), json_lines(REAL / "datasets" / task / f"{task}_{split}.json")
    golds = (kind.gold(kind.gold_text(row[spec.gold or "label"])) for row in rows)
    return {number: gold for number, gold in enumerate(golds) if gold is not None}


@cache
def said_by_palm(task: str) -> dict[tuple[str, int], str]:
    """PaLM's words of each row of which it gave an answer."""
    found: dict[tuple[str, int], str] = {}
    # The rows of esnli that were recorded here are of another draw.
    for path in sorted((REAL / "palm-fewshot" / task).glob("*.gz")) if task != "esnli" else ():
        split = path.name.partition("_")[0]
        for answer in json_lines(path):
            text = re.split(r"\nQ:|\nPremise:|\n\n", answer["output"])[0].strip()
            if match := PALM.search(text):
                found[split, answer["idx"]] = match[1].strip()
    return found


def palm_names(task: str, answer: Answer, label: str, kind: Kind) -> bool | None:
    """Whether PaLM gives a row this label; None where it says nothing."""
    said = said_by_palm(task).get(answer.row)
    if said is None:
        return None
    if task == "cqa":  # `c) wooded area`
        said = answer.fields.get(f"choice_{said[0].lower()}", said)
    return kind.same(NLI.get(said.lower(), said), label, kind.choices(answer.fields))


def whole_splits(task: str, template: str) -> Run:
    """The run of one template over whole splits, with a student's labels."""
    kind = task_kind(task)
    answers = [each for each in recorded(task) if each.template == template]

    def doubt(answer: Answer) -> float:
        student = palm_names(task, answer, answer.label, kind)
        return Signals(student=student, reader=answer.reader).doubt

    run = made_of(answers, [doubt(each) for each in answers], kind)
    right = [palm_names(task, each, each.gold, kind) for each in answers]
    has_label = np.array([each is not None for each in right])
    return replace(run, student=(np.array([each is True for each in right]), has_label))


def by_templates(task: str) -> Iterator[tuple[str, Run]]:
    """(template, run) of each template, and last ("", of all of them)."""
    kind, by_row = task_kind(task), defaultdict[tuple[str, int], list[Answer]](list)
    answers = [each for each in recorded(task) if (task, each.template) not in WHOLE_SPLITS]
    for each in answers:
        by_row[each.row].append(each)

    def doubt(answer: Answer) -> float:
        choices = kind.choices(answer.fields)
        others = [each for each in by_row[answer.row] if each is not answer]
        same = [kind.same(each.label, answer.label, choices) for each in others]
        return Signals(
            templates=fmean(same) if same else None,
            student=palm_names(task, answer, answer.label, kind),
            reader=answer.reader,
        ).doubt

    doubts = {id(each): doubt(each) for each in answers}
    for template in sorted({each.template for each in answers}):
        own = [each for each in answers if each.template == template]
        if len(own) >= FEWEST_ROWS:
            yield template, made_of(own, [doubts[id(each)] for each in own], kind)
    yield "", made_of(answers, [doubts[id(each)] for each in answers], kind)


def task_kind(task: str) -> Kind:
    return kind_of(load_task(ROOT / "prompts", task).label)


def made_of(answers: Sequence[Answer], doubts: Sequence[float], kind: Kind) -> Run:
    return Run(
        doubt=np.array(doubts),
        labels=[each.label for each in answers] if kind.is_one_class else None,
        right=np.array([each.is_right for each in answers]),
    )


def made_up(sure: float, doubtful: float) -> Run:
    """A tenth of the labels doubtful; so many of the sure, and of the doubtful, are right."""
    chance = np.random.default_rng(0)
    is_doubtful = chance.random(MADE_ROWS) < 0.1
    return Run(
        doubt=np.where(is_doubtful, 0.35, 0.15),
        labels=None,
        right=chance.random(MADE_ROWS) < np.where(is_doubtful, doubtful, sure),
    )


def audit(run: Run, seed: int) -> dict[str, float]:
    """One audit, and as many rows at random: whether the truth is held, and how widely."""
    rows = len(run.right)
    n = min(JUDGED, rows // 3)
    draws = np.random.default_rng(seed).random(rows)
    design = make_design(run.doubt, run.labels, draws, n)
    found = estimated(design, run.right, np.ones(rows, dtype=bool))
    student: dict[str, float] = {}
    if run.student is not None:
        share, of_student = run.student[0][run.student[1]].mean(), estimated(design, *run.student)
        student["student_covered"] = 100.0 * (of_student.low <= share <= of_student.high)
    hits = int(run.right[np.argsort(draws)[:n]].sum())
    low, high = wilson(hits, n)
    # The same, but for rows that are a large part of all: each judgement is worth more.
    worth = 1 / (1 - n / rows)
    of_few = wilson(hits * worth, n * worth)
    truth = float(run.right.mean())
    return {
        "covered": 100.0 * (found.low - 1e-9 <= truth <= found.high + 1e-9),
        "width": found.width,
        "random_width": high - low,
        "random_width_of_few": of_few[1] - of_few[0],
        "random_covered": 100.0 * (low <= truth <= high),
        "off": 100 * (found.share - truth),
        "truth": 100 * truth,
        "rows": rows,
        "judged": n,
        **student,
    }


def estimated(
    design: Design, right: NDArray[np.bool_], has_label: NDArray[np.bool_]
) -> ShareEstimate:
    """What is estimated of the rows that have a label."""
    of, rights, has = (each[design.order] for each in (design.of_row, right, has_label))
    strata = (
        JudgedStratum(
            rows=int((has_label & (design.of_row == number)).sum()),
            judged=int((has & (of == number)).sum()),
            right=int((rights & has & (of == number)).sum()),
        )
        for number in range(len(design.strata))
    )
    found = estimate([stratum for stratum in strata if stratum.rows])
    assert found is not None
    return found


def measure(results: Results, name: str, runs: Sequence[Run], draws: int, *, real: bool) -> None:
    """The figures of some runs, audited in turn."""
    done = [audit(runs[seed % len(runs)], seed) for seed in range(draws)]
    mean = {key: fmean(each[key] for each in done) for key in done[0]}
    results.raw.append({"runs": name, "n_runs": len(runs), "draws": draws, **mean})
    held, ratio = [mean["covered"]], [mean["width"] / mean["random_width"]]
    of_few = [mean["width"] / mean["random_width_of_few"]]
    bar = WIDTH_AT_MOST if real else None
    results.figures += [
        Figure(name=f"{name}: truth held", samples=held, unit="%", at_least=LEAST_COVERED),
        Figure(name=f"{name}: held at most", samples=held, unit="%", at_most=MOST_COVERED),
        Figure(name=f"{name}: width", samples=ratio, unit="x random", at_most=bar),
        Figure(name=f"{name}: of it not by few rows", samples=of_few, unit="x random, of few"),
        Figure(name=f"{name}: bias", samples=[mean["off"]], unit="points"),
    ]
    if "student_covered" in mean:
        of_student = [mean["student_covered"]]
        results.figures += [
            Figure(
                name=f"{name}: student's held", samples=of_student, unit="%", at_least=LEAST_COVERED
            ),
            Figure(
                name=f"{name}: student's at most",
                samples=of_student,
                unit="%",
                at_most=MOST_COVERED,
            ),
        ]


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--draws", type=int, default=1_000, help="audits of each kind of runs")
    given = options.parse_args()
    draws = 200 if given.smoke else given.draws
    results = Results(benchmark="audit_coverage", settings={"draws": draws, "judged": JUDGED})
    if REAL.is_dir() and not given.smoke:
        for task, template in WHOLE_SPLITS:
            run = whole_splits(task, template)
            measure(results, f"{task}, with a student", [run], draws, real=True)
        for task in BY_TEMPLATES:
            *runs, (_, everything) = by_templates(task)
            each = [run for _, run in runs]
            measure(results, f"{task}, one template's run", each, draws, real=True)
            measure(results, f"{task}, all answers", [everything], draws, real=True)
    elif not REAL.is_dir():
        print(f"no recorded answers: {REAL} is not there")
    for sure, doubtful in ((0.98, 0.7), (0.995, 0.9), (0.95, 0.95)):
        name = f"made up, {sure:g} and {doubtful:g} right"
        measure(results, name, [made_up(sure, doubtful)], draws, real=False)
    return report(results, given)


if __name__ == "__main__":
    sys.exit(main())
