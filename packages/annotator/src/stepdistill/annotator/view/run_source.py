"""Rows of a run or of a task, with their labels: what the index knows of each, and its line in the
list."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from stepdistill.annotator.dataset.rows import Row
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.store.snapshot import Snapshot
from stepdistill.annotator.view.asked import Asked, stored_reply
from stepdistill.annotator.view.detail import confidence_of, detail_of, is_right, own_keys
from stepdistill.annotator.view.entry import DISAGREES, RowEntry, cut
from stepdistill.annotator.view.predictions import Predictions
from stepdistill.annotator.view.run_lines import (
    Line,
    SplitLines,
    fields_of,
    line_at,
    row_of,
)
from stepdistill.common.kinds.kind import Kind
from stepdistill.common.kinds.registry import kind_of
from stepdistill.common.task import LabelSpec

_SNIPPET = 240  # characters of a text in the list
_SEARCHED = 20_000  # characters of a text that are searched in
_FACETS = {
    "split": "split",
    "label": "label",
    "gold": "gold",
    "template": "template",
    "rejected": "rejected for",
}


@dataclass(frozen=True, kw_only=True)
class RunSource:
    """Rows of a run or of a task."""

    title: str
    content: str  # changes with what its lines are made of
    compared_with: str  # changes with the store
    label: LabelSpec
    splits: list[SplitLines]
    store: ResponseStore | None
    predictions: Predictions | None
    remarks: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Changes with what the index would hold."""
        return hashlib.sha256(self.content.encode("utf-8", "surrogateescape")).hexdigest()

    @property
    def facets(self) -> Mapping[str, str]:
        """What rows are chosen by."""
        return _FACETS | ({"student": "student's label"} if self.predictions else {})

    @property
    def total(self) -> int:
        """How many rows there are."""
        return sum(split.total for split in self.splits)

    @cached_property
    def _kind(self) -> Kind:
        return kind_of(self.label)

    def entries(self, start: int) -> Iterator[RowEntry]:
        """Every row from this one on. Raises DistillError."""
        lines = (
            (line, place)
            for number, split in enumerate(self.splits)
            for line, place in split.lines(number)
        )
        for line, place in islice(lines, start, None):
            yield self._entry(line, place)

    def _entry(self, line: Line, place: bytes) -> RowEntry:
        label, gold, votes = line.get("label"), line.get("gold"), line.get("label_votes")
        fields = fields_of(line)
        student = self._student(line)
        bits = 0
        if label is not None and gold is not None and not self._same(label, gold, fields):
            bits |= DISAGREES["teacher / gold"]
        if votes and len(votes) > 1:
            bits |= DISAGREES["vote / vote"]
        if student is not None and label is not None and not self._same(student, label, fields):
            bits |= DISAGREES["teacher / student"]
        if student is not None and gold is not None and not self._same(student, gold, fields):
            bits |= DISAGREES["student / gold"]
        said: list[str | None] = [label, gold, line.get("rationale")]
        rejected: list[str | None] = [line.get(each) for each in ("reason", "detail", "answer")]
        texts = (line["id"], *fields.values(), *said, *rejected)
        return RowEntry(
            words={
                "split": line["split"],
                "label": label,
                "gold": gold,
                "template": template_of(line),
                "rejected": line.get("reason"),
                "student": student,
            },
            confidence=confidence_of(line),
            disagrees=bits,
            text="\n".join([text[:_SEARCHED] for text in texts if text]),
            place=place,
        )

    def _same(self, one: str, other: str, fields: Mapping[str, str]) -> bool:
        return one == other or self._kind.same(one, other, self._kind.choices(fields))

    def _student(self, line: Line) -> str | None:
        return self.predictions and self.predictions.label(line["id"], line["index"])

    def can_compare(self, places: Sequence[bytes]) -> bool:
        """Whether the store has answers of other templates to one of these rows, or one of them
        can be read in another way."""
        return any(bits is not None for bits in self._compared(places))

    def comparisons(self, places: Sequence[bytes]) -> list[int]:
        """The bits of rows that other templates' answers, or another reader, disagree about."""
        return [bits or 0 for bits in self._compared(places)]

    def _compared(self, places: Sequence[bytes]) -> list[int | None]:
        lines = [line_at(place, self.splits) for place in places]
        with self._reading() as stored:
            return [compared(line, self._asked(line), stored) for line in lines]

    def _reading(self) -> AbstractContextManager[Snapshot | None]:
        return nullcontext() if self.store is None else self.store.reading()

    def summary(self, place: bytes) -> dict[str, object]:
        """A row as a line of the list."""
        line = line_at(place, self.splits)
        fields = fields_of(line)
        with self._reading() as stored:
            usd = _usd(line, self._asked(line), stored)
        return {
            "id": cut(line["id"], _SNIPPET),
            "split": line["split"],
            "index": line["index"],
            "input": [[name, cut(text, _SNIPPET)] for name, text in fields.items()],
            "label": cut(line.get("label"), _SNIPPET),
            "is_right": is_right(line, self._kind),
            "gold": cut(line.get("gold"), _SNIPPET),
            "student": cut(self._student(line), _SNIPPET),
            "rationale": cut(line.get("rationale"), _SNIPPET),
            "template": template_of(line),
            "confidence": confidence_of(line),
            "votes": line.get("label_votes"),
            "rejected": line.get("reason"),
            "why": cut(line.get("detail"), _SNIPPET),
            "usd": usd,
        }

    def detail(self, place: bytes) -> dict[str, object]:
        """All that is known of a row."""
        line = line_at(place, self.splits)
        with self._reading() as stored:
            told = detail_of(line, self._asked(line), stored, self._kind)
        return {**told, "student": self._student(line), "template": template_of(line)}

    def _asked(self, line: Line) -> Asked | None:
        return next(each.asked for each in self.splits if each.split == line["split"])


