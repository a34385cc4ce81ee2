"""The plan of a run: for every row, what is asked of whom. Asking and writing both walk over it."""

import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import NamedTuple, Protocol

import orjson
from pydantic import JsonValue

from stepdistill.annotator.dataset.rows import Row, RowPass
from stepdistill.annotator.dataset.sources import Source
from stepdistill.annotator.plan.key import Endpoint, Request, RequestForm
from stepdistill.annotator.plan.model_options import LOGPROBS, ModelOptions
from stepdistill.annotator.prompt.mix import Assignment, Mix, assign
from stepdistill.annotator.prompt.render import response_format, values_for
from stepdistill.annotator.prompt.template import Template
from stepdistill.annotator.settings.rows import RowShard
from stepdistill.common.placeholders import filler
from stepdistill.common.task import TaskSpec
from stepdistill.common.uniform import uniform_of_text

_FORMAT = "response_format"
RequestMaker = Callable[[Row], Request]


class PlannedRow(NamedTuple):
    """A row with its requests."""

    row: Row
    assignment: Assignment
    label: Request
    rationale: Request | None  # the very object of `label` where one template serves both parts
    votes: tuple[Request, ...] = ()  # the label's question again, as samples 1, 2, ...

    @property
    def requests(self) -> tuple[Request, ...]:
        """The distinct requests of this row: the label's, its votes, the rationale's."""
        if self.rationale is None or self.rationale is self.label:
            return (self.label, *self.votes)
        return (self.label, *self.votes, self.rationale)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is asked about one split: rows, words, and the teacher that answers."""

    task: TaskSpec
    split: str
    source: Source
    samples: int | None  # the first rows of the source; None for all
    row_shard: RowShard | None = None  # which of these rows, where others do the rest; None: all
    chosen: tuple[int, ...] | None = None  # the places of those that are done, sorted; None: all
    mix: Mix
    templates: dict[str, Template]
    model: str
    endpoint: Endpoint
    options: ModelOptions = field(default_factory=ModelOptions)
    votes: int = 1  # how often each label is asked for, >= 1
    # 0..1: where a rationale has a template of its own, it is asked for of rows whose uniform
    # number is below this.
    rationales_below: float = 1.0
    # Response formats that the teacher refuses: one set for all that is made of a plan, filled from
    # its store and by what the teacher says (run/structured.py). It is in no digest: a run is the
    # same, however its teacher takes what it is sent.
    refused_formats: set[str] = field(default_factory=set[str])

    def count_rows(self) -> int | None:
        """How many rows there are to do; None when the source cannot say. Raises DatasetError.

        All of a local source is read, so that what is wrong in it is found before it is asked.
        """
        if self.chosen is not None:
            return len(self.own_places)
        return self.count_all() if self.row_shard is None else len(self.own_places)

    def count_all(self) -> int | None:
        """Likewise, of all shards of rows."""
        n = self.source.count()
        if n is None or self.samples is None:
            return self.samples if n is None else n
        return min(n, self.samples)

    @cached_property
    def own_places(self) -> Sequence[int]:
        """The places of the rows to do among all. A source that cannot say how many there are is
        read once for a shard's."""
        if self.chosen is not None:
            n = self.count_all()
            return [place for place in self.chosen if n is None or place < n]
        if self.row_shard is None:
            return range(sys.maxsize)
        n = self.count_all()
        return self.row_shard.rows(sum(1 for _ in self.source.rows()) if n is None else n)

    @property
    def asks_twice(self) -> bool:
        """Whether some row is asked more than one request."""
        return self.votes > 1 or self.explains_apart

    @property
    def explains_apart(self) -> bool:
        """Whether some row's label and rationale come from two templates."""
        return bool(self.mix.rationale) and self.mix.label != self.mix.rationale

    def rows(self, start: int = 0) -> Iterator[PlannedRow]:
        """A fresh pass over the rows to do from number `start` on, in the source's order."""
        yield from RowCursor(self).rows(start)

    def uniform(self, row: Row) -> float:
        """A row's number in [0, 1), seeded by the mix: the same whatever other rows there are."""
        return uniform_of_text(f"{self.mix.seed} {row.id}")

    def explains(self, row: Row) -> bool:
        """Whether a row is asked for a rationale of its own, where its template is another."""
        return self.rationales_below >= 1 or self.uniform(row) < self.rationales_below

    def request_makers(self, sample: int = 0) -> dict[str, RequestMaker]:
        """By template: what makes a row's request; sample: 0 for the first time it is asked."""
        return {name: self._maker(template, sample) for name, template in self.templates.items()}

    def _maker(self, template: Template, sample: int) -> RequestMaker:
        as_text = self._form(template, template.options, sample)
        form, wanted = as_text, None
        if template.structured:
            asked = response_format(self.task.label)
            form = self._form(template, {**template.options, _FORMAT: asked}, sample)
            wanted = key_of(asked)
        system, user = filler(template.system), filler(template.user)
        values_of, refused = values_for(self.task, template), self.refused_formats

        def make(row: Row) -> Request:
            values = values_of(row)
            # What the teacher refuses comes out while it is asked: it is looked up for each row.
            one = as_text if wanted in refused else form
            return one.request(system(values), user(values))

        return make

    def _form(self, template: Template, own: Mapping[str, JsonValue], sample: int) -> RequestForm:
        fields = self.options.apply(dict(own))  # which may leave the format out
        if template.id in self.mix.rationale and not self.mix.label.get(template.id):
            # No label is read in its answers: how probable their words are tells nothing.
            for name in self.options.body.keys() & set(LOGPROBS):
                del fields[name]
        return RequestForm(
            self.endpoint,
            self.model,
            fields,
            template.sample + sample,
            is_structured=_FORMAT in own and _FORMAT in fields,
        )

    @cached_property
    def prompts_hash(self) -> str:
        """sha256 of the mix, the templates that it uses, and the model's own body fields."""
        used = {name: self.templates[name].model_dump() for name in sorted(self.mix.templates)}
        model = self.options.model_dump(include={"leave_out", "body"})
        return _sha256({"mix": self.mix.model_dump(), "templates": used, "model": model})

    @cached_property
    def task_hash(self) -> str:
        """sha256 of the task."""
        return _sha256(self.task.model_dump())


