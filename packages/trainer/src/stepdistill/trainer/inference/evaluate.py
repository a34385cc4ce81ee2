"""`stepdistill evaluate MODEL FOLDER...`: student against teacher, both against gold."""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import orjson
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from stepdistill.common.errors import ConfigError
from stepdistill.common.files.storage import write_place
from stepdistill.common.kinds.registry import kind_of
from stepdistill.trainer.data.corrections import corrected, find_judgements
from stepdistill.trainer.data.examples import EvalExample, EvalSet, eval_set
from stepdistill.trainer.data.shards import DataSplit, read_split
from stepdistill.trainer.errors import refused
from stepdistill.trainer.inference.class_tables import (
    class_table,
    confusion,
    confusion_table,
)
from stepdistill.trainer.inference.evaluation_page import Evaluation, evaluation_page
from stepdistill.trainer.inference.predictor import Predictor, ProgressLine, by_length
from stepdistill.trainer.inference.rows import AskedRow
from stepdistill.trainer.model.answers import StudentAnswer
from stepdistill.trainer.model.student import InferenceSettings
from stepdistill.trainer.scores import (
    against_majority,
    calibration,
    correct,
    difference,
    macro_f1,
    majority,
    measure_lines,
    score,
)
from stepdistill.trainer.settings.inference import CompareSettings

_AT_ONCE = 64


