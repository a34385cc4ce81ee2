"""record -> example: what the student reads, and what it is to say."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from stepdistill.common.errors import ConfigError, ShardError
from stepdistill.common.kinds.kind import Kind, named_in
from stepdistill.common.kinds.registry import kind_of
from stepdistill.common.placeholders import filler
from stepdistill.common.record import Record
from stepdistill.common.uniform import uniform_of_text
from stepdistill.trainer.data.shards import Corrections, DataSplit, SplitPart
from stepdistill.trainer.settings.tasks import explaining
from stepdistill.trainer.settings.train import TrainSettings

_BY_TEACHER = (
    "no row has a gold label: right is what the teacher says, so the figures say how well the "
    "student has learnt from it, and not whether they are right"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskText:
    """Something to say, and how much it weighs."""

    text: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One row to learn from."""

    id: str
    input: str
    labels: tuple[TaskText, ...]  # one, unless soft labels are learnt; weights sum to 1
    rationales: tuple[TaskText, ...] = ()  # none where there is nothing to explain
    weight: float = 1.0  # of the whole row

    @property
    def label(self) -> str:
        """The one with the most weight."""
        return max(self.labels, key=lambda text: text.weight).text


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSet:
    """The rows to learn from, and how many could not be used or explained."""

    examples: tuple[Example, ...]
    without_label: int
    without_rationale: int
    corrections: Corrections | None = None  # by people's judgements

    @property
    def remarks(self) -> list[str]:
        """What must be known of what was learnt."""
        found = self.corrections
        if found is None or not found.learns:
            return []
        return [
            f"learnt from labels as people judged them ({found.path}): {found.changed:,} changed, "
            f"{found.confirmed:,} confirmed, {found.left_out:,} rows left out as wrong"
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalExample:
    """One row to be judged on."""

    id: str
    input: str
    gold: str
    teacher: str | None  # None: the teacher gave no label
    choices: tuple[str, ...] = ()  # the labels it can have; empty where they are not known
    rationale: str | None = None  # the teacher's; None where it gave none


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalSet:
    """The rows to be judged on; rows without a gold label cannot be judged and are counted."""

    examples: tuple[EvalExample, ...]
    without_gold: int
    # Nobody has labelled the rows but the teacher, so its labels are what is right.
    is_by_teacher: bool = False
    # Rows whose gold label is none of those that they can have: no answer to them is right.
    unanswerable: tuple[EvalExample, ...] = ()
    corrections: Corrections | None = None  # by people's judgements
    judged_golds: int = 0  # gold labels that were people's already when shards were written

    @property
    def remarks(self) -> list[str]:
        """What must be known of the figures."""
        remarks = [_BY_TEACHER] if self.is_by_teacher else []
        if self.judged_golds:
            remarks.append(
                f"{self.judged_golds:,} gold labels of these shards are people's (annotate run "
                "--judgements)"
            )
        if self.corrections is not None:
            remarks.append(_by_people(self.corrections, len(self.examples)))
        if self.unanswerable:
            first, n = self.unanswerable[0], len(self.unanswerable)
            remarks.append(
                f"no answer is right to {n:,} of {len(self.examples):,} rows, whose gold label is "
                f"none that they can have, as {first.gold!r} of row {first.id}: mend or remove them"
            )
        return remarks


def train_set(split: DataSplit, config: TrainSettings) -> TrainSet:
    """The split's rows as training examples. Raises ShardError when not one row has a label.

    Rows that stand in several folders are one: the first label counts, rationales come together.
    """
    # The share is of rows, before any is found unusable: all teachers' runs draw the same ones.
    rows = _subsample(list(rows_of(split)), config.subsample, config.seed)
    most = config.rationales if explaining(config.table()) else 0
    if not rows:
        raise ShardError(
            f"{_folders(split)}: no rows at all: annotate again, the run's rejects.jsonl says why "
            "rows were left out"
        )
    _check_votes(split, config)
    kind = kind_of(split.parts[0].manifest.label)
    found = (_example(row, config, kind, most) for row in rows)
    examples = [example for example in found if example is not None]
    if not examples:
        raise ShardError(
            f"{_folders(split)}: no row has a {config.labels} label, nothing to train on"
        )
    return TrainSet(
        examples=tuple(examples),
        without_label=len(rows) - len(examples),
        without_rationale=sum(not example.rationales for example in examples),
        corrections=split.corrections,
    )


def eval_set(split: DataSplit) -> EvalSet:
    """The split's rows with a gold label; where no row has one, those that the teacher labelled.
    Raises ShardError when there is neither."""
    examples = tuple(_judged(split, "gold")) or tuple(_judged(split, "label"))
    if not examples:
        raise ShardError(
            f"{_folders(split)}: no row has a label, so the student cannot be judged on "
            f"--{split.name}: annotate a split that has rows"
        )
    without = sum(_text(record.gold) is None for record in split.records())
    by_teacher = without == sum(1 for _ in split.records())
    return EvalSet(
        examples=examples,
        without_gold=without,
        is_by_teacher=by_teacher,
        unanswerable=tuple(
            row for row in examples if row.choices and named_in(row.choices, row.gold) is None
        ),
        corrections=split.corrections,
        judged_golds=sum(
            part.manifest.judgements.golds for part in split.parts if part.manifest.judgements
        ),
    )


def _by_people(found: Corrections, n: int) -> str:
    told = f"{found.golds:,} of {n:,} gold labels are people's ({found.path})"
    if not 0 < found.golds == n:
        return told
    return f"{told}: an audit takes doubtful rows more often, so a share of them is none of all"


def _judged(split: DataSplit, by: Literal["gold", "label"]) -> Iterator[EvalExample]:
    for part in split.parts:
        for record in part.records:
            right = _text(record.gold if by == "gold" else record.label)
            if right is not None:
                yield EvalExample(
                    id=record.id,
                    input=input_of(part, record),
                    gold=right,
                    teacher=_text(record.label),
                    choices=kind_of(part.manifest.label).choices(record.input),
                    rationale=_text(record.rationale),
                )


def input_of(part: SplitPart, record: Record) -> str:
    """What the student reads. Raises ShardError when the record lacks a field."""
    try:
        return filler(part.manifest.student.input)(record.input)
    except KeyError as error:
        raise ShardError(
            f"{part.folder}: the student's template asks for {{{error.args[0]}}}, which row "
            f"{record.id} lacks: mend `student.input` in task.yaml and annotate again"
        ) from None


_LEAST_SHARE = 0.01  # of a soft label
Row = tuple[str, tuple[Record, ...]]
"""(the input, the records of this row in the order of the folders)."""


def rows_of(split: DataSplit) -> Iterator[Row]:
    """Every row once, with its records in all folders. Raises ShardError: inputs differ."""
    joined: dict[tuple[str, str, str], tuple[str, list[Record]]] = {}
    for part in split.parts:
        for record in part.records:
            key = (part.manifest.task, record.split, record.id)
            if key not in joined:
                joined[key] = (input_of(part, record), [])
            elif joined[key][1][0].input != record.input:
                raise ShardError(
                    f"{part.folder}: row {record.id} has another input than in an earlier folder: "
                    "these are not runs over the same data, train them apart"
                )
            joined[key][1].append(record)
    return ((text, tuple(records)) for text, records in joined.values())


def _subsample(rows: list[Row], share: float, seed: int) -> list[Row]:
    """A share of the rows by the hash of their ids: a smaller share is part of a larger one."""
    if share == 1:
        return rows
    order = sorted(range(len(rows)), key=lambda i: uniform_of_text(f"{seed}/{rows[i][1][0].id}"))
    return [rows[i] for i in sorted(order[: math.ceil(share * len(rows))])]


def _check_votes(split: DataSplit, config: TrainSettings) -> None:
    """Raises ConfigError where an option needs votes or probabilities and no record has any: it
    would do nothing."""
    options = ["--soft-labels"] * config.soft_labels
    options += ["--row-weight confidence"] * (config.row_weight == "confidence")
    if options and not any(r.label_probs or r.label_votes for r in split.records()):
        raise ConfigError(
            f"{options[0]}: no votes in {_folders(split)}, nor how probable labels were: annotate "
            "with --votes 5 or --logprobs 5, or leave it out"
        )
    if config.soft_labels and config.labels == "gold":
        raise ConfigError("--soft-labels: a gold label has no votes: take --labels teacher")


def _example(row: Row, config: TrainSettings, kind: Kind, most: int) -> Example | None:
    """None where no record has a label. most: rationales to learn from."""
    text, records = row
    gold = config.labels == "gold"  # corrected labels stand in the teacher's place already
    labels = ((r, _text(r.gold if gold else r.label)) for r in records)
    record, label = next(((r, told) for r, told in labels if told is not None), (None, None))
    if record is None or label is None:
        return None
    shares = _shares(record) if config.soft_labels and not gold else {}
    # The first that differ, over all folders; together they are as heavy as one.
    told = (_text(one) for each in records for one in each.rationales)
    reasons = [reason for reason in dict.fromkeys(told) if reason is not None][:most]
    confidence = record.sureness if config.row_weight == "confidence" else None
    return Example(
        id=record.id,
        input=text,
        labels=tuple(
            TaskText(text=kind.target(name), weight=share)
            for name, share in (shares or {label: 1.0}).items()
            if share
        ),
        rationales=tuple(TaskText(text=one, weight=1 / len(reasons)) for one in reasons),
        weight=1.0 if confidence is None else confidence,
    )


def _shares(record: Record) -> dict[str, float]:
    """Label -> its share: by how probable it was, else by votes; empty where neither is known."""
    if (probs := record.label_probs) is not None:
        # Each is a target of its own: those that hardly add anything would only take time.
        shares = {name: share for name, share in probs.items() if share >= _LEAST_SHARE}
    else:
        shares = record.label_votes or {}
    whole = sum(shares.values())
    return {name: share / whole for name, share in shares.items()}


def _text(text: str | None) -> str | None:
    """The text without outer blanks; an empty one says nothing."""
    return (text or "").strip() or None


def _folders(split: DataSplit) -> str:
    return ", ".join(str(part.folder) for part in split.parts)
