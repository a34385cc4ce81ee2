"""The labelled rows of a run, with what makes each doubtful, and those that are to be judged."""

from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from sys import intern

import numpy as np

from stepdistill.annotator.audit.sampling import Design, Signals, make_design
from stepdistill.annotator.reading.filters import JUDGED_WRONG
from stepdistill.annotator.store.snapshot import Snapshot
from stepdistill.annotator.view.detail import own_keys, sureness_of
from stepdistill.annotator.view.entry import RowSource
from stepdistill.annotator.view.run_lines import Line, ShardLines, fields_of, line_at, row_of
from stepdistill.annotator.view.run_source import RunSource, template_of
from stepdistill.common.errors import ConfigError, DatasetError
from stepdistill.common.judgements import answer_digest, row_digest, text_digest
from stepdistill.common.kinds.kind import Kind
from stepdistill.common.kinds.registry import kind_of
from stepdistill.common.uniform import uniform_of

_PROBED = 50  # rows of a split, to see which templates the store has answers of
_LOOKUPS = 1_000_000  # answers of other templates that are read, at most
_TELL_EVERY = 10_000
Tell = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenRow:
    """A row to be judged. row, answer, rationale: the digests of `common/judgements.py`."""

    line: Line
    place: bytes  # where its source finds it
    stratum: int
    row: str
    answer: str
    rationale: str | None
    template: str
    student: str | None  # the student's label; None where it gave none
    has_student: bool  # whether the predictions have the row
    choices: tuple[str, ...]  # labels that it can have; empty where they cannot be listed

    @property
    def label(self) -> str:
        """The label that is judged."""
        return self.line["label"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What is to be judged of a run, and what it was chosen from.

    with_student: of each stratum, the rows that the predictions have.
    """

    kind: Kind
    design: Design
    rows: tuple[ChosenRow, ...]  # the first to be judged first
    n_rows: int  # that have a label
    with_student: tuple[int, ...]
    known: tuple[str, ...]  # which signals there were, in words
    remarks: tuple[str, ...]
    warnings: tuple[str, ...]  # what makes figures wrong


@dataclass(slots=True)
class _Known:
    """What is kept of every row: some hundred bytes. labels: where they are classes."""

    places: list[bytes] = field(default_factory=list[bytes])
    labels: list[str] = field(default_factory=list[str])
    doubt: "array[float]" = field(default_factory=lambda: array("d"))
    draws: "array[float]" = field(default_factory=lambda: array("d"))
    has_student: bytearray = field(default_factory=bytearray)


def choose(source: RowSource, n: int, seed: int, tell: Tell) -> Chosen:
    """n rows, or all where there are fewer. Raises ConfigError, DatasetError, ShardError."""
    if not isinstance(source, RunSource):
        raise ConfigError(
            f"{source.title}: a store has answers and no labels: name the folder of a run"
        )
    kind, known, found = kind_of(source.label), _Known(), Counter[str]()
    others = _other_templates(source)
    with _reading(source) as stored:
        for line, place in _labelled(source):
            student = source.predictions and source.predictions.find(line["id"], line["index"])
            signals = _signals(line, kind, student and student[0], others, source, stored)
            found.update(_named(signals))
            known.places.append(place)
            if kind.is_one_class:
                known.labels.append(intern(line["label"]))
            known.doubt.append(signals.doubt)
            known.draws.append(uniform_of(seed, line["split"].encode(), line["id"].encode()))
            known.has_student.append(student is not None)
            if len(known.places) % _TELL_EVERY == 0:
                tell(len(known.places))
    if not known.places:
        raise DatasetError(f"{source.title}: no row has a label, so there is nothing to judge")
    design = _design(known, kind, n)
    return Chosen(
        kind=kind,
        design=design,
        rows=tuple(_chosen_rows(source, known, design, kind)),
        n_rows=len(known.places),
        with_student=_counted(known, design),
        known=tuple(name for name in _WORDS if found[name]),
        remarks=source.remarks,
        warnings=tuple(_filtered(source)),
    )


def _filtered(source: RunSource) -> Iterator[str]:
    """What makes earlier judgements say too much good of a run."""
    manifests = (split.manifest for split in source.splits if isinstance(split, ShardLines))
    n = sum(manifest.counts.rejected.get(JUDGED_WRONG, 0) for manifest in manifests)
    if n:
        yield (
            f"{n:,} rows that people judged wrong are left out of this run: by judgements from "
            "before its labels look better than they are; judge it with another --judgements file"
        )


def _design(known: _Known, kind: Kind, n: int) -> Design:
    labels = known.labels if kind.is_one_class else None
    doubt, draws = (np.frombuffer(each, dtype=np.float64) for each in (known.doubt, known.draws))
    return make_design(doubt, labels, draws, n)


def _counted(known: _Known, design: Design) -> tuple[int, ...]:
    rows = design.of_row[np.frombuffer(known.has_student, dtype=np.bool_)]
    counts = np.bincount(rows, minlength=len(design.strata))
    return tuple(int(each) for each in counts)


def _labelled(source: RunSource) -> Iterator[tuple[Line, bytes]]:
    for number, split in enumerate(source.splits):
        for line, place in split.lines(number):
            if line.get("label") is not None:
                yield line, place


def _reading(source: RunSource) -> AbstractContextManager[Snapshot | None]:
    return nullcontext() if source.store is None else source.store.reading()


def _chosen_rows(
    source: RunSource, known: _Known, design: Design, kind: Kind
) -> Iterator[ChosenRow]:
    for at in map(int, design.order):
        line = line_at(known.places[at], source.splits)
        row = row_digest(line["id"], fields_of(line))
        student = source.predictions and source.predictions.find(line["id"], line["index"])
        yield ChosenRow(
            line=line,
            place=known.places[at],
            stratum=int(design.of_row[at]),
            row=row,
            answer=answer_digest(row, line["label"]),
            rationale=text_digest(line.get("rationale")),
            template=template_of(line) or "",
            student=student[0] if student else None,
            has_student=bool(known.has_student[at]),
            choices=kind.choices(fields_of(line)),
        )


# What makes a label doubtful

_WORDS = ("votes", "other templates' answers", "the student's labels", "the reader's confidence")


def _named(signals: Signals) -> Iterator[str]:
    each = (signals.votes, signals.templates, signals.student, signals.reader)
    return (name for name, value in zip(_WORDS, each, strict=True) if value is not None)


def _signals(
    line: Line,
    kind: Kind,
    student: str | None,
    others: Mapping[str, Sequence[str]],
    source: RunSource,
    stored: Snapshot | None,
) -> Signals:
    label = line["label"]

    def same(other: str) -> bool:
        return other == label or kind.same(other, label, kind.choices(fields_of(line)))

    names = others.get(line["split"], ())
    said = _others_say(line, names, source, stored) if names and stored else []
    return Signals(
        votes=sureness_of(line),
        templates=sum(map(same, said)) / len(said) if said else None,
        student=None if student is None else same(student),
        reader=line.get("confidence"),
    )


def _others_say(line: Line, names: Sequence[str], source: RunSource, stored: Snapshot) -> list[str]:
    """The labels that other templates got for a row."""
    asked = next(each.asked for each in source.splits if each.split == line["split"])
    row = row_of(line)
    if asked is None or row is None:
        return []
    own, found = {*own_keys(line)}, list[str]()
    for name in names:
        key = asked.makers[0][name](row).key
        answer = None if key in own else stored.answer(key)
        if answer is not None and (label := asked.read(name, answer, row.fields).label):
            found.append(label)
    return found


def _other_templates(source: RunSource) -> dict[str, list[str]]:
    """Of each split, the templates that the store has answers of, besides those of the run: as many
    as may be read in good time, those with the most answers."""
    found: dict[str, list[str]] = {}
    with _reading(source) as stored:
        for number, split in enumerate(source.splits):
            if stored is None or split.asked is None or not split.total:
                continue
            counts = Counter[str]()
            step = max(1, split.total // _PROBED)
            for at, (line, _) in enumerate(split.lines(number)):
                row = None if at % step else row_of(line)
                if row is None:
                    continue
                own = {*own_keys(line)}
                for name, make in split.asked.makers[0].items():
                    key = make(row).key
                    counts[name] += key not in own and stored.answer(key) is not None
            most = max(1, _LOOKUPS // split.total)
            found[split.split] = [name for name, n in counts.most_common(most) if n]
    return found
