"""What a row asks of a student, whatever the columns are called that it is read from.

A row has what a student reads under one of these names, the first of which it has all:

    {"input": {"text": ...}}        the placeholders' names, in an object of their own
    {"Body": ...}                   the columns of the rows that the teacher was asked about
    {"text": ...}                   the placeholders' names
    {"Customer's text": ...}        what `annotate new` makes `{Customer_s_text}` of
    {"input": "the text itself"}
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

from stepdistill.common.errors import DatasetError
from stepdistill.common.kinds.kind import text_of
from stepdistill.common.kinds.registry import kind_of
from stepdistill.common.paths import NOT_THERE, RawRow, getter, paths_in
from stepdistill.common.placeholders import filler, is_name, named, placeholders
from stepdistill.common.terminal import one_line
from stepdistill.trainer.model.student import InferenceSettings

_SHOWN = 12  # columns that a refusal names
_getter = lru_cache(1024)(getter)  # rows have few paths


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedRow:
    """What a row asks."""

    id: str
    input: str
    choices: tuple[str, ...]  # the labels it can have; empty where that is not known


class RowReader:
    """Reads rows for one student. given: placeholder -> column, where somebody said it.

    known: the paths that any row of the same file has; of these a row may lack some, which are
    empty then, as JSON lines leave out what is null. hint: what helps where field {} is missing.
    """

    def __init__(
        self,
        settings: InferenceSettings,
        given: Mapping[str, str] | None = None,
        known: Collection[str] = (),
        hint: str = "",
    ) -> None:
        self._label, self._kind = settings.label, kind_of(settings.label)
        self._fill = filler(settings.student.input)
        needed = [*placeholders(settings.student.input), *settings.label.options]
        self.needed = tuple(dict.fromkeys(needed))
        self._given, self._known, self._hint = given or {}, known, hint
        own = settings.columns.fields if settings.columns else {}
        # All fields of the task, as far as they are known: its teacher may read more of them.
        self._all = tuple(dict.fromkeys((*self.needed, *own)))
        plain = {name: name for name in self._all}
        self._ways = ({**plain, **own}, plain)
        self._is_open = settings.columns is None
        self._lone = settings.student.input == f"{{{self.needed[0]}}}" if self.needed else False
        self._id = settings.columns.id if settings.columns else None

    def asked(self, content: object, where: str, name: str) -> AskedRow:
        """What one row asks. name: its id where it has none. Raises DatasetError, saying where."""
        if not isinstance(content, dict):
            raise DatasetError(f'{where}: a row must be an object, like {{"input": ...}}')
        row = cast(RawRow, content)
        name, given = self._name(row) or name, row.get("input")
        values = self._values(row, self.needed)
        if values is None and isinstance(given, str):
            return AskedRow(id=name, input=given, choices=self._kind.choices({}))
        if values is None:
            values = self._with_gaps(row, self.needed)
        if values is None and "input" in row and not isinstance(given, dict):
            raise DatasetError(f"{where}: input must be a text or an object of the task's fields")
        if values is None:
            inner = cast(RawRow, given) if isinstance(given, dict) else row
            raise DatasetError(f"{where}: {self._missing(inner)}")
        options = {option: values[option] for option in self._label.options}
        return AskedRow(id=name, input=self._fill(values), choices=self._kind.choices(options))

    def fields(self, row: RawRow, where: str) -> dict[str, str]:
        """What the teacher is asked with: the task's fields of a row that `asked` took, by their
        own names. Raises DatasetError: the student can do with less."""
        given, found = row.get("input"), self._values(row, self._all)
        if found is None and not isinstance(given, str):
            found = self._with_gaps(row, self._all)
        if found is None and isinstance(given, str) and self._lone and len(self._all) == 1:
            return {self.needed[0]: given}
        if found is None:
            names = ", ".join(self._all)
            raise DatasetError(f"{where}: the teacher is asked with the fields {names}: give all")
        # Where nobody has said which fields the task has, whatever stands there may be one.
        inner = cast(RawRow, given) if isinstance(given, dict) else row
        more = inner if self._is_open else {}
        others = {
            name: text_of(value) for name, value in more.items() if _may_be_field(name, value)
        }
        return {**others, **found}

    def _name(self, row: RawRow) -> str:
        for path in filter(None, (self._id, "id")):
            try:
                return text_of(_getter(path)(row))
            except NOT_THERE:
                continue
        return ""

    def _values(self, row: RawRow, names: Sequence[str]) -> dict[str, str] | None:
        """The values of these fields, in the row's `input` or in itself; None: some are missing."""
        given = row.get("input")
        values = self._whole(cast(RawRow, given), names) if isinstance(given, dict) else None
        return self._whole(row, names) if values is None else values

    def _whole(self, row: RawRow, names: Sequence[str]) -> dict[str, str] | None:
        """The values of a row that has all under the names of one kind."""
        for way in self._ways_of(row):
            try:
                return {name: text_of(_getter(way[name])(row)) for name in names}
            except NOT_THERE:
                continue
        return None

    def _ways_of(self, row: RawRow) -> Iterator[Mapping[str, str]]:
        """placeholder -> path, by each kind of name."""
        for way in self._ways:
            yield {**way, **self._given}
        yield {**named(paths_in(row)), **self._given}

    def _with_gaps(self, row: RawRow, names: Sequence[str]) -> dict[str, str] | None:
        for way in (*self._ways, named(self._known)):
            paths = {**way, **self._given}
            if all(paths.get(name) in self._known for name in names):
                return {name: _text_or_nothing(row, paths[name]) for name in names}
        return None

    def _missing(self, row: RawRow) -> str:
        """Which fields a row lacks, and what it has."""
        has = ", ".join([one_line(str(name)) for name in row][:_SHOWN]) or "nothing"
        has += ", ..." if len(row) > _SHOWN else ""
        there = {*paths_in(row)}
        ways = [
            [name for name in self.needed if way.get(name) not in there]
            for way in self._ways_of(row)
        ]
        for name, column in self._given.items():
            if "{" not in column and column not in there:
                return f"--column {name}={column}: there is no such column (has: {has})"
        # Of the kind of names that it comes nearest to.
        lacks = min(filter(None, ways), key=len)
        names = ", ".join(lacks)
        what = f"the field {names} is" if len(lacks) == 1 else f"the fields {names} are"
        return f"{what} missing (has: {has}){self._hint.format(lacks[0])}"


def _may_be_field(name: str, value: object) -> bool:
    return is_name(name) and isinstance(value, str | int | float)


def _text_or_nothing(row: RawRow, path: str) -> str:
    try:
        return text_of(_getter(path)(row))
    except NOT_THERE:
        return ""