def evaluate(settings: CompareSettings) -> None:
    """The command. Raises DistillError."""
    split, predictor = read_split("test", settings.folders), Predictor(settings.model)
    if settings.judgements is not None:
        judgements = find_judgements(settings.judgements, settings.folders)
        split = corrected(split, judgements, learns=False)
    check_task(predictor.settings, split, settings.model)
    rows = eval_set(split)
    for row in _asked(rows.examples):
        predictor.check_options(row, f"row {row.id}")
    began = time.perf_counter()
    answers = _answers(predictor.label, rows.examples, quiet=settings.quiet)
    rate = len(answers) / (time.perf_counter() - began)
    found, notes = _evaluation(predictor, split, rows, answers, rate, settings), rows.remarks
    console = Console(markup=False, emoji=False)
    _show(console, found)
    for note in notes:
        console.print(f"NOTE: {note}", highlight=False)
    if settings.json:  # last: what was found is on the screen, whatever becomes of the file
        content = {**asdict(found), **({"notes": notes} if notes else {})}
        with refused(f"--json {settings.json}"):
            write_place(settings.json, orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n")
    if settings.html:
        kind = kind_of(split.parts[0].manifest.label)
        page = evaluation_page(found, rows.examples, answers, kind, settings.model)
        with refused(f"--html {settings.html}"):
            write_place(settings.html, page.encode())
        console.print(f"The page: {settings.html}", soft_wrap=True, highlight=False)


def _evaluation(
    predictor: Predictor,
    split: DataSplit,
    rows: EvalSet,
    answers: Sequence[StudentAnswer],
    rate: float,
    settings: CompareSettings,
) -> Evaluation:
    """rate: rows that were answered in a second."""
    kind = kind_of(split.parts[0].manifest.label)
    labels, teachers = [a.label for a in answers], [q.teacher for q in rows.examples]
    often = majority((example.gold for example in rows.examples), kind)
    always = [often] * len(labels)
    hits, theirs, majoritys = (
        correct(given, rows.examples, kind) for given in (labels, teachers, always)
    )
    scores = {
        who: score(given, rows.examples, kind)
        for who, given in (("student", labels), ("teacher", teachers), ("majority", always))
    }
    freely = None
    if any(example.choices for example in rows.examples) and not predictor.is_classifier:
        said = _answers(predictor.label_freely, rows.examples, quiet=True)
        freely = score([answer.label for answer in said], rows.examples, kind)
    told = {who: scores[who].classes for who in ("student", "teacher")}
    return Evaluation(
        **scores,
        student_freely=freely,
        student_less_teacher=difference(hits, theirs),
        majority_label=often,
        student_less_majority=difference(hits, majoritys),
        macro_f1={who: macro_f1(each) for who, each in told.items() if each} or None,
        confusion=confusion(labels, rows.examples, kind),
        calibration=calibration([answer.probability for answer in answers], hits),
        rows_per_s=rate,
        student_cost_usd=settings.usd_per_hour and settings.usd_per_hour / 3600 / rate * 1000,
        teacher_cost_usd=teacher_cost(split),
    )


def check_task(known: InferenceSettings, split: DataSplit, model: Path) -> None:
    """Raises ConfigError where the rows have labels of which the student knows nothing."""
    for part in split.parts:
        label = part.manifest.label
        same = label.kind == known.label.kind and {*label.classes} == {*known.label.classes}
        if not same:
            raise ConfigError(
                f"{model}: a student of {known.task} (labels of kind {known.label.kind}), "
                f"but {part.folder} is of {part.manifest.task}, whose labels are others: name rows "
                "of its own task"
            )
        if part.manifest.task != known.task:
            sys.stderr.write(
                f"{part.folder}: rows of {part.manifest.task} for a student of {known.task}\n"
            )


def _asked(examples: Sequence[EvalExample]) -> list[AskedRow]:
    return [AskedRow(id=q.id, input=q.input, choices=q.choices) for q in examples]


def _answers(
    answer_rows: Callable[[Sequence[AskedRow]], Sequence[StudentAnswer]],
    examples: Sequence[EvalExample],
    *,
    quiet: bool,
) -> list[StudentAnswer]:
    rows = _asked(examples)
    found: dict[int, StudentAnswer] = {}
    with ProgressLine("rows", len(rows), quiet=quiet) as tick:
        for place, answer in by_length(rows, _AT_ONCE, answer_rows):
            found[place] = answer
            tick(1)
    return [found[place] for place in range(len(rows))]


def teacher_cost(split: DataSplit) -> float | None:
    """USD for 1,000 rows, None where a folder's cost is not known."""
    costs = [part.manifest.cost.usd for part in split.parts]
    rows = sum(part.manifest.counts.rows for part in split.parts)
    known = [cost for cost in costs if cost is not None]
    return sum(known) / rows * 1000 if len(known) == len(costs) and rows else None


def _show(console: Console, found: Evaluation) -> None:
    table = Table("", "accuracy", "95 % interval", "right", "USD / 1,000 rows", box=SIMPLE)
    for name, scored, cost in (
        ("student", found.student, found.student_cost_usd),
        ("teacher", found.teacher, found.teacher_cost_usd),
    ):
        table.add_row(name, *scored.in_words(), "unknown" if cost is None else f"{cost:.4f}")
    if found.student_freely:
        table.add_row("student, freely", *found.student_freely.in_words(), "")
    table.add_row("majority label", *found.majority.in_words(), "")
    console.print(table)
    _show_classes(console, found)
    gap, (low, high) = found.student_less_teacher, found.student_less_teacher.interval
    how = "the likeliest of a row's labels, as `predict` answers"
    if found.student_freely:
        console.print(f"student: {how}; freely: what it says, be it a label or not")
    lines = [
        *against_majority(found.student_less_majority, found.majority_label),
        *_macro_line(found.macro_f1),
        *measure_lines({"student": found.student, "teacher": found.teacher}),
        f"student - teacher    {gap.difference:+.3f} ({low:+.3f} to {high:+.3f}, paired bootstrap)",
        f"right alone          student {gap.only_one} rows, teacher {gap.only_other} rows",
        f"calibration error    {found.calibration.error:.3f} (probability against share right)",
        f"speed                {found.rows_per_s:,.1f} rows a second",
    ]
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False)


def _show_classes(console: Console, found: Evaluation) -> None:
    if found.student.classes:
        console.print(class_table(found.student.classes))
    if found.confusion:
        table = confusion_table(found.confusion, list(found.student.classes or ()))
        if table is not None:
            console.print(table)


def _macro_line(macro: dict[str, float] | None) -> list[str]:
    shares = [f"{who} {share:.3f}" for who, share in (macro or {}).items()]
    return [f"macro F1             {', '.join(shares)}"] if shares else []
