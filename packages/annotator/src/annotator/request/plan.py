"""The plan of a run: for every row, who is asked what. Asking and writing both walk over it."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import orjson

from annotator.dataset.rows import Row, read_rows
from annotator.dataset.sources import Source
from annotator.prompt.leak import gold_words, leaks
from annotator.prompt.mix import Assignment, Mix, assign
from annotator.prompt.task import fill
from annotator.prompt.template import Template
from annotator.request.key import Endpoint, Question, Request, make_request
from annotator.request.models import ModelOptions
from common.task import TaskSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRow:
    """A row with its requests; one object serves both parts where they share a template."""

    row: Row
    assignment: Assignment
    label: Request
    rationale: Request | None

    @property
    def requests(self) -> tuple[Request, ...]:
        """The distinct requests of this row."""
        if self.rationale is None or self.rationale is self.label:
            return (self.label,)
        return (self.label, self.rationale)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is asked about one split: rows, words, and the teacher that answers."""

    task: TaskSpec
    split: str
    source: Source
    samples: int | None
    mix: Mix
    templates: dict[str, Template]
    model: str
    endpoint: Endpoint
    options: ModelOptions = field(default_factory=ModelOptions)

    @property
    def n_rows(self) -> int | None:
        """How many rows there are to do; None when the source cannot say."""
        if self.source.n is None or self.samples is None:
            return self.samples if self.source.n is None else self.source.n
        return min(self.source.n, self.samples)

    @property
    def asks_twice(self) -> bool:
        """Whether some row's label and rationale come from two requests."""
        return bool(self.mix.rationale) and self.mix.label != self.mix.rationale

    def rows(self) -> Iterator[PlannedRow]:
        """A fresh pass over the rows in the source's order."""
        rows = read_rows(self.task, self.source, self.split, self.samples)
        for row, assignment in zip(rows, assign(self.mix, self.n_rows), strict=False):
            label = self._request(assignment.label, row)
            rationale = label if assignment.rationale == assignment.label else None
            if assignment.rationale is not None and rationale is None:
                rationale = self._request(assignment.rationale, row)
            yield PlannedRow(row=row, assignment=assignment, label=label, rationale=rationale)

    def _request(self, template_id: str, row: Row) -> Request:
        template, words = self.templates[template_id], row.fields
        if template_id in self._told:
            words = {**row.fields, **gold_words(self.task, row)}
        question = Question(
            model=self.model,
            system=fill(template.system, words),
            user=fill(template.user, words),
            options=self.options.apply(template.options),
        )
        return make_request(self.endpoint, question)

    @cached_property
    def _told(self) -> set[str]:
        """The templates whose teacher is told the gold label or rationale."""
        return {name for name, each in self.templates.items() if leaks(self.task, each)}

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


def _sha256(content: object) -> str:
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()
