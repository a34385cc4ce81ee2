"""Tasks and files of rows for these tests."""

import csv
import gzip
from pathlib import Path
from typing import Any, cast

import orjson
import pyarrow
import pyarrow.parquet

from stepdistill.annotator.dataset.rows import Row, read_rows
from stepdistill.annotator.dataset.sources import open_source
from stepdistill.common.task import TaskSpec

RAW: list[dict[str, Any]] = [
    {"uid": "a", "text": "Zürich \U0001f600", "label": 0},
    {"uid": "b", "text": 'two\nlines, "quoted"', "label": 2},
    {"uid": "c", "text": "", "label": 1},
]


def a_task(**changes: Any) -> TaskSpec:
    """A task with one field, `text`; changes replace its parts."""
    parts: dict[str, Any] = {
        "task": "sums",
        "fields": {"text": "text"},
        "label": {"kind": "text"},
        "student": {"input": "{text}"},
    }
    return TaskSpec.model_validate({**parts, **changes})


def rows_of(task: TaskSpec, path: Path, samples: int | None = None) -> list[Row]:
    """The rows of split `train` in a file or folder."""
    return list(read_rows(task, open_source(task, str(path), "train"), "train", samples))


def json_lines(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(orjson.dumps(row) + b"\n" for row in rows)


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    """A file of the kind that its name says."""
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(json_lines(rows)))
    elif path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".parquet":
        table: Any = cast(Any, pyarrow).Table.from_pylist(rows)
        cast(Any, pyarrow.parquet).write_table(table, path)
    else:
        path.write_bytes(json_lines(rows))
    return path
