"""The plan of a run: for every row, who is asked what. Asking and writing both walk over it."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import NamedTuple, Protocol

import orjson

from stepdistill.annotator.dataset.rows import Row, read_rows
from stepdistill.annotator.dataset.sources import Source
from stepdistill.annotator.plan.key import Endpoint, Request, RequestForm
from stepdistill.annotator.plan.model_options import ModelOptions
from stepdistill.annotator.prompt.mix import Assignment, Mix, assign
from stepdistill.annotator.prompt.render import response_format, values_for
from stepdistill.annotator.prompt.template import Template
from stepdistill.common.placeholders import filler
from stepdistill.common.task import TaskSpec
from stepdistill.common.uniform import uniform_of_text

Asked = Callable[[Row], Request]


class PlannedRow(NamedTuple):
    """A row with its requests; one object serves both parts where they share a template.

    votes: the label's question, asked again.
    """

    row: Row
    assignment: Assignment
    label: Request
    rationale: Request | None
    votes: tuple[Request, ...] = ()

    @property
    def requests(self) -> tuple[Request, ...]:
        """The distinct requests of this row: the label's, its votes, the rationale's."""
        if self.rationale is None or self.rationale is self.label:
            return (self.label, *self.votes)
        return (self.label, *self.votes, self.rationale)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is asked about one split: rows, words, and the teacher that answers.

    samples: the first so many rows, None for all. votes: how often each label is asked for.
    rationales_below: a rationale of its own template is asked for where the row's draw (0 to 1) is
    below this.
    """

    task: TaskSpec
    split: str
    source: Source
    samples: int | None
    mix: Mix
    templates: dict[str, Template]
    model: str
    endpoint: Endpoint
    options: ModelOptions = field(default_factory=ModelOptions)
    votes: int = 1
    rationales_below: float = 1.0

    def count_rows(self) -> int | None:
        """How many rows there are to do; None when the source cannot say. Raises DatasetError.

        All of a local source is read, so that what is wrong in it is found before it is asked.
        """
        n = self.source.count()
        if n is None or self.samples is None:
            return self.samples if n is None else n
        return min(n, self.samples)

    @property
    def asks_twice(self) -> bool:
        """Whether some row is asked more than one request."""
        return self.votes > 1 or self.explains_apart

    @property
    def explains_apart(self) -> bool:
        """Whether some row's label and rationale come from two templates."""
        return bool(self.mix.rationale) and self.mix.label != self.mix.rationale

    def rows(self, start: int = 0) -> Iterator[PlannedRow]:
        """A fresh pass over the rows from number `start` on, in the source's order."""
        asked, *again = [self.asking(sample) for sample in range(self.votes)]
        rows = read_rows(self.task, self.source, self.split, self.samples)
        n_rows = self.count_rows() if self.mix.assignment == "original" else None
        pairs = zip(rows, assign(self.mix, n_rows), strict=False)
        for row, assignment in islice(pairs, start, None):
            label = asked[assignment.label](row)
            rationale = label if assignment.rationale == assignment.label else None
            if assignment.rationale is not None and rationale is None and self._explained(row):
                rationale = asked[assignment.rationale](row)
            votes = tuple([each[assignment.label](row) for each in again]) if again else ()
            yield PlannedRow(row, assignment, label, rationale, votes)

    def uniform(self, row: Row) -> float:
        """A row's number in [0, 1), seeded by the mix: the same whatever other rows there are."""
        return uniform_of_text(f"{self.mix.seed} {row.id}")

    def _explained(self, row: Row) -> bool:
        return self.rationales_below >= 1 or self.uniform(row) < self.rationales_below

    def asking(self, sample: int = 0) -> dict[str, Asked]:
        """How each template asks for a row, the so-manieth time."""
        return {name: self._asked(template, sample) for name, template in self.templates.items()}

    def _asked(self, template: Template, sample: int) -> Asked:
        options = dict(template.options)
        if template.structured:
            options["response_format"] = response_format(self.task.label)
        form = RequestForm(self.endpoint, self.model, self.options.apply(options), sample)
        system, user = filler(template.system), filler(template.user)
        values_of = values_for(self.task, template)

        def ask(row: Row) -> Request:
            values = values_of(row)
            return form.request(system(values), user(values))

        return ask

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


class RequestSource(Protocol):
    """Requests to settle. plan: whom they go to, and about which rows."""

    @property
    def plan(self) -> Plan: ...

    def requests(self) -> Iterator[Request]:
        """A fresh pass over them."""
        ...

    def count(self) -> int | None:
        """How many there are; None while nobody knows."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Unanswered:
    """What is left to settle of a plan: its rows from number `start` on.

    above: only the reasons of rows whose lot is at least this; all else has been settled.
    every: only one of so many rows, for a look at what answers are like.
    """

    plan: Plan
    start: int = 0
    above: float | None = None
    every: int = 1

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
        ]
        for plan in plans
    ]
    return _sha256(content)[:16]


def _sha256(content: object) -> str:
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()
