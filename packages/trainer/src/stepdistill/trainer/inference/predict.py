"""`stepdistill predict MODEL INPUT.jsonl`: labels for new rows, a line for each.

Rows stream through: some hundreds are in memory at once, sorted by length among themselves, and
lines come out in the order of the rows. Started again, the command goes on behind the last whole
line of its output.
"""

import contextlib
import sys
from collections.abc import Generator, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import orjson

from stepdistill.common.errors import ConfigError
from stepdistill.trainer.inference.predictor import (
    AskedRow,
    Predictor,
    ProgressLine,
    abstained,
    answer_lines,
    check_explains,
    read_rows,
)
from stepdistill.trainer.settings.inference import PredictSettings

_BATCHES_AT_ONCE = 8


def predict(settings: PredictSettings) -> None:
    """The command. Raises DistillError."""
    predictor = Predictor(settings.model)
    if settings.explain:
        check_explains(predictor, "--explain")
    rows = read_rows(settings.input, predictor.settings)
    with (
        _output(settings.output) as (file, done),
        ProgressLine("rows", quiet=settings.quiet) as tick,
    ):
        for chunk in _chunks(islice(rows, done, None), settings.batch_size * _BATCHES_AT_ONCE):
            file.writelines(_answered(predictor, chunk, settings))
            file.flush()
            tick(len(chunk))


def _answered(
    predictor: Predictor, rows: Sequence[AskedRow], settings: PredictSettings
) -> list[bytes]:
    """A line for each row, in the order of the rows."""
    order = sorted(range(len(rows)), key=lambda i: len(rows[i].input))
    lines = [b""] * len(rows)
    for start in range(0, len(rows), settings.batch_size):
        places = order[start : start + settings.batch_size]
        batch = [rows[place] for place in places]
        answers = answer_lines(predictor, batch, explain=settings.explain)
        for place, line in zip(places, answers, strict=True):
            kept = abstained(line, settings.abstain_below)
            lines[place] = orjson.dumps(kept, option=orjson.OPT_APPEND_NEWLINE)
    return lines


def _chunks(rows: Iterator[AskedRow], size: int) -> Iterator[list[AskedRow]]:
    while chunk := list(islice(rows, size)):
        yield chunk


@contextlib.contextmanager
def _output(path: Path | None) -> Generator[tuple[BinaryIO, int]]:
    """(where lines go, how many are there from an earlier start)."""
    if path is None:
        yield sys.stdout.buffer, 0
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            file.seek(0)
            whole, done = 0, 0
            for line in file:
                if line.endswith(b"\n"):
                    whole, done = whole + len(line), done + 1
            file.truncate(whole)  # a torn last line is answered again
            yield file, done
    except OSError as error:
        raise ConfigError(f"--output {path}: cannot be written ({error.strerror})") from None