def template_of(line: Line) -> str | None:
    """The template that a row's label is from, and its rationale's where that is another one."""
    templates = line.get("templates")
    if templates is None:
        return line.get("template")
    label, rationale = templates["label"], templates["rationale"]
    return label if rationale in (None, label) else f"{label} + {rationale}"


def label_template(line: Line) -> str | None:
    """The template that a row's label was asked with."""
    templates = line.get("templates")
    return line.get("template") if templates is None else templates["label"]


def _usd(line: Line, asked: Asked | None, stored: Snapshot | None) -> float | None:
    """What a row's answers cost together; None where nobody knows."""
    if asked is None or stored is None:
        return None
    keys, row = own_keys(line), row_of(line)
    if len(asked.makers) > 1 and row is not None:
        keys = [*keys, *(key for key, each in asked.requests(row).items() if each.sample)]
    answers = [
        answer for key in dict.fromkeys(keys) if (answer := stored_reply(stored, key).answer)
    ]
    each = [asked.usd(answer) for answer in answers]
    return None if not each or None in each else sum(usd or 0.0 for usd in each)


def compared(line: Line, asked: Asked | None, stored: Snapshot | None) -> int | None:
    """Bits of whether templates, and readers, disagree about a row; None where it has no answer of
    another template and can be read in one way only."""
    row = row_of(line)
    if asked is None or stored is None or row is None:
        return None
    own, keys, found, bits = label_template(line), own_keys(line)[:1], False, 0
    labels = [line.get("label")]
    for template, make in asked.makers[0].items():
        key = make(row).key
        answer = stored_reply(stored, key).answer
        if answer is None:
            continue
        label = asked.read(template, answer, row.fields).label
        # Of its own template the row's label counts, which several votes may have made.
        if template != own and key not in keys:
            found = True
            labels.append(label)
        elif template in asked.other_readers:
            found = True
            other = asked.other_readers[template].read(answer.words, row.fields).label
            if other != label and not (other and label and _agree(asked, label, other, row)):
                bits |= DISAGREES["reader / reader"]
    first, *others = [label for label in labels if label is not None] or [None]
    if first is not None and not all(_agree(asked, first, other, row) for other in others):
        bits |= DISAGREES["template / template"]
    return bits if found else None


def _agree(asked: Asked, one: str, other: str | None, row: Row) -> bool:
    kind = asked.rules.kind
    return other is not None and kind.same(one, other, kind.choices(row.fields))
