"""`stepdistill predict MODEL INPUT.jsonl`: labels for new rows, a line for each.

Rows stream through: some hundreds are in memory at once, sorted by length among themselves, and
lines come out in the order of the rows. Started again, the command goes on behind the last whole
line of its output.
"""

import contextlib
import sys
from collections.abc import Generator, Sequence
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import orjson

from stepdistill.trainer.errors import refused
from stepdistill.trainer.inference.predictor import (
    AskedRow,
    Predictor,
    ProgressLine,
    abstained,
    answer_lines,
    by_length,
    check_explains,
    chunks,
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
        for chunk in chunks(islice(rows, done, None), settings.batch_size * _BATCHES_AT_ONCE):
            file.writelines(_answered(predictor, chunk, settings))
            file.flush()
            tick(len(chunk))


def _answered(
    predictor: Predictor, rows: Sequence[AskedRow], settings: PredictSettings
) -> list[bytes]:
    """A line for each row, in the order of the rows."""

    def answer(batch: Sequence[AskedRow]) -> list[bytes]:
        lines = answer_lines(predictor, batch, explain=settings.explain)
        kept = (abstained(line, settings.abstain_below) for line in lines)
        return [orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in kept]

    return [line for _, line in sorted(by_length(rows, settings.batch_size, answer))]


@contextlib.contextmanager
def _output(path: Path | None) -> Generator[tuple[BinaryIO, int]]:
    """(where lines go, how many are there from an earlier start)."""
    if path is None:
        yield sys.stdout.buffer, 0
        return
    with refused(f"--output {path}"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            file.seek(0)
            whole = [len(line) for line in file if line.endswith(b"\n")]
            file.truncate(sum(whole))  # a torn last line is answered again
            yield file, len(whole)
