"""Rows to answer: JSON lines of `{"id": "7", "input": {...}}`, of texts, or of bare fields."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import orjson

from common.errors import DatasetError
from common.task import LabelSpec, StudentSpec
from trainer.data.examples import fill


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedRow:
    """What a row asks. choices: the labels it can have; empty where that is not known."""

    id: str
    input: str
    choices: tuple[str, ...]


def read_rows(path: Path, label: LabelSpec, student: StudentSpec) -> Iterator[AskedRow]:
    """The rows of a file, one at a time. Raises DatasetError with the line that is wrong."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _row(line, f"{path} line {number}", str(number), label, student)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror})") from None


def _row(line: bytes, where: str, number: str, label: LabelSpec, student: StudentSpec) -> AskedRow:
    try:
        content: object = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise DatasetError(f"{where}: not JSON ({error})") from None
    if not isinstance(content, dict):
        raise DatasetError(f'{where}: a row must be an object, like {{"input": ...}}')
    fields = cast(dict[str, object], content)
    name = str(fields.get("id", number))
    given = fields.get("input", fields)
    if isinstance(given, str):
        return AskedRow(id=name, input=given, choices=tuple(label.classes))
    values = {key: str(value) for key, value in cast(dict[str, object], given).items()}
    try:
        text = fill(student.input, values)
        options = [values[option] for option in label.options]
    except KeyError as error:
        raise DatasetError(f"{where}: the field {error.args[0]} is missing") from None
    return AskedRow(id=name, input=text, choices=tuple(dict.fromkeys([*label.classes, *options])))
