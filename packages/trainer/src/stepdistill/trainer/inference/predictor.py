"""A trained student that answers: rows read, labels and rationales, the lines that people get."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from transformers.utils import logging as transformers_logging

from stepdistill.common.errors import ConfigError, DatasetError
from stepdistill.common.kinds.registry import kind_of
from stepdistill.trainer.cascade.temperature import DIGITS, confidence
from stepdistill.trainer.data.tokens import Ints
from stepdistill.trainer.inference.exported import is_export, open_export
from stepdistill.trainer.inference.rows import AskedRow
from stepdistill.trainer.model.answers import (
    StudentAnswer,
    generate,
    label,
    rationale_in,
)
from stepdistill.trainer.model.encoder import trained
from stepdistill.trainer.model.student import (
    InferenceSettings,
    Student,
    read_inference_settings,
)
from stepdistill.trainer.model.tokenizer import encoder_of

_T = TypeVar("_T")


def chunks(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    """`size` items at once, as long as there are some."""
    left = iter(items)
    while chunk := list(islice(left, size)):
        yield chunk


def by_length(
    rows: Sequence[AskedRow], size: int, answer: Callable[[Sequence[AskedRow]], Sequence[_T]]
) -> Iterator[tuple[int, _T]]:
    """(a row's place, its answer), `size` rows at once, those alike in length together."""
    order = sorted(range(len(rows)), key=lambda place: len(rows[place].input))
    for places in chunks(order, size):
        yield from zip(places, answer([rows[place] for place in places]), strict=True)


_MOST_OPTIONS = 1_000


def opened_student(folder: Path, settings: InferenceSettings) -> Student:
    """The student in a folder, exported or not. Raises StudentError."""
    if is_export(folder):
        return open_export(folder)
    is_classifier = settings.architecture == "encoder"
    student = trained(folder, settings.label if is_classifier else None)
    student.model.to("cuda" if torch.cuda.is_available() else "cpu")
    student.model.eval()
    return student


class Predictor:
    """Answers rows; loaded once."""

    def __init__(self, folder: Path, student: Student | None = None) -> None:
        """student: of this folder, where it is open already."""
        self.settings: InferenceSettings = read_inference_settings(folder)
        self.kind = kind_of(self.settings.label)
        transformers_logging.set_verbosity_error()
        transformers_logging.disable_progress_bar()
        self.is_classifier = self.settings.architecture == "encoder"  # and says no words
        self._student: Student = student or opened_student(folder, self.settings)
        # Whether the student has learnt to give reasons.
        self.explains = self.settings.explain_prefix is not None or self.settings.with_label

    @property
    def takes_options(self) -> bool:
        """Whether each row brings the labels that it can have."""
        return self.settings.label.kind == "options"

    def check_options(self, row: AskedRow, where: str) -> None:
        """Raises DatasetError: a row brings more options than may be, or longer ones than the
        student answers with; each of them is scored, and others wait for it."""
        longest = self.settings.max_target_tokens
        if not self.takes_options:
            return
        if len(row.choices) > _MOST_OPTIONS:
            raise DatasetError(f"{where}: {len(row.choices):,} options, {_MOST_OPTIONS:,} may be")
        spelt = encoder_of(self._student.tokenizer)(row.choices, longest + 1)
        for number, ids in enumerate(spelt, start=1):
            if len(ids) > longest:
                raise DatasetError(
                    f"{where}: option {number} is longer than the {longest} tokens that the "
                    "student answers with"
                )

    def label(self, rows: Sequence[AskedRow]) -> list[StudentAnswer]:
        """The rows' labels, each with its probability."""
        return [replace(each, logs=()) for each in self.label_with_logs(rows)]

    def label_with_logs(self, rows: Sequence[AskedRow]) -> list[StudentAnswer]:
        """The same, with the log probabilities that each comes from."""
        return self._label(rows, [row.choices for row in rows])

    def label_freely(self, rows: Sequence[AskedRow]) -> list[StudentAnswer]:
        """The same where what the student says counts, whatever labels a row can have."""
        return [replace(each, logs=()) for each in self._label(rows, [()] * len(rows))]

    def _label(
        self, rows: Sequence[AskedRow], choices: Sequence[tuple[str, ...]]
    ) -> list[StudentAnswer]:
        settings = self.settings
        answers = label(
            self._student,
            self._encode(settings.prefix, rows),
            choices,
            settings.max_label_tokens or settings.max_target_tokens,
            whole=not settings.with_label,
        )
        return [replace(each, label=self.kind.label_of(each.label)) for each in answers]

    def explain(self, rows: Sequence[AskedRow]) -> list[str]:
        """The rows' rationales, greedily. The student must have learnt to give them."""
        settings = self.settings
        prefix = settings.prefix if settings.with_label else settings.explain_prefix
        assert prefix is not None  # the command looked
        texts = generate(self._student, self._encode(prefix, rows), settings.max_target_tokens)
        return list(map(rationale_in, texts)) if settings.with_label else texts

    def _encode(self, prefix: str, rows: Sequence[AskedRow]) -> list[Ints]:
        texts = [prefix + row.input for row in rows]
        encode = encoder_of(self._student.tokenizer)
        longest = self._student.input_limit(self.settings.max_input_tokens)
        return [np.array(ids) for ids in encode(texts, longest)]


Line = dict[str, object]


def answer_lines(
    predictor: Predictor,
    rows: Sequence[AskedRow],
    *,
    explain: bool,
    temperature: float | None = None,
) -> list[Line]:
    """id, label and probability of each row, and with `explain` its rationale; one batch.

    label: None where what the student says is none, such as a number out of the task's bounds.
    temperature: makes the probability that of a cascade (`cascade/temperature.py`).
    """
    asked = predictor.label if temperature is None else predictor.label_with_logs
    lines: list[Line] = []
    for row, answer in zip(rows, asked(rows), strict=True):
        said = predictor.kind.said(answer.label)
        probability = round(answer.probability, DIGITS)
        if temperature is not None:
            probability = confidence(answer, temperature) if said is not None else 0.0
        lines.append({"id": row.id, "label": said, "probability": probability})
    if explain:
        for line, rationale in zip(lines, predictor.explain(rows), strict=True):
            line["rationale"] = rationale
    return lines


def abstained(line: Line, below: float) -> Line:
    """The line, without a label that is less likely than `below`."""
    probability = line["probability"]
    assert isinstance(probability, float)
    return line if probability >= below else {**line, "label": None}


def check_explains(predictor: Predictor, option: str) -> None:
    """Raises ConfigError, naming the option that asks a student for reasons it cannot give."""
    if not predictor.explains:
        what = "is a classifier and gives no reasons"
        why = what if predictor.is_classifier else "has not learnt to explain"
        raise ConfigError(f"{option}: this student of {predictor.settings.task} {why}")


_EVERY_S = 5.0


class ProgressLine(AbstractContextManager["ProgressLine"]):
    """Called with what was just done. quiet: says nothing. total: None where nobody knows."""

    def __init__(self, what: str, total: int | None = None, *, quiet: bool) -> None:
        self._what, self._total, self._quiet = what, total, quiet
        self._done = 0
        self._began = self._shown = time.monotonic()

    def __call__(self, more: int) -> None:
        """Count, and say so when it is time to."""
        self._done += more
        clock = time.monotonic()
        if clock - self._shown >= _EVERY_S:
            self._shown = clock
            self._show(clock)

    def __exit__(self, *_: object) -> None:
        if self._shown > self._began:
            self._show(time.monotonic())

    def _show(self, clock: float) -> None:
        if self._quiet:
            return
        rate = self._done / (clock - self._began)
        of, left = "", ""
        if self._total is not None:
            of, left = f"/{self._total:,}", f"  {(self._total - self._done) / rate:.0f} s left"
        sys.stderr.write(f"{self._done:,}{of} {self._what}  {rate:.0f} a second{left}\n")
