"""Rows to answer: JSON lines of `{"id": "7", "input": {...}}`, of texts, or of bare fields."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import orjson

from stepdistill.common.errors import DatasetError
from stepdistill.common.placeholders import filler
from stepdistill.trainer.model.use import InferenceSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedRow:
    """What a row asks. choices: the labels it can have; empty where that is not known."""

    id: str
    input: str
    choices: tuple[str, ...]


def read_rows(path: Path, use: InferenceSettings) -> Iterator[AskedRow]:
    """The rows of a file, one at a time. Raises DatasetError with the line that is wrong."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    where = f"{path} line {number}"
                    yield row_of(_parsed(line, where), where, str(number), use)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror})") from None


def row_of(content: object, where: str, name: str, use: InferenceSettings) -> AskedRow:
    """One row from its JSON. name: its id where it has none. Raises DatasetError, saying where."""
    if not isinstance(content, dict):
        raise DatasetError(f'{where}: a row must be an object, like {{"input": ...}}')
    fields = cast(dict[str, object], content)
    name = str(fields.get("id", name))
    given = fields.get("input", fields)
    if isinstance(given, str):
        return AskedRow(id=name, input=given, choices=tuple(use.label.classes))
    if not isinstance(given, dict):
        raise DatasetError(f"{where}: input must be a text or an object of the task's fields")
    values = {key: str(value) for key, value in cast(dict[str, object], given).items()}
    try:
        text = filler(use.student.input)(values)
        options = [values[option] for option in use.label.options]
    except KeyError as error:
        raise DatasetError(f"{where}: the field {error.args[0]} is missing") from None
    return AskedRow(
        id=name, input=text, choices=tuple(dict.fromkeys([*use.label.classes, *options]))
    )


def _parsed(line: bytes, where: str) -> object:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise DatasetError(f"{where}: not JSON ({error})") from None
