"""`stepdistill predict MODEL FILE`: labels for new rows, a line for each, or beside their columns.

All rows are read before the first is answered, so that what is wrong with one is said at once. Then
they stream through: some hundreds are in memory, sorted by length among themselves, and come out in
their order. Answers to a file are kept on the way: started again, the command goes on behind them.
"""

import hashlib
import os
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import orjson

from stepdistill.common.errors import ConfigError
from stepdistill.common.files.storage import put_staged
from stepdistill.common.free_name import free_name
from stepdistill.common.tables.table_file import table_file
from stepdistill.trainer.cascade.rule import CascadeRule, read_rule
from stepdistill.trainer.errors import Stopped, Unfinished, refused
from stepdistill.trainer.inference.deferral import Deferral, lines_of, rule_for
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
from stepdistill.trainer.settings.cascade import DeferringPredictSettings

_BATCHES_AT_ONCE = 8
_MORE = {"rationale": "explain", "answered_by": "defer"}  # columns, by the option that adds them
_HINT = "; --column {}=COLUMN says which one it is"


def predict(settings: DeferringPredictSettings) -> None:
    """The command. Raises DistillError."""
    student, deferral = read_inference_settings(settings.model), _deferral(settings)
    with open_input(settings.input) as rows:
        reader = _reader(student, rows, settings)
        for number, row in rows.rows():
            reader.asked(row, rows.where(number), str(number))
            if deferral is not None:
                reader.fields(row, rows.where(number))
        if settings.target is None:
            _to_screen(reader, rows, settings)
        else:
            _to_file(reader, rows, settings, (settings.target, deferral))
            if settings.goal is not None:
                put_staged(settings.goal)


def _deferral(settings: DeferringPredictSettings) -> Deferral | None:
    """What becomes of deferred rows; None where none are deferred. Raises ConfigError."""
    if not settings.defer:
        return None
    if settings.target is None:
        raise ConfigError(
            "--defer needs --to or --output: the student answers all rows before its teacher does"
        )
    return Deferral(rule=rule_for(settings.model), settings=settings, target=settings.target)


def _reader(
    student: InferenceSettings, rows: RowInput, settings: DeferringPredictSettings
) -> RowReader:
    given = settings.given_columns
    reader = RowReader(student, given, rows.paths, _HINT)
    for name in given:
        if name not in reader.needed:
            reads = ", ".join(reader.needed)
            raise ConfigError(f"--column {name}={given[name]}: this student reads {reads}")
    return reader


def _to_screen(reader: RowReader, rows: RowInput, settings: DeferringPredictSettings) -> None:
    try:
        for lines in _answered(reader, 0, rows, settings):
            sys.stdout.buffer.write(lines)
            sys.stdout.buffer.flush()
    except BrokenPipeError:  # whoever reads has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _to_file(
    reader: RowReader,
    rows: RowInput,
    settings: DeferringPredictSettings,
    goal: tuple[Path, Deferral | None],
) -> None:
    target, deferral = goal
    option = "--output" if settings.to is None else "--to"
    if target.exists() and rows.file.exists() and target.samefile(rows.file):
        raise ConfigError(f"{option} {target}: these are your rows: name another file")
    kept = KeptAnswers(target, _identity(rows, settings, deferral), option)
    if not settings.force and kept.is_done():
        _say(f"nothing to do: {settings.goal} holds these very answers", settings)
        return
    done = 0
    try:
        with kept.lines(force=settings.force) as (file, done):
            for lines in _answered(reader, done, rows, settings):
                file.write(lines)
                file.flush()
                done += lines.count(b"\n")
            kept.through(file)
            if deferral is not None:
                _with_teacher(deferral, reader, rows, kept)
            elif settings.to is not None:
                _join(rows, kept, settings, lines_of(kept.part))
            kept.done()
    except KeyboardInterrupt:
        raise Stopped(
            f"interrupted: {done:,} of {rows.n:,} rows are answered; the same command goes on"
        ) from None


