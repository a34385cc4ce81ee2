"""`stepdistill predict MODEL INPUT.jsonl`: labels for new rows, a line for each.

Rows stream through: some hundreds are in memory at once, sorted by length among themselves, and
lines come out in the order of the rows. Started again, the command goes on behind the last whole
line of its output.
"""

import argparse
import contextlib
import sys
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import orjson

from stepdistill.common.errors import ConfigError
from stepdistill.trainer.inference.answering import abstained, answer_lines, check_explains
from stepdistill.trainer.inference.predictor import Predictor
from stepdistill.trainer.inference.progress_line import ProgressLine
from stepdistill.trainer.inference.rows import AskedRow, read_rows
from stepdistill.trainer.settings.command_line import Parser

_BATCHES_AT_ONCE = 8
_EXAMPLES = """examples:
  stepdistill predict runs/student/model rows.jsonl --output labels.jsonl
  stepdistill predict runs/student/model rows.jsonl --explain --abstain-below 0.8

A row is a line like {"id": "7", "input": {"premise": "...", "hypothesis": "..."}}, with the fields
that the task has; the fields may also stand bare, or the input be the text itself.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What was asked for on the command line."""

    explain: bool
    abstain_below: float
    batch_size: int


def predict(arguments: Sequence[str]) -> None:
    """The command. Raises DistillError."""
    given = _options(arguments)
    wanted = Wanted(
        explain=given.explain, abstain_below=given.abstain_below, batch_size=given.batch_size
    )
    pupil = Predictor(given.model)
    if wanted.explain:
        check_explains(pupil, "--explain")
    rows = read_rows(given.input, pupil.use)
    with _output(given.output) as (file, done), ProgressLine("rows", quiet=given.quiet) as tick:
        for chunk in _chunks(islice(rows, done, None), wanted.batch_size * _BATCHES_AT_ONCE):
            file.writelines(_answered(pupil, chunk, wanted))
            file.flush()
            tick(len(chunk))


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser(
        prog="stepdistill predict",
        description="Label rows with a trained student; each line has the label's probability.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", type=Path, help="the folder `model` of a finished run")
    parser.add_argument("input", type=Path, help="rows as JSON lines")
    parser.add_argument("--output", type=Path, metavar="FILE", help="instead of the screen")
    parser.add_argument("--explain", action="store_true", help="add the student's rationale")
    parser.add_argument(
        "--abstain-below", type=float, default=0.0, metavar="P", help="no label that is less likely"
    )
    parser.add_argument("--batch-size", type=int, default=64, metavar="N", help="rows at once (64)")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    given = parser.parse_args(arguments)
    if given.batch_size < 1:
        raise ConfigError(f"--batch-size {given.batch_size}: must be 1 or more")
    return given


def _answered(pupil: Predictor, rows: Sequence[AskedRow], wanted: Wanted) -> list[bytes]:
    """A line for each row, in the order of the rows."""
    order = sorted(range(len(rows)), key=lambda i: len(rows[i].input))
    lines = [b""] * len(rows)
    for start in range(0, len(rows), wanted.batch_size):
        places = order[start : start + wanted.batch_size]
        batch = [rows[place] for place in places]
        said = answer_lines(pupil, batch, explain=wanted.explain)
        for place, line in zip(places, said, strict=True):
            kept = abstained(line, wanted.abstain_below)
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
