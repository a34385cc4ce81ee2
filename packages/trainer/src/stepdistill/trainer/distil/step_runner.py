"""Doing the steps of a distil: each by its command, once, and told on screen and page."""

import sys
import textwrap
import time
from collections.abc import Callable
from itertools import count
from typing import Any

import orjson

from stepdistill.common.errors import ConfigError
from stepdistill.common.own_command import CommandFailed, Finished, run_command
from stepdistill.common.terminal import visible
from stepdistill.trainer.distil.journal import Entry, Journal, digest_of
from stepdistill.trainer.distil.page import StepReport
from stepdistill.trainer.distil.steps import OutLayout, Step
from stepdistill.trainer.errors import Stopped, refused
from stepdistill.trainer.ranks.place import free_port
from stepdistill.trainer.settings.distil import DistilSettings

_WRAPPER = textwrap.TextWrapper(
    80, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False, break_long_words=False
)
_REFUSALS = ("annotate: ", "error: ")  # how a command's last line begins where it went wrong
_AGAIN = "the same command goes on from there"
_N_STEPS = 6
_NOTED_EVERY_S = 2.0
LEFT_OUT = "left out"
Read = Callable[[Finished], dict[str, Any]]


class StepRunner:
    """Does the steps of one distil, and remembers what is to be told of them. lock: the folder's,
    which each command inherits."""

    def __init__(self, settings: DistilSettings, at: OutLayout, lock: int) -> None:
        self._settings, self._at, self._lock = settings, at, lock
        self.journal = Journal(settings.out)
        self.reports: list[StepReport] = []
        self._is_agreed = False

    def do(
        self, step: Step, read: Read | None = None, *, bought_usd: float = 0.0
    ) -> dict[str, Any]:
        """What a step says at its end: as it said it before, or by doing it now."""
        words, inputs = list(step.words), digest_of(step.inputs)
        before = self.journal.finished(step.name, words, inputs)
        is_done = before is not None and all(product.exists() for product in step.products)
        self.title(step, "done before" if is_done else "")
        if before is None or not is_done:
            self._set_aside(step, inputs)
            entry = self._begun(step, inputs).model_copy(update={"bought_usd": bought_usd})
            self.journal.write(step.name, entry)
            if step.name == "experiment":  # only now: what its rows cost stands in the entry
                self.journal.forget("run")  # it was another experiment's
            clock = _Clock(self.journal, step.name, entry)
            try:
                result = (read or _json)(self._run(step, clock.look))
            except BaseException:
                clock.write()
                raise
            before = clock.write(result)
        assert before.result is not None
        self.reports[-1].seconds = before.seconds
        return before.result

    def _begun(self, step: Step, inputs: str) -> Entry:
        """A step that begins now. With a budget the time of what was stopped or is replaced counts:
        a machine is paid for whether or not anything came of it."""
        entry, before = Entry(words=list(step.words), inputs=inputs), self.journal.begun(step.name)
        if self._settings.budget is None or before is None:
            return entry
        if before.result is None and self.journal.is_begun(step.name, entry.words, inputs):
            return entry.model_copy(
                update={"seconds": before.seconds, "replaced_s": before.replaced_s}
            )
        return entry.model_copy(update={"replaced_s": before.replaced_s + before.seconds})

    def paid_s(self, *names: str) -> float:
        """Seconds that steps took in all, whatever came of them."""
        found = (self.journal.begun(name) for name in names)
        return sum(entry.seconds + entry.replaced_s for entry in found if entry is not None)

    def replaced_s(self, step: Step) -> float:
        """Seconds of what a step was before, the last one too where it is another one now."""
        before = self.journal.begun(step.name)
        if before is None:
            return 0.0
        is_same = self.journal.is_begun(step.name, list(step.words), digest_of(step.inputs))
        return before.replaced_s if is_same else before.replaced_s + before.seconds

    def _set_aside(self, step: Step, inputs: str) -> None:
        """Hours of training are not thrown away because an option or a prompt is another one."""
        at = self._at
        outputs = {"train": at.student, "baseline": at.baseline, "speed": at.speed}
        before, student = self.journal.begun(step.name), outputs.get(step.name)
        if before is None or student is None or not student.exists():
            return
        if (before.words, before.inputs) != (list(step.words), inputs):
            names = (student.with_name(f"{student.name}-{n}") for n in count(1))
            aside = next(name for name in names if not name.exists())
            with refused(student):
                student.rename(aside)
            say(f"  {student} is of other options or answers: it is {aside} now.")

    def _run(self, step: Step, look: Callable[[], None]) -> Finished:
        words = list(step.words)
        if words[0] == "deepspeed":  # its default is often taken on a shared machine
            words[1:1] = ["--master_port", free_port()]

        def tell(line: str) -> None:
            say_remark(line)
            look()

        try:
            done = run_command(words, tell, fds=(self._lock,))
            # A tournament that its part of the budget has ended says what it found until then.
            is_partial = done.code == Stopped.exit_code and step.name == "experiment"
            if not (is_partial and self._settings.budget is not None and done.output):
                done.checked()
        except KeyboardInterrupt:
            raise Stopped(f"stopped in step {step.name}; {_AGAIN}") from None
        except CommandFailed as error:
            again = f"; {_AGAIN}" if error.exit_code == Stopped.exit_code else ""
            raise CommandFailed(f"step {step.name}: {error}{again}", error.exit_code) from None
        return done

    def confirm(self, estimate: dict[str, Any], step: Step) -> None:
        """Ask whether it may cost that, unless that is said, or was before of this very command, or
        nothing is paid. Raises ConfigError: nobody is there, or says no."""
        settings = self._settings
        is_paid = not settings.is_rehearsal and estimate["to_ask"]
        begun = self.journal.is_begun(step.name, list(step.words), digest_of(step.inputs))
        if settings.yes or not is_paid or self._is_agreed or begun:
            return
        if not sys.stdin.isatty():
            raise ConfigError("nobody is there to say whether it may cost that: --yes says so")
        sys.stderr.write("\nGo on? [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise ConfigError("not confirmed: nothing was asked, nothing is paid")
        self._is_agreed = True  # to all that is left

    def attempt(self, step: Step, read: Read | None = None) -> dict[str, Any] | None:
        """What a step says that the way can do without; None where it refuses, which a line
        says."""
        try:
            return self.do(step, read)
        except CommandFailed as error:
            if error.exit_code != ConfigError.exit_code:
                raise
            self.reports[-1].remark = LEFT_OUT
            self.tell([f"Left out: {error}."])
            return None

    def title(self, step: Step, remark: str) -> None:
        number = len(self.reports) + 1
        s = self._settings
        more = (s.baseline, s.target, s.budget, s.gpu_hour)
        n_steps = _N_STEPS + sum(each is not None for each in more)
        say(f"\n{number}/{n_steps}  {step.name}: {step.about}{f' ({remark})' if remark else ''}")
        if remark != LEFT_OUT:
            say(f"$ {step.shown}")
        self.reports.append(StepReport(step=step, remark=remark))

    def tell(self, lines: list[str]) -> None:
        """What a step found, on the screen and on the page."""
        self.reports[-1].lines.extend(lines)
        for line in lines:
            say(_WRAPPER.fill(line))


class _Clock:
    """The time that a step takes, noted while it goes on: who is killed writes nothing any more."""

    def __init__(self, journal: Journal, name: str, entry: Entry) -> None:
        self._journal, self._name, self._entry = journal, name, entry
        self._began = self._written = time.monotonic()

    def look(self) -> None:
        """Note it where that is due."""
        if time.monotonic() - self._written >= _NOTED_EVERY_S:
            self.write()

    def write(self, result: dict[str, Any] | None = None) -> Entry:
        """Note it now; result: what the step said, where it is over."""
        self._written = time.monotonic()
        seconds = self._entry.seconds + self._written - self._began
        entry = self._entry.model_copy(update={"seconds": seconds, "result": result})
        self._journal.write(self._name, entry)
        return entry


def _json(done: Finished) -> dict[str, Any]:
    return orjson.loads(done.output)


def say_remark(line: str) -> None:
    """What a command says on the way; why it failed is said once, at the end."""
    if not line.startswith(_REFUSALS):
        say(line)


def say(line: str) -> None:
    """A line on the screen."""
    sys.stderr.write(f"{visible(line)}\n")
    sys.stderr.flush()
