"""What `serve --defer` does beside answering: asks the teacher, counts, and looks for drift."""

import shlex
import sys
from collections.abc import Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge

from stepdistill.trainer.cascade.drift import DriftAlarm
from stepdistill.trainer.cascade.rule import CascadeRule
from stepdistill.trainer.inference.deferral import (
    answered_by_student,
    answered_by_teacher,
    drift_warning,
    is_sure,
    rule_for,
)
from stepdistill.trainer.inference.predictor import Line
from stepdistill.trainer.inference.teacher_queue import TeacherQueue
from stepdistill.trainer.inference.teacher_run import Fields, TeacherRun
from stepdistill.trainer.settings.cascade import DeferringServeSettings


class ServedCascade:
    """The cascade behind a server."""

    def __init__(self, settings: DeferringServeSettings) -> None:
        """Raises ConfigError: this student has no cascade, or rows cannot be kept."""
        self.rule: CascadeRule = rule_for(settings.model)
        folder = settings.deferred_to or settings.model.absolute().parent / "deferred"
        run = TeacherRun(rule=self.rule, settings=settings)
        self.queue = TeacherQueue(run, folder, settings.defer_timeout_s)
        self.drift = DriftAlarm(self.rule.reference)
        self._rows = 0
        self._by: dict[str, int] = dict.fromkeys(("student", "teacher", "student_unsure"), 0)

    def register(self, registry: CollectorRegistry) -> None:
        """Add its figures to a server's."""
        self._counts = Counter(
            "stepdistill_answers", "Rows, by who answered.", ["by"], registry=registry
        )
        for name, about, value in (
            ("deferred_waiting", "Rows that wait for the teacher.", lambda: self.queue.waiting),
            ("deferred_usd", "US dollars of the teacher's answers.", lambda: self.queue.usd or 0.0),
            (
                "drift",
                "1: rows are unlike the validation rows.",
                lambda: self.drift.alarm is not None,
            ),
        ):
            Gauge(f"stepdistill_{name}", about, registry=registry).set_function(value)

    async def finished(self, lines: Sequence[Line], fields: Sequence[Fields]) -> list[Line]:
        """The student's lines, and the teacher's in the place of those that are unsure."""
        for line in lines:
            self._look(line)
        sure = [is_sure(line, self.rule) for line in lines]
        unsure = [row for row, each in zip(fields, sure, strict=True) if not each]
        theirs = iter(await self.queue.answers(unsure) if unsure else ())
        found: list[Line] = []
        for line, each in zip(lines, sure, strict=True):
            if each:
                found.append(answered_by_student(line, sure=True))
                continue
            answer = next(theirs)
            told = answered_by_teacher(line, answer)
            found.append(told if answer.label is not None else {**told, "why": answer.why})
        for line in found:
            by = str(line["answered_by"])
            self._by[by] += 1
            self._counts.labels(by).inc()
        self._rows += len(found)
        return found

    def _look(self, line: Line) -> None:
        probability, label = line["probability"], line["label"]
        assert isinstance(probability, float)
        if self.drift.look(probability, label if isinstance(label, str) else None):
            warning = drift_warning(self.drift.change)
            sys.stderr.write(f"{warning} (row {self.drift.alarm_row:,} of this server)\n")
            sys.stderr.flush()

    def facts(self) -> dict[str, Any]:
        """What a caller may know of it."""
        rule, usd, alarm = self.rule, self.queue.usd, self.drift.alarm
        return {
            "teacher": rule.teacher,
            "promise": rule.guarantee.promise,
            "target": rule.guarantee.target,
            "risk": rule.guarantee.risk,
            "threshold": rule.threshold,
            "rows": self._rows,
            "answered_by": self._by,
            "usd": usd,
            "usd_per_1000": None if usd is None or not self._rows else usd / self._rows * 1000,
            "drift": alarm
            and {"of": alarm, "since_row": self.drift.alarm_row, "change": self.drift.change},
            "failure": self.queue.failure,
            "learn_from_them": shlex.join(self.queue.command()),
        }
