"""Stored answers read again: every template, every teacher; and what two ways of reading change."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import orjson
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from stepdistill.annotator.plan.plan import Plan, PlannedRow, RowCursor
from stepdistill.annotator.reading.readers import ORIGINAL, Readers, make_readers
from stepdistill.annotator.reading.reading import Reading
from stepdistill.annotator.reading.record import read_answer
from stepdistill.annotator.reading.rejection import ANSWER
from stepdistill.annotator.run.chunks import all_cores, in_chunks
from stepdistill.annotator.run.planning import make_template_plan
from stepdistill.annotator.run.structured import recall_formats
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.store.check import Tell, contents_of
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.store.snapshot import Snapshot
from stepdistill.common.errors import ConfigError, DatasetError

AnswerId = tuple[str, str, int]  # template, split, index of the row
CHANGES = ("found", "lost", "other", "rationale")
NOT_READ = "not read"
_DATE = re.compile(r"-(?:\d{4}|\d{4}-\d{2}-\d{2})$")  # gpt-4-0613, gpt-4o-2024-08-06


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer:
    """An answer and what was read in it; twice, where two templates have the same words."""

    id: AnswerId
    key: bytes  # that it is stored under
    begins: str  # its first ANSWER characters
    readings: tuple[Reading, ...]  # one by each reader

    @property
    def template(self) -> str:
        """The template's id."""
        return self.id[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One answer that is read in two ways."""

    id: AnswerId
    # The label is `found` by the second way alone, `lost` in it, an `other` one, or the same and
    # only the `rationale` differs.
    kind: str
    before: Reading | None  # None: a file of readings lacks the answer
    after: Reading | None


@dataclass(slots=True, kw_only=True)
class ReadingTally:
    """How many answers were compared, and the changes among them."""

    compared: int = 0
    # (rule before, rule after) -> kind of change -> how many
    by_rules: defaultdict[tuple[str, str], Counter[str]] = field(
        default_factory=lambda: defaultdict(Counter)
    )

    def changes(
        self, pairs: Iterable[tuple[AnswerId, Reading | None, Reading | None]]
    ) -> Iterator[Change]:
        """The changes among pairs of readings, counted as they pass."""
        for answer_id, before, after in pairs:
            self.compared += 1
            kind = kind_of(before, after)
            if kind is not None:
                self.by_rules[rule_name(before), rule_name(after)][kind] += 1
                yield Change(id=answer_id, kind=kind, before=before, after=after)


def kind_of(before: Reading | None, after: Reading | None) -> str | None:
    """What kind of change it is; None for none."""
    old, new = (reading and reading.label for reading in (before, after))
    if old != new:
        return "found" if old is None else "lost" if new is None else "other"
    same = (before and before.rationale) == (after and after.rationale)
    return None if same else "rationale"


def rule_name(reading: Reading | None) -> str:
    """The rule that read a label, or why there is none."""
    if reading is None:
        return NOT_READ
    return reading.rule if reading.label is not None else f"none: {reading.reason}"


def teachers_of(store: ResponseStore, tell: Tell) -> list[str]:
    """Every model that the store has answers of, as it may have been asked for."""
    named = contents_of(store, tell).by_model
    # A server may answer with the name of a dated version of what was asked for.
    return sorted({*named, *(_DATE.sub("", name) for name in named)})


class Rereading:
    """The stored answers about one split, by any of these teachers, and who can read them."""

    def __init__(
        self,
        config: RunSettings,
        teachers: Sequence[str],
        templates: Sequence[str],
        readers: tuple[str, ...],
    ) -> None:
        """templates: empty for all; those without regexes are then left out where `original` reads.
        Raises PromptError, DatasetError and ConfigError."""
        plans = [
            make_template_plan(replace(config, teacher=teacher), tuple(templates))
            for teacher in teachers
        ]
        self.left_out = 0
        if ORIGINAL in readers and not templates:
            plans, self.left_out = _with_regexes(plans)
        self._plans, self._store_path = plans, config.store
        self._work = [_ReadChunk(plan=plan, names=readers) for plan in plans]
        for work in self._work[:1]:  # all plans have the same templates
            assert work.readers is not None
        self._cores = all_cores(config.processes)

    def answers(self, store: ResponseStore, tell: Tell) -> Iterator[StoredAnswer]:
        """All of them. Raises DatasetError where there is none."""
        found = None
        for found in self._stored(store, tell):
            yield found
        if found is None:
            teachers = ", ".join(plan.model for plan in self._plans) or "anybody"
            raise DatasetError(
                f"--store {self._store_path} has no answer to these rows by {teachers}: other rows "
                "(--data, --split), other --prompts, a --teacher or its --base-url?"
            )

    def _stored(self, store: ResponseStore, tell: Tell) -> Iterator[StoredAnswer]:
        """Plan by plan and row by row, whatever the store has of a plan's templates."""
        n_rows = 0
        recall_formats(store, self._plans)
        for work in self._work:
            cursor = RowCursor(work.plan)
            with closing(in_chunks(work, cursor, 0, store, self._cores)) as chunks:
                for n, answers in chunks:
                    yield from answers
                    n_rows += n
                    tell(n_rows)


@dataclass(frozen=True, kw_only=True)
class _ReadChunk:
    """Reads the stored answers to a chunk of rows, whatever the plan's mix would ask them."""

    plan: Plan
    names: tuple[str, ...]  # of readers

    def __reduce__(self) -> tuple[object, ...]:
        return _read_chunk, (self.plan, self.names)

    @cached_property
    def readers(self) -> list[Readers]:
        """Made anew in every process. Raises ConfigError: there is no such reader."""
        task, templates = self.plan.task, self.plan.templates
        return [make_readers(name, task.label, templates) for name in self.names]

    def __call__(
        self, rows: Iterator[PlannedRow], stored: Snapshot
    ) -> tuple[int, list[StoredAnswer]]:
        asked = self.plan.request_makers()
        n, found = 0, list[StoredAnswer]()
        for planned in rows:
            n, row = n + 1, planned.row
            for template, request_of in asked.items():
                key = request_of(row).key
                answer = stored.answer(key)
                if answer is not None:
                    by_template = (each.by_template[template] for each in self.readers)
                    readings = [read_answer(answer, row.fields, each) for each in by_template]
                    found.append(
                        StoredAnswer(
                            id=(template, row.split, row.index),
                            key=key,
                            begins=answer.text[:ANSWER],
                            readings=tuple(readings),
                        )
                    )
        return n, found


def _read_chunk(plan: Plan, names: tuple[str, ...]) -> _ReadChunk:
    return _ReadChunk(plan=plan, names=names)


def _with_regexes(plans: list[Plan]) -> tuple[list[Plan], int]:
    """The plans without the templates that the original reader cannot read, and how many."""
    kept: list[Plan] = []
    for plan in plans:
        templates = {name: each for name, each in plan.templates.items() if each.original}
        if not templates:
            raise ConfigError(
                f"--reader original: task {plan.task.task} has no imported templates: "
                "annotate import-original FOLDER --prompts, and the same --prompts here"
            )
        kept.append(replace(plan, templates=templates))
    return kept, len(plans[0].templates) - len(kept[0].templates) if plans else 0


class _Line(BaseModel):
    """A line of `annotate parse --jsonl`: where the answer is from, the fields of a Reading, and
    what was read."""

    model_config = ConfigDict(extra="allow", frozen=True)

    template: str
    split: str
    index: int
    key: str | None = None  # missing from lines of earlier versions
    answer: str | None = None  # how it begins


_READING = TypeAdapter(Reading)


def is_file(side: str) -> bool:
    """Whether a side of a comparison is a file of lines, rather than a reader's name."""
    return side.endswith((".jsonl", ".json")) or "/" in side


def reading_line(stored: StoredAnswer, reading: Reading) -> bytes:
    """One answer's reading as a JSON line."""
    read = {"key": stored.key.hex(), "answer": stored.begins}
    return orjson.dumps(_id_fields(stored.id) | _reading_fields(reading) | read) + b"\n"


def change_line(change: Change) -> bytes:
    """One answer's two readings as a JSON line."""
    before, after = (each and _reading_fields(each) for each in (change.before, change.after))
    fields = {"change": change.kind, "before": before, "after": after}
    return orjson.dumps(_id_fields(change.id) | fields) + b"\n"


def readings_in(path: Path) -> Mapping[AnswerId, Reading]:
    """The readings of a file of JSON lines. Raises DatasetError."""
    try:
        with path.open("rb") as file:
            return dict(_reading(path, number, line) for number, line in enumerate(file, start=1))
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror})") from None


def _reading(path: Path, number: int, text: bytes) -> tuple[AnswerId, Reading]:
    try:
        line = _Line.model_validate_json(text)
        reading = _READING.validate_python(line.model_extra)
    except ValidationError:
        raise DatasetError(
            f"{path} line {number}: not a line of `annotate parse --jsonl`"
        ) from None
    return (line.template, line.split, line.index), reading


def _reading_fields(reading: Reading) -> dict[str, object]:
    """What was read; not what the teacher thought, which can be longer than all the rest."""
    fields = reading._asdict()
    del fields["thoughts"]
    return fields


def _id_fields(answer_id: AnswerId) -> dict[str, object]:
    return dict(zip(("template", "split", "index"), answer_id, strict=True))
