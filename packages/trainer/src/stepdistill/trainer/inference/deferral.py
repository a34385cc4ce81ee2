"""`predict --defer`: the student answers what it is sure of, its teacher the rest of a file.

The student's answers are kept on the way (`kept_answers.py`), and the teacher's in the store, so
that the same command goes on wherever it was stopped. Each line then says who answered:

    student          it was sure enough
    teacher          the student was not
    student_unsure   the student was not, and the teacher gave no label
"""

import heapq
import shlex
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson

from stepdistill.common.errors import ConfigError
from stepdistill.common.own_command import CommandFailed
from stepdistill.common.uniform import uniform_of_text
from stepdistill.trainer.cascade.drift import DriftAlarm, Reference
from stepdistill.trainer.cascade.rule import CascadeRule, read_rule
from stepdistill.trainer.errors import Stopped, Unfinished
from stepdistill.trainer.inference.kept_answers import digest_of_model
from stepdistill.trainer.inference.predictor import Line
from stepdistill.trainer.inference.row_input import RowInput
from stepdistill.trainer.inference.rows import RowReader
from stepdistill.trainer.inference.teacher_run import (
    SHARDS_NAME,
    Fields,
    TeacherAnswer,
    TeacherAnswers,
    TeacherRun,
    check_teacher_can_be_asked,
)
from stepdistill.trainer.inference.validation_rows import folders_of, results_of
from stepdistill.trainer.settings.cascade import CASCADE_NAME, DeferringPredictSettings

_MOST_LOOKED_AT = 5_000  # rows of a file, by which it is told from the validation rows


def rule_for(model: Path) -> CascadeRule:
    """The rule of this very student. Raises ConfigError."""
    check_teacher_can_be_asked()
    rule = read_rule(model)
    if rule.model != digest_of_model(model):
        raise ConfigError(
            f"{model / CASCADE_NAME}: is of another student than the one that is there now: run "
            "stepdistill cascade again"
        )
    return rule


def is_sure(line: Line, rule: CascadeRule) -> bool:
    """Whether the student's line needs no teacher."""
    probability = line["probability"]
    assert isinstance(probability, float)
    return probability >= rule.threshold


def answered_by_student(line: Line, *, sure: bool) -> Line:
    """The student's own answer, whether or not its teacher was to be asked."""
    return {**line, "answered_by": "student" if sure else "student_unsure"}


