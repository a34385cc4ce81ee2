"""`stepdistill cascade MODEL --teacher T --target 0.95`: when the student is to ask its teacher.

The validation rows are labelled by the student; what it and its teacher got right is known. Of that
`cascade/guarantee.py` makes a threshold, which is kept in the model's folder for `--defer`.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import orjson

from stepdistill.common.errors import ConfigError
from stepdistill.common.kinds.kind import Kind
from stepdistill.common.kinds.registry import kind_of
from stepdistill.common.record import Record
from stepdistill.common.uniform import uniform_of_text
from stepdistill.trainer.cascade.drift import reference_of
from stepdistill.trainer.cascade.guarantee import (
    DEFER_ALL,
    ChosenThreshold,
    Outcomes,
    Promised,
    best_reachable,
    choose,
    rows_needed,
)
from stepdistill.trainer.cascade.rule import CascadeRule, Cost, Guarantee
from stepdistill.trainer.cascade.temperature import confidence, fitted_temperature
from stepdistill.trainer.data.examples import EvalExample
from stepdistill.trainer.data.shards import DataSplit
from stepdistill.trainer.inference.evaluate import check_task, teacher_cost
from stepdistill.trainer.inference.kept_answers import digest_of_model
from stepdistill.trainer.inference.predictor import Predictor, ProgressLine, by_length
from stepdistill.trainer.inference.rows import AskedRow
from stepdistill.trainer.inference.validation_rows import ValidationRows, validation_rows
from stepdistill.trainer.model.answers import StudentAnswer
from stepdistill.trainer.scores import correct
from stepdistill.trainer.settings.cascade import CASCADE_NAME, CascadeSettings

_AT_ONCE = 64
TUNING_SHARE = 0.2  # of the rows, for the temperature and the order of tests


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """Some of the rows, answered."""

    outcomes: Outcomes
    labels: list[str]  # the student's; empty where it said none


def cascade(settings: CascadeSettings) -> None:
    """The command. Raises DistillError."""
    found = validation_rows(settings)
    predictor = Predictor(settings.model)
    check_task(predictor.settings, found.split, settings.model)
    for row in found.rows.examples:
        predictor.check_options(_asked(row), f"row {row.id}")
    temperature, tuning, test = _answered(predictor, found, settings)
    promised = Promised(
        promise=settings.promise, target=settings.target, risk=settings.risk / found.looks
    )
    choice = choose(tuning.outcomes, test.outcomes, promised)
    if choice is None:
        raise ConfigError(_refusal(tuning.outcomes, test.outcomes, promised, settings))
    rule = _rule(settings, predictor, found, (tuning, test), (temperature, choice))
    rule.write(settings.model)
    if settings.as_json:
        sys.stdout.write(orjson.dumps(_facts(rule, settings)).decode() + "\n")
    else:
        _show(rule, settings)


def is_tuning(row_id: str) -> bool:
    """Whether a row tunes, and does not test: its id decides."""
    return uniform_of_text(f"cascade/{row_id}") < TUNING_SHARE


def _answered(
    predictor: Predictor, found: ValidationRows, settings: CascadeSettings
) -> tuple[float, _Part, _Part]:
    """(temperature, the tuning rows, the others)."""
    kind, every = predictor.kind, found.rows.examples
    tuned = [row for row in every if is_tuning(row.id)]
    others = [row for row in every if not is_tuning(row.id)]
    lost = sum(is_tuning(f"unlabelled/{number}") for number in range(found.unlabelled))
    with ProgressLine("rows", len(every), quiet=settings.quiet) as tick:
        answers = _labels(predictor, tuned, tick)
        right = correct([each.label for each in answers], tuned, kind)
        temperature = fitted_temperature(answers, right)
        first = _part(answers, tuned, kind, temperature, lost)
        answers = _labels(predictor, others, tick)
        second = _part(answers, others, kind, temperature, found.unlabelled - lost)
    return temperature, first, second


def _labels(
    predictor: Predictor, rows: Sequence[EvalExample], tick: ProgressLine
) -> list[StudentAnswer]:
    asked, found = list(map(_asked, rows)), dict[int, StudentAnswer]()
    for place, answer in by_length(asked, _AT_ONCE, predictor.label_with_logs):
        found[place] = answer
        tick(1)
    return [found[place] for place in range(len(rows))]


def _part(
    answers: Sequence[StudentAnswer],
    rows: Sequence[EvalExample],
    kind: Kind,
    temperature: float,
    lost: int,
) -> _Part:
    said = [kind.said(each.label) for each in answers]
    # What is no label is no answer, however sure.
    sure = [
        confidence(each, temperature) if label is not None else 0.0
        for each, label in zip(answers, said, strict=True)
    ]
    outcomes = Outcomes(
        confidence=np.array(sure, dtype=float),
        student=np.array(correct(said, rows, kind), dtype=bool),
        teacher=np.array(correct([row.teacher for row in rows], rows, kind), dtype=bool),
        lost=lost,
    )
    return _Part(outcomes=outcomes, labels=[label or "" for label in said])


def _asked(row: EvalExample) -> AskedRow:
    return AskedRow(id=row.id, input=row.input, choices=row.choices)


def _rule(
    settings: CascadeSettings,
    predictor: Predictor,
    found: ValidationRows,
    parts: tuple[_Part, _Part],
    chosen: tuple[float, ChosenThreshold],
) -> CascadeRule:
    tuning, test = parts
    temperature, choice = chosen
    sure = np.concatenate([each.outcomes.confidence for each in parts])
    deferred, usd = float((sure < choice.threshold).mean()), teacher_cost(found.split)
    manifest = found.split.parts[0].manifest
    classes = kind_of(manifest.label).spec.classes
    labels = [*tuning.labels, *test.labels] if classes else None
    return CascadeRule(
        model=digest_of_model(settings.model),
        task=manifest.task,
        teacher=settings.teacher,
        threshold=choice.threshold,
        temperature=temperature,
        deferred=deferred,
        guarantee=_guarantee(settings, found, choice, tuning.outcomes.n),
        cost=Cost(usd_per_1000=None if usd is None else usd * deferred, teacher_usd_per_1000=usd),
        template=_template(found.split),
        votes=max(sum((r.label_votes or {"": 1}).values()) for r in found.split.records()),
        prompts=manifest.hashes.prompts,
        split=manifest.split,
        reference=reference_of(sure.tolist(), labels, list(classes)),
        remarks=list(found.remarks),
    )


def _guarantee(
    settings: CascadeSettings, found: ValidationRows, choice: ChosenThreshold, tuning_rows: int
) -> Guarantee:
    return Guarantee(
        promise=settings.promise,
        target=settings.target,
        risk=settings.risk,
        right_is="teacher" if found.rows.is_by_teacher else "gold",
        rows=choice.n,
        wrong=choice.wrong,
        p_value=choice.p_value,
        level=settings.risk / found.looks,
        looks=found.looks,
        tuning_rows=tuning_rows,
        unlabelled=found.unlabelled,
    )


def _template(split: DataSplit) -> str | None:
    """The one that asked for all of these labels and reasons; None: several did."""

    def of(record: Record) -> tuple[str | None, str | None]:
        label, rationale = record.templates.label, record.templates.rationale
        return label, rationale or label

    found = {of(record) for record in split.records()}
    [(label, rationale)] = found if len(found) == 1 else [(None, None)]
    return label if label == rationale else None


def _refusal(
    tuning: Outcomes, test: Outcomes, promised: Promised, settings: CascadeSettings
) -> str:
    """Why no threshold will do, what would be within reach, and what it would take."""
    asked = f"--target {settings.target:g} at --risk {settings.risk:g}"
    told = f"no threshold keeps {asked} by these {test.n:,} rows ({tuning.n:,} more tune)"
    found = best_reachable(tuning, test, promised)
    if found is None:
        reach = "no target above 0.5 is within their reach"
    else:
        target, choice = found
        share = float((test.confidence < choice.threshold).mean()) if len(test.confidence) else 1.0
        reach = f"--target {target:g} is within reach, with {share:.0%} of the rows deferred"
    needed = rows_needed(tuning, test, promised)
    alone = f"the teacher itself is right on {_share(tuning, test):.1%} of them"
    if needed is None:
        return f"{told}; {reach}; more rows would not help: {alone}"
    return f"{told}; {reach}; some {needed:,} validation rows would do, if more are like these"


def _share(*parts: Outcomes) -> float:
    n = sum(part.n for part in parts)
    return float(sum(part.teacher.sum() for part in parts)) / max(n, 1)


def _facts(rule: CascadeRule, settings: CascadeSettings) -> dict[str, object]:
    """The object of `--json`."""
    told = rule.model_dump(exclude={"version", "reference", "model", "prompts"})
    return {**told, "file": str(settings.model / CASCADE_NAME)}


def _show(rule: CascadeRule, settings: CascadeSettings) -> None:
    made, whose = rule.guarantee, "system" if rule.guarantee.promise == "system" else "student"
    what = {"system": "all answers, the teacher's included", "student": "the student's own answers"}
    right = "the gold label" if made.right_is == "gold" else f"what {rule.named_teacher.name} says"
    teacher = rule.named_teacher.name
    asks = f"{rule.deferred:.1%} of rows like these go to {teacher}"
    if rule.threshold >= DEFER_ALL:
        asks = f"EVERY ROW goes to {teacher}: the student may answer none of them itself"
    cost = rule.cost
    money = "not known (no price for this teacher)"
    if cost.usd_per_1000 is not None:
        money = (
            f"{cost.usd_per_1000:.4f} USD ({cost.teacher_usd_per_1000:.4f} by the teacher alone)"
        )
    lines = [
        f"Promise      of {what[whose]}, at least {made.target:.1%} are right,",
        f"             but for a chance of {made.risk:.1%}; right is {right}",
        f"Tested       on {made.rows:,} rows of {rule.split}, of which {made.wrong:,} were wrong",
        f"Threshold    {rule.threshold:g}, at temperature {rule.temperature:g}: {asks}",
        f"1,000 rows   {money}",
        *(f"NOTE         {remark}" for remark in rule.remarks),
        f"Kept in      {settings.model / CASCADE_NAME}",
        f"Next         stepdistill predict {settings.model} FILE --to OUT.csv --defer",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
