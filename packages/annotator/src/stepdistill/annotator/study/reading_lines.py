"""Readings as JSON lines: what `annotate parse --jsonl` writes, read back to be compared with."""

from collections.abc import Mapping
from pathlib import Path

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from stepdistill.annotator.reading.reading import Reading
from stepdistill.annotator.study.reading_diff import Change, Place
from stepdistill.common.errors import DatasetError


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    template: str
    split: str
    index: int
    label: str | None
    rationale: str | None
    rationale_span: tuple[int, int] | None
    rule: str
    confidence: float
    reason: str | None


def is_file(side: str) -> bool:
    """Whether a side of a comparison is a file of lines, rather than a reader's name."""
    return side.endswith((".jsonl", ".json")) or "/" in side


def line_of(place: Place, reading: Reading) -> bytes:
    """One answer's reading."""
    return orjson.dumps(_placed(place) | _said(reading)) + b"\n"


def change_line(change: Change) -> bytes:
    """One answer's two readings."""
    sides = {
        name: None if reading is None else _said(reading)
        for name, reading in (("before", change.before), ("after", change.after))
    }
    return orjson.dumps(_placed(change.place) | {"change": change.kind} | sides) + b"\n"


def readings_in(path: Path) -> Mapping[Place, Reading]:
    """The readings of a file by place. Raises DatasetError."""
    try:
        with path.open("rb") as file:
            return dict(_reading(path, number, text) for number, text in enumerate(file, start=1))
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror})") from None


def _reading(path: Path, number: int, text: bytes) -> tuple[Place, Reading]:
    try:
        line = _Line.model_validate_json(text)
    except ValidationError:
        raise DatasetError(
            f"{path} line {number}: not a line of `annotate parse --jsonl`"
        ) from None
    fields = line.model_dump(exclude={"template", "split", "index"})
    return (line.template, line.split, line.index), Reading(**fields)


def _placed(place: Place) -> dict[str, object]:
    template, split, index = place
    return {"template": template, "split": split, "index": index}


def _said(reading: Reading) -> dict[str, object]:
    return {
        "label": reading.label,
        "rationale": reading.rationale,
        "rationale_span": reading.rationale_span,
        "rule": reading.rule,
        "confidence": reading.confidence,
        "reason": reading.reason,
    }
