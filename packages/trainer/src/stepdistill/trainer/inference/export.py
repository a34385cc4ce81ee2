"""`stepdistill export MODEL --to onnx|ctranslate2 --output DIR`: a student that needs no torch.

It is made in a draft beside the folder, labels the rows beside the student that it was made of, and
takes its place only where their labels agree.
"""

import os
import shutil
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import orjson
import torch
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from transformers.utils import logging as transformers_logging

from stepdistill.common.errors import ConfigError
from stepdistill.trainer.data.examples import eval_set
from stepdistill.trainer.data.shards import read_split
from stepdistill.trainer.errors import TrainingError, refused
from stepdistill.trainer.inference.evaluate import check_task
from stepdistill.trainer.inference.exported import (
    EXPORT_NAME,
    is_export,
    note_of,
    opened,
    write_export,
)
from stepdistill.trainer.inference.predictor import Predictor, ProgressLine, chunks
from stepdistill.trainer.inference.row_input import open_input
from stepdistill.trainer.inference.rows import AskedRow, RowReader
from stepdistill.trainer.model.answers import StudentAnswer
from stepdistill.trainer.model.encoder import trained
from stepdistill.trainer.model.engines.engine import ExportNote, size_of
from stepdistill.trainer.model.student import InferenceSettings, Student, read_inference_settings
from stepdistill.trainer.settings.cascade import CASCADE_NAME
from stepdistill.trainer.settings.inference import StudentExportSettings
from stepdistill.trainer.settings.train import RESULTS_NAME
from stepdistill.trainer.training.seals import seal, unsealed

_AT_ONCE = 32
_MOST_ROWS = 1_000  # enough to tell 99.5 % from 99 %


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What came of labelling rows by both, on one core."""

    rows: int
    rows_there: int
    equal: int  # rows whose labels are the same
    share: float
    largest_difference: float  # of the probabilities of labels that are the same
    rows_per_s: dict[str, float]  # of student and export

    def in_words(self) -> str:
        of = "" if self.rows == self.rows_there else f" of {self.rows_there:,}"
        return f"labels equal on {self.share:.2%} of {self.rows:,}{of} rows"


def export(settings: StudentExportSettings) -> None:
    """The command. Raises DistillError."""
    if is_export(settings.model):
        raise ConfigError(f"{settings.model}: is exported already: name the folder it was made of")
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    rows = _rows(read_inference_settings(settings.model), settings)
    student = _opened(settings.model)
    note = note_of(student, settings.to, settings.precision)
    with _draft(settings) as draft:
        write_export(student, settings.model, draft, note)
        del student  # its weights are of no use from here on
        check = _check(settings, draft, note, rows) if rows else None
        if check is not None and check.share < settings.agree:
            raise TrainingError(
                f"{check.in_words()}, --agree asks for {settings.agree:.2%}: the export is not kept"
            )
        # A student is flat: what lies below may be exports of it.
        size = {"student": size_of(settings.model, deep=False), "export": size_of(draft)}
        libraries = {
            name: version(name) for name in ("torch", "transformers", _LIBRARY[note.engine])
        }
        said = {
            **note.model_dump(),
            "model": str(settings.model),
            "libraries": {name: version(name) for name in libraries},
            "bytes": size,
            "check": None if check is None else asdict(check),
        }
        (draft / EXPORT_NAME).write_bytes(orjson.dumps(said, option=orjson.OPT_INDENT_2) + b"\n")
        seal(draft)
    _show(settings, check, size)


_LIBRARY = {"onnx": "onnxruntime", "ctranslate2": "ctranslate2"}


def _rows(student: InferenceSettings, settings: StudentExportSettings) -> list[AskedRow]:
    """The rows to check it on; none where nobody named any and the run's own are gone."""
    folders = settings.rows or _test_rows_of(settings.model)
    if not folders:
        return []
    only = folders[0]
    if len(folders) == 1 and isinstance(only, Path) and not only.is_dir():
        with open_input(str(only)) as given:
            reader = RowReader(student, None, given.paths)
            asked = [reader.asked(row, given.where(n), str(n)) for n, row in given.rows()]
        if not asked:
            raise ConfigError(f"--rows {folders[0]}: has no rows to check the export on")
        return asked
    split = read_split("test", folders)
    check_task(student, split, settings.model)
    rows = eval_set(split).examples
    return [AskedRow(id=row.id, input=row.input, choices=row.choices) for row in rows]