class RowCursor:
    """The rows of a plan by their numbers. To go on is quick, and so is to have the last row once
    more; what lies further back is read anew."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._formats = {*plan.refused_formats}
        self._rows: RowPass | None = None
        self._place = self._at = 0  # of the row that comes next: among its own, and among all
        self._last: PlannedRow | None = None  # the one before it

    def rows(self, start: int = 0, stop: int = sys.maxsize) -> Iterator[PlannedRow]:
        """From number `start` on, up to `stop`, of which as many as there are. Another pass may
        begin once this one is left. Raises DatasetError."""
        if self._formats != self._plan.refused_formats:  # rows were planned before they were known
            self._rows, self._formats = None, {*self._plan.refused_formats}
        last = self._last
        if self._rows is not None and last is not None and self._place == start + 1:
            yield last
            start += 1
        if self._rows is None or self._place > start:
            self._open()
        yield from self._on(start, stop)

    def _open(self) -> None:
        plan = self._plan
        self._makers, *self._votes = [plan.request_makers(n) for n in range(plan.votes)]
        self._own = plan.own_places
        n_rows = plan.count_all() if plan.mix.assignment == "original" else None
        self._assigned = iter(assign(plan.mix, n_rows))
        self._rows = RowPass(plan.task, plan.source, plan.split, plan.samples)
        self._at = self._place = 0
        self._last = None

    def _on(self, start: int, stop: int) -> Iterator[PlannedRow]:
        assert self._rows is not None
        self._place = start
        makers, votes, explains = self._makers, self._votes, self._plan.explains
        for row, assignment in self._next_ones(start, stop):
            label = makers[assignment.label](row)
            rationale = label if assignment.rationale == assignment.label else None
            if assignment.rationale is not None and rationale is None and explains(row):
                rationale = makers[assignment.rationale](row)
            again = tuple([vote[assignment.label](row) for vote in votes]) if votes else ()
            self._last = PlannedRow(row, assignment, label, rationale, again)
            self._place += 1
            yield self._last

    def _next_ones(self, start: int, stop: int) -> Iterator[tuple[Row, Assignment]]:
        """Rows with what they are assigned, by place among all: so it is whatever is chosen."""
        assert self._rows is not None
        for first, n in _stretches(self._own, start, min(stop, len(self._own))):
            left_out, self._at = first - self._at, first
            self._rows.skip(left_out)
            next(islice(self._assigned, left_out, left_out), None)
            for row, assignment in zip(islice(self._rows, n), self._assigned, strict=False):
                self._at += 1
                yield row, assignment


def _stretches(places: Sequence[int], start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Places that follow each other: the first, and how many."""
    if isinstance(places, range):
        if stop > start:
            yield places[start], stop - start
        return
    while start < stop:
        end = start + 1
        while end < stop and places[end] == places[end - 1] + 1:
            end += 1
        yield places[start], end - start
        start = end


def key_of(response_format: object) -> str:
    """What a response format is known by."""
    return _sha256(response_format)


class RequestSource(Protocol):
    """Requests to settle."""

    @property
    def plan(self) -> Plan:
        """Whom they go to, and about which rows."""
        ...

    def requests(self) -> Iterator[Request]:
        """A fresh pass over them."""
        ...

    def count(self) -> int | None:
        """How many there are; None while nobody knows."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Unanswered:
    """What is left to settle of a plan."""

    plan: Plan
    start: int = 0  # the first row
    above: float | None = None  # a uniform number: only rationales of rows that have at least this
    every: int = 1  # one row of so many, for a look at what answers are like

    def requests(self) -> Iterator[Request]:
        """In the order of the rows."""
        if self.above is None:
            rows = islice(self.plan.rows(self.start), 0, None, self.every)
            return (each for row in rows for each in row.requests)
        return (
            planned.rationale
            for planned in self.plan.rows(self.start)
            if planned.rationale is not None and self.plan.uniform(planned.row) >= self.above
        )

    def count(self) -> int | None:
        """How many requests; None where a row may have several, or rows are not counted."""
        rows = self.plan.count_rows()
        if rows is None or self.plan.asks_twice:
            return None
        return -(-(rows - self.start) // self.every)


def name_of(plans: Iterable[Plan]) -> str:
    """A run's name, by what it asks whom about: the same whenever it is started again."""
    content = [
        [
            *(plan.task_hash, plan.prompts_hash, plan.source.digest, plan.split, plan.samples),
            *(plan.model, plan.endpoint.name, plan.endpoint.path, plan.votes),
            *([] if plan.row_shard is None else [str(plan.row_shard)]),
        ]
        for plan in plans
    ]
    return _sha256(content)[:16]


def _sha256(content: object) -> str:
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()
