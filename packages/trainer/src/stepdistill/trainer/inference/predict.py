"""`stepdistill predict MODEL FILE`: labels for new rows, a line for each, or beside their columns.

All rows are read before the first is answered, so that what is wrong with one is said at once. Then
they stream through: some hundreds are in memory, sorted by length among themselves, and come out in
their order. Answers to a file are kept on the way: started again, the command goes on behind them.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import orjson

from stepdistill.common.errors import ConfigError
from stepdistill.common.free_name import free_name
from stepdistill.common.tables.table_file import table_file
from stepdistill.trainer.errors import Stopped, refused
from stepdistill.trainer.inference.kept_answers import Identity, KeptAnswers, digest_of_model
from stepdistill.trainer.inference.predictor import (
    Line,
    Predictor,
    ProgressLine,
    abstained,
    answer_lines,
    by_length,
    check_explains,
    chunks,
)
from stepdistill.trainer.inference.row_input import RowInput, open_input
from stepdistill.trainer.inference.rows import AskedRow, RowReader
from stepdistill.trainer.model.student import InferenceSettings, read_inference_settings
from stepdistill.trainer.settings.inference import PredictSettings

_BATCHES_AT_ONCE = 8
_HINT = "; --column {}=COLUMN says which one it is"


def predict(settings: PredictSettings) -> None:
    """The command. Raises DistillError."""
    student = read_inference_settings(settings.model)
    with open_input(settings.input) as rows:
        reader = _reader(student, rows, settings)
        for number, row in rows.rows():
            reader.asked(row, rows.where(number), str(number))
        if settings.target is None:
            _to_screen(reader, rows, settings)
        else:
            _to_file(reader, rows, settings, settings.target)


def _reader(student: InferenceSettings, rows: RowInput, settings: PredictSettings) -> RowReader:
    given = settings.given_columns
    reader = RowReader(student, given, rows.paths, _HINT)
    for name in given:
        if name not in reader.needed:
            reads = ", ".join(reader.needed)
            raise ConfigError(f"--column {name}={given[name]}: this student reads {reads}")
    return reader


def _to_screen(reader: RowReader, rows: RowInput, settings: PredictSettings) -> None:
    try:
        for lines in _answered(reader, 0, rows, settings):
            sys.stdout.buffer.write(lines)
            sys.stdout.buffer.flush()
    except BrokenPipeError:  # whoever reads has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _to_file(reader: RowReader, rows: RowInput, settings: PredictSettings, target: Path) -> None:
    option = "--output" if settings.to is None else "--to"
    if target.exists() and rows.file.exists() and target.samefile(rows.file):
        raise ConfigError(f"{option} {target}: these are your rows: name another file")
    kept = KeptAnswers(target, _identity(rows, settings), option)
    if not settings.force and kept.is_done():
        _say(f"nothing to do: {target} holds these very answers", settings)
        return
    done = 0
    try:
        with kept.lines(force=settings.force) as (file, done):
            for lines in _answered(reader, done, rows, settings):
                file.write(lines)
                file.flush()
                done += lines.count(b"\n")
            kept.through(file)
            if settings.to is not None:
                _join(rows, kept, settings)
            kept.done()
    except KeyboardInterrupt:
        raise Stopped(
            f"interrupted: {done:,} of {rows.n:,} rows are answered; the same command goes on"
        ) from None


def _identity(rows: RowInput, settings: PredictSettings) -> Identity:
    return Identity(
        model=digest_of_model(settings.model),
        rows=rows.sha256,
        explain=settings.explain,
        abstain_below=settings.abstain_below,
        columns=tuple(sorted(settings.column)),
        escape_formulas=settings.escape_formulas,
        whole_rows=settings.to is not None,
    )


def _answered(
    reader: RowReader, done: int, rows: RowInput, settings: PredictSettings
) -> Iterator[bytes]:
    """The lines of the rows behind the first `done`, some hundreds at a time."""
    if done >= rows.n > 0:
        return
    predictor = Predictor(settings.model)
    if settings.explain:
        check_explains(predictor, "--explain")
    for number, row in rows.rows() if predictor.takes_options else ():
        where = rows.where(number)
        predictor.check_options(reader.asked(row, where, ""), where)

    def answer(batch: Sequence[AskedRow]) -> list[bytes]:
        lines = answer_lines(predictor, batch, explain=settings.explain)
        kept = (abstained(line, settings.abstain_below) for line in lines)
        return [orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in kept]

    asked = (reader.asked(row, rows.where(number), str(number)) for number, row in rows.rows())
    with ProgressLine("rows", rows.n - done, quiet=settings.quiet) as tick:
        for chunk in chunks(islice(asked, done, None), settings.batch_size * _BATCHES_AT_ONCE):
            answers = sorted(by_length(chunk, settings.batch_size, answer))
            yield b"".join(line for _, line in answers)
            tick(len(chunk))


def _join(rows: RowInput, kept: KeptAnswers, settings: PredictSettings) -> None:
    """Write the rows with their answers beside them, in their order."""
    wanted = ("label", "probability", *(("rationale",) if settings.explain else ()))
    own = {name: free_name(name, rows.columns) for name in wanted}
    with (
        refused(kept.part, "read"),
        kept.part.open("rb") as answers,
        table_file(
            kept.target, [*rows.columns, *own.values()], tames=settings.escape_formulas
        ) as table,
    ):
        for (_, row), answer in zip(rows.rows(), answers, strict=True):
            line: Line = orjson.loads(answer)
            table.write({**row, **{own[name]: line[name] for name in wanted}})
    renamed = ", ".join(f"`{name}`" for name in wanted if own[name] != name)
    aside = f" (you have {renamed} yourself)" if renamed else ""
    _say(
        f"{rows.n:,} rows in {kept.target}: yours, then {', '.join(own.values())}{aside}", settings
    )
    if table.warning is not None:
        _say(table.warning, settings)


def _say(line: str, settings: PredictSettings) -> None:
    if not settings.quiet:
        sys.stderr.write(f"{line}\n")