def _test_rows_of(model: Path) -> tuple[Path, ...]:
    """The folders that the run of this student was judged on, where they are still there."""
    try:
        found = orjson.loads((model.absolute().parent / RESULTS_NAME).read_bytes())
        folders = tuple(Path(name) for name in found["config"]["test"])
    except (OSError, ValueError, KeyError, TypeError):
        return ()
    return folders if all(folder.exists() for folder in folders) else ()


@contextmanager
def _draft(settings: StudentExportSettings) -> Generator[Path]:
    """A folder that becomes --output where all went well. Raises ConfigError: what is there stays
    there."""
    output = settings.output.resolve()  # what a link stands for, not the link
    _check_output(settings, output)
    draft = output.with_name(f".{output.name}.{os.getpid()}.draft")
    with refused(f"--output {settings.output}"):
        draft.mkdir(parents=True)
        try:
            yield draft
            if output.exists():
                old = draft.with_suffix(".old")
                output.replace(old)
                draft.replace(output)
                shutil.rmtree(old)
            else:
                draft.replace(output)
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def _check_output(settings: StudentExportSettings, output: Path) -> None:
    """Raises ConfigError: --output may not be replaced."""
    with refused(f"--output {settings.output}", "read"):
        if not output.exists() or (output.is_dir() and not any(output.iterdir())):
            return
        if not is_export(output):
            why = "is there, and no export: take another folder"
        elif not settings.force:
            why = "holds an export: --force replaces it"
        elif (
            other := unsealed(output, but=CASCADE_NAME)
        ) is not None:  # folders of others may have such names in them
            why = f"has {other} in it, which no export wrote: take another folder"
        else:
            return
    raise ConfigError(f"--output {settings.output}: {why}")


def _check(
    settings: StudentExportSettings, draft: Path, note: ExportNote, rows: Sequence[AskedRow]
) -> Check:
    """Label the rows by both in turns, on one core. What counts is the time of that core, which is
    much the same on a busy machine."""
    step = -(-len(rows) // _MOST_ROWS)
    taken = sorted(rows[::step], key=lambda row: len(row.input))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        pair = {
            "student": Predictor(settings.model, _opened(settings.model)),
            "export": Predictor(settings.model, opened(draft, note, 1)),
        }
        for each in pair.values():
            each.label(taken[:_AT_ONCE])  # the first time is slower
        seconds = dict.fromkeys(pair, 0.0)
        answers: dict[str, list[StudentAnswer]] = {name: [] for name in pair}
        with ProgressLine("rows", len(taken), quiet=settings.quiet) as tick:
            for part in chunks(taken, _AT_ONCE):
                for name, predictor in pair.items():
                    began = time.process_time()
                    answers[name] += predictor.label(part)
                    seconds[name] += time.process_time() - began
                tick(len(part))
    finally:
        torch.set_num_threads(before)
    same = [
        abs(one.probability - other.probability)
        for one, other in zip(*answers.values(), strict=True)
        if one.label == other.label
    ]
    return Check(
        rows=len(taken),
        rows_there=len(rows),
        equal=len(same),
        share=len(same) / len(taken),
        largest_difference=max(same, default=0.0),
        rows_per_s={name: len(taken) / spent for name, spent in seconds.items()},
    )


def _opened(folder: Path) -> Student:
    """The student as torch computes it, on the CPU."""
    known = read_inference_settings(folder)
    student = trained(folder, known.label if known.architecture == "encoder" else None)
    student.model.eval()
    return student


def _show(settings: StudentExportSettings, check: Check | None, size: dict[str, int]) -> None:
    if check is None:
        sys.stderr.write(
            "NOT CHECKED: the test rows of the run are not there; --rows FOLDER names some\n"
        )
    table = Table("", "MB", "rows a second, one core", box=SIMPLE)
    names = {"student": "torch, fp32", "export": f"{settings.to}, {settings.precision}"}
    for name, shown in names.items():
        rate = "" if check is None else f"{check.rows_per_s[name]:,.1f}"
        table.add_row(shown, f"{size[name] / 1e6:,.1f}", rate)
    console = Console(markup=False, emoji=False)
    console.print(table)
    if check is not None:
        console.print(
            f"{check.in_words()}; probabilities differ by {check.largest_difference:.1e} at most",
            soft_wrap=True,
            highlight=False,
        )
    console.print(f"{settings.output}: predict, evaluate and serve take it", highlight=False)
