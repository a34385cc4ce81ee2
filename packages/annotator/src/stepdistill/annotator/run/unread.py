"""Why answers gave no record, in one line: reasons, the first answer, and what helps."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from stepdistill.annotator.errors import NoRecords, RowsUnanswered
from stepdistill.annotator.plan.plan import PlannedRow
from stepdistill.annotator.reading.record import (
    LOW_CONFIDENCE,
    NO_ANSWER,
    TRUNCATED,
    UNANSWERED,
    UNREACHED,
)
from stepdistill.annotator.reading.rejection import DETAIL, Rejection, shortened
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.teacher.progress import Progress
from stepdistill.common.errors import DistillError
from stepdistill.common.kinds.registry import kind_of
from stepdistill.common.task import LabelSpec

_SHOWN = 160  # characters of an answer, or of the labels that were expected
_FILTERS = {"contradiction", "repetition", "too_long"}


class Unread(NamedTuple):
    """A row that gave no record, and the answer to it; None where nobody answered."""

    planned: PlannedRow
    label: LabelSpec  # what it was to have
    rejection: Rejection
    answer: str | None


def why_unread(reasons: Mapping[str, int], first: Unread | None, config: RunSettings) -> str:
    """The line. reasons: how many answers or rows each has; first: None where it is not at hand."""
    counts = sorted(reasons.items(), key=lambda each: -each[1])
    parts = [", ".join(f"{reason}: {n:,}" for reason, n in counts)]
    if first is not None:
        parts.append(_said(first))
    template = first.planned.assignment.label if first else None
    return "; ".join((*parts, _remedy(counts[0][0], template, config)))


def why_unanswered(asked: Iterable[Progress]) -> DistillError | None:
    """Why what was asked without a run's rows is not done: some had no answer, or all were refused;
    None where all is well."""
    asked = [each for each in asked if each.failed]
    missed = sum(each.failures.get(reason, 0) for each in asked for reason in UNREACHED)
    if missed:
        requests = "1 request was" if missed == 1 else f"{missed:,} requests were"
        return RowsUnanswered(
            f"{requests} not answered ({shortened(asked[-1].last_failure, _SHOWN)}): run it again"
        )
    if asked and not any(each.asked or each.cached for each in asked):
        n = sum(each.failed for each in asked)
        words = shortened(asked[-1].last_failure, DETAIL)
        return NoRecords(f"none of {n:,} requests was answered ({words})")
    return None


def _said(first: Unread) -> str:
    """What the first of them said, and what was expected in its place."""
    if first.answer is None:
        return f"the first ({first.planned.row.id}): {first.rejection.detail}"
    kind = kind_of(first.label)
    names = [f'"{name}"' for name in kind.choices(first.planned.row.fields)]
    expected = f"one of {', '.join(names)}" if names else kind.sentence().rstrip(".")
    return (
        f'the first answer ({first.planned.row.id}): "{shortened(first.answer, _SHOWN)}"; '
        f"expected: {shortened(expected, _SHOWN)}"
    )


def _remedy(reason: str, template: str | None, config: RunSettings) -> str:
    """What helps against the commonest reason."""
    if reason == TRUNCATED:
        return f"answers were cut off at {config.max_tokens:,} tokens: raise --max-tokens"
    if reason == LOW_CONFIDENCE:
        return f"--min-confidence {config.shards.min_confidence:g} may be too much"
    if reason == NO_ANSWER and config.offline:
        return "without --offline they are asked"
    if reason in UNREACHED:
        return "the same command asks again"
    if reason in UNANSWERED:
        return "see to it, then run this again: it asks what has no answer"
    if reason in _FILTERS:
        return f"every row is in {config.out}/SPLIT/rejects.jsonl"
    task = config.task
    chosen = f" --template {template}" if template else ""
    return (
        f"`annotate parse {task}{chosen}` shows how answers are read, `annotate prompts check "
        f"{task}` what is wrong with the prompts; other words for a label are `aliases` in its "
        f"task.yaml; `annotate store forget {task}{chosen} --reason {reason}` says what asking "
        "these again costs"
    )