def _with_teacher(deferral: Deferral, reader: RowReader, rows: RowInput, kept: KeptAnswers) -> None:
    """Have the teacher answer the rest, and write all of it. Raises Unfinished: it did not, and the
    student's own answers stand in the file as such."""
    settings, found = deferral.settings, deferral.asked(reader, rows, kept.part)
    lines = deferral.whole(kept.part, found)
    if settings.to is not None:
        _join(rows, kept, settings, lines)
    else:
        draft = kept.target.with_name(f"{kept.target.name}.draft")
        with refused(kept.target):
            with draft.open("wb") as file:
                for line in lines:
                    file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
            draft.replace(kept.target)
    deferral.report(found, rows.n, kept.part)
    if found.failure is not None and found.is_incomplete:
        raise Unfinished(
            f"{kept.target}: where the teacher was not asked ({found.failure}), the student's own "
            "answers stand (student_unsure): the same command asks for these"
        )


def _identity(
    rows: RowInput, settings: DeferringPredictSettings, deferral: Deferral | None
) -> Identity:
    return Identity(
        model=digest_of_model(settings.model),
        rows=rows.sha256,
        explain=settings.explain,
        abstain_below=settings.abstain_below,
        columns=tuple(sorted(settings.column)),
        escape_formulas=settings.escape_formulas,
        # What comes of the teacher is put to the student's answers when all are there.
        whole_rows=settings.to is not None or deferral is not None,
        cascade=None if deferral is None else _digest(deferral.rule, settings),
    )


def _digest(rule: CascadeRule, settings: DeferringPredictSettings) -> str:
    how = f"{rule.model_dump_json()} {'lines' if settings.to is None else 'rows'}"
    return hashlib.sha256(how.encode()).hexdigest()


def _answered(
    reader: RowReader, done: int, rows: RowInput, settings: DeferringPredictSettings
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

    temperature = read_rule(settings.model).temperature if settings.defer else None

    def answer(batch: Sequence[AskedRow]) -> list[bytes]:
        lines = answer_lines(predictor, batch, explain=settings.explain, temperature=temperature)
        kept = (abstained(line, settings.abstain_below) for line in lines)
        return [orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in kept]

    asked = (reader.asked(row, rows.where(number), str(number)) for number, row in rows.rows())
    with ProgressLine("rows", rows.n - done, quiet=settings.quiet) as tick:
        for chunk in chunks(islice(asked, done, None), settings.batch_size * _BATCHES_AT_ONCE):
            answers = sorted(by_length(chunk, settings.batch_size, answer))
            yield b"".join(line for _, line in answers)
            tick(len(chunk))


def _join(
    rows: RowInput, kept: KeptAnswers, settings: DeferringPredictSettings, lines: Iterator[Line]
) -> None:
    """Write the rows with their answers beside them, in their order."""
    more = [name for name, told in _MORE.items() if getattr(settings, told)]
    wanted = ("label", "probability", *more)
    own = {name: free_name(name, rows.columns) for name in wanted}
    with (
        refused(kept.part, "read"),
        table_file(
            kept.target, [*rows.columns, *own.values()], tames=settings.escape_formulas
        ) as table,
    ):
        for (_, row), line in zip(rows.rows(), lines, strict=True):
            table.write({**row, **{own[name]: line[name] for name in wanted}})
    renamed = ", ".join(f"`{name}`" for name in wanted if own[name] != name)
    aside = f" (you have {renamed} yourself)" if renamed else ""
    columns = ", ".join(own.values())
    _say(f"{rows.n:,} rows in {settings.goal}: yours, then {columns}{aside}", settings)
    if table.warning is not None:
        _say(table.warning, settings)


def _say(line: str, settings: DeferringPredictSettings) -> None:
    if not settings.quiet:
        sys.stderr.write(f"{line}\n")