def answered_by_teacher(line: Line, answer: TeacherAnswer) -> Line:
    """The teacher's answer in the student's place, if there is one. Its label has no probability of
    the student's."""
    if answer.label is None:
        return answered_by_student(line, sure=False)
    told: Line = {**line, "label": answer.label, "probability": None, "answered_by": "teacher"}
    return {**told, "rationale": answer.rationale} if "rationale" in line else told


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferral:
    """What becomes of the rows of one file that the student is unsure of."""

    rule: CascadeRule
    settings: DeferringPredictSettings
    target: Path  # where all answers go

    @property
    def folder(self) -> Path:
        """Where the deferred rows are kept."""
        beside = self.target.with_name(f"{self.target.name}.deferred")
        return self.settings.deferred_to or beside

    def asked(self, reader: RowReader, rows: RowInput, part: Path) -> TeacherAnswers:
        """Ask the teacher for what the lines of the file `part` are unsure of. Raises
        CommandFailed, Unfinished, Stopped."""
        unsure = sum(not is_sure(line, self.rule) for line in lines_of(part))
        if not unsure:
            return TeacherAnswers(answers=(), usd=0.0)
        self._say(f"asking {self.rule.named_teacher.name} for {unsure:,} of {rows.n:,} rows")
        run = TeacherRun(rule=self.rule, settings=self.settings)
        try:
            return run.ask(
                self._fields(reader, rows, part), self.folder, keeps_some=self.settings.fall_back
            )
        except CommandFailed as error:
            if error.exit_code != Unfinished.exit_code:
                raise CommandFailed(
                    f"the teacher cannot be asked: {error}", error.exit_code
                ) from None
            raise Unfinished(
                f"the teacher was not asked for all: {error}; what it said is kept and the same "
                "command goes on (--fall-back takes the student's answers for the rest)"
            ) from None
        except KeyboardInterrupt:
            raise Stopped(
                "interrupted: what the teacher said is kept; the same command goes on"
            ) from None

    def _fields(self, reader: RowReader, rows: RowInput, part: Path) -> Iterator[Fields]:
        for (number, row), line in zip(rows.rows(), lines_of(part), strict=True):
            if not is_sure(line, self.rule):
                yield reader.fields(row, rows.where(number))

    def whole(self, part: Path, found: TeacherAnswers) -> Iterator[Line]:
        """Every line, by whoever answered."""
        theirs = iter(found.answers)
        for line in lines_of(part):
            if is_sure(line, self.rule):
                yield answered_by_student(line, sure=True)
            else:
                yield answered_by_teacher(line, next(theirs))

    def report(self, found: TeacherAnswers, n_rows: int, part: Path) -> None:
        """Say who answered, what it cost, and whether these rows are unlike the validation rows."""
        unsure = len(found.answers)
        given = sum(answer.label is not None for answer in found.answers)
        share = unsure / max(n_rows, 1)
        money = "at a cost that is not known"
        if found.usd is not None:
            money = (
                f"for {found.usd:.4f} USD: {found.usd / max(n_rows, 1) * 1000:.4f} for 1,000 rows"
            )
        self._say(
            f"the student answered {n_rows - unsure:,} rows, {self.rule.named_teacher.name} "
            f"{given:,} of the {unsure:,} that it deferred ({share:.1%}), {money}"
        )
        why = Counter(a.why for a in found.answers if a.label is None)
        if why:
            told = ", ".join(f"{reason} {n:,}" for reason, n in why.most_common())
            self._say(
                f"NOTE: {why.total():,} rows have the student's own answer though it is unsure "
                f"(student_unsure): {told}"
            )
        if found.prompts not in (None, self.rule.prompts):
            self._say(
                "NOTE: the teacher was asked with other prompts or options than for the validation "
                "rows, so the promise is of another teacher: run stepdistill cascade again"
            )
        change = drift_in(self.rule.reference, part)
        if change is not None:
            self._say(drift_warning(change))
        if given:
            self._say(f"to learn from them: {self._next_training()}")

    def _next_training(self) -> str:
        known = folders_of(results_of(self.settings.model), "train")
        shards = sorted((self.folder / SHARDS_NAME).iterdir())
        train = shlex.join(map(str, (*known, *shards)))
        return f"deepspeed --module stepdistill.trainer --train {train}, and as it was trained else"

    def _say(self, line: str) -> None:
        if not self.settings.quiet:
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()


def lines_of(part: Path) -> Iterator[Line]:
    """The lines of a file of answers."""
    with part.open("rb") as file:
        yield from map(orjson.loads, file)


def drift_in(reference: Reference, part: Path) -> str | None:
    """What is unlike the validation rows in a file of answers, None where nothing is. In an order
    of their own: a file that is sorted is no drift."""
    places = (
        (uniform_of_text(f"drift/{number}"), number, line)
        for number, line in enumerate(lines_of(part))
    )
    alarm = DriftAlarm(reference)
    for _, _, line in heapq.nsmallest(_MOST_LOOKED_AT, places):
        probability, label = line["probability"], line["label"]
        assert isinstance(probability, float)
        alarm.look(probability, label if isinstance(label, str) else None)
    return alarm.change if alarm.alarm else None


def drift_warning(change: str) -> str:
    """What is to be said where rows are unlike those that the promise is about."""
    return (
        f"DRIFT: {change}; chance does not explain that, and the promise is about rows like those. "
        "Have some of these rows labelled, and run stepdistill cascade with them (--valid)"
    )
