"""The page at the end of a distil: every step with its command, what it found, what was decided."""

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stepdistill.common.page import rendered, usd
from stepdistill.common.whole_file import write_whole
from stepdistill.trainer.distil.steps import OutLayout, Step
from stepdistill.trainer.errors import refused
from stepdistill.trainer.settings.distil import DistilSettings
from stepdistill.trainer.study.sweep_runner import time_in_words

_TEMPLATE = Path(__file__).parent / "templates" / "distil.html.jinja"
_CLASSES_SHOWN = 100
_SCORED = ("student", "teacher", "classifier", "majority")


@dataclass(slots=True, kw_only=True)
class StepReport:
    """What is told of a step."""

    step: Step
    remark: str  # `done before`, `left out`, or nothing
    seconds: float = 0.0  # that it took when it was done
    lines: list[str] = field(default_factory=list[str])  # what it found and decided

    @property
    def took(self) -> str:
        """How long it took, in words."""
        return time_in_words(self.seconds)


def write_page(
    at: OutLayout, settings: DistilSettings, steps: list[StepReport], found: dict[str, Any]
) -> None:
    """Write it. found: what `evaluate` says, `classifier` beside it, `used`, the commands that use
    the student, `labelled_by`, and of a budget `money`, what each part was for, and `not_bought`.
    Raises ConfigError."""
    classes: dict[str, Any] = found["student"].get("classes") or {}
    page = rendered(
        _TEMPLATE,
        task=at.task,
        file=str(settings.file),
        teacher=found["labelled_by"],
        is_simulated=settings.is_rehearsal,
        student=settings.student,
        used=[shlex.join(words) for words in found["used"]],
        reports=steps,
        seconds=time_in_words(sum(step.seconds for step in steps)),
        scores=[(who, found[who]) for who in _SCORED if found.get(who)],
        classes=dict(list(classes.items())[:_CLASSES_SHOWN]),
        n_classes=len(classes),
        ranking=at.ranking.name if at.ranking.exists() else None,
        money=[(what, usd(plan), usd(spent)) for what, plan, spent in found.get("money", [])],
        frontier=at.frontier.name if "money" in found and at.frontier.exists() else None,
        not_bought=found.get("not_bought", []),
    )
    with refused(at.page):
        write_whole(at.page, page.encode())
