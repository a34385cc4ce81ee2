"""One go through a sweep: what is missing is run, one after another, kept, and shown."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Column, Table

from stepdistill.common.errors import DistillError
from stepdistill.common.own_command import failure_in
from stepdistill.trainer.errors import Stopped
from stepdistill.trainer.locks import claim
from stepdistill.trainer.ranks.place import free_port
from stepdistill.trainer.study.collect import keep_results
from stepdistill.trainer.study.launching import Launcher, last_lines, launch
from stepdistill.trainer.study.state import (
    LOCK_NAME,
    LOG_NAME,
    Clock,
    Note,
    State,
    read_note,
    read_results,
    seconds_of,
    state_of,
    write_note,
)
from stepdistill.trainer.study.sweep_file import PlannedRun, Sweep
from stepdistill.trainer.study.tracking import Tracking

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86400
_STATES: tuple[State, ...] = ("finished", "running", "failed", "interrupted", "missing")


def time_in_words(seconds: float) -> str:
    """`41 s`, `12 min`, `3.4 h`, `2.1 days`."""
    if seconds < 2 * _MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < 2 * _HOUR_S:
        return f"{seconds / _MINUTE_S:.0f} min"
    return f"{seconds / _HOUR_S:.1f} h" if seconds < 2 * _DAY_S else f"{seconds / _DAY_S:.1f} days"


def rest_in_words(runs: Sequence[PlannedRun], clock: Clock) -> str:
    """How long so many runs take, one after another."""
    guesses = [clock.guess(run) for run in runs]
    known = [guess for guess in guesses if guess is not None]
    if not known:
        return "time unknown until one is finished"
    unknown = len(guesses) - len(known)
    more = f", and {unknown} of a model of which none is finished" if unknown else ""
    return f"about {time_in_words(sum(known))}, as the finished ones took{more}"


def show_runs(console: Console, sweep: Sweep, clock: Clock) -> None:
    """All runs: what each is, how far it is, how long it took or may take, what came out."""
    table = Table(
        Column("run", justify="right"),
        Column("what tells it from the others"),
        Column("state", no_wrap=True),
        Column("time", justify="right", no_wrap=True),
        Column("test accuracy", justify="right", no_wrap=True),
        box=SIMPLE,
        pad_edge=False,
    )
    for number, run in enumerate(sweep.runs, 1):
        table.add_row(str(number), run.name, *_figures(run, clock))
    console.print(table)


def count_states(runs: Sequence[PlannedRun]) -> str:
    """`8 runs: 5 finished, 1 failed, 2 missing`."""
    counts = Counter(state_of(run.folder) for run in runs)
    parts = [f"{counts[state]} {state}" for state in _STATES if counts[state]]
    return f"{len(runs)} runs: {', '.join(parts)}"


def _figures(run: PlannedRun, clock: Clock) -> tuple[str, str, str]:
    state = state_of(run.folder)
    if state == "finished":
        results = read_results(run.folder)
        took = time_in_words(seconds_of(run.folder, results))
        return state, took, f"{results.accuracy:.3f}"
    guess = clock.guess(run)
    return state, f"~{time_in_words(guess)}" if guess is not None else "unknown", ""


class RunsFailed(DistillError):
    """Some runs of a sweep failed; the others are done."""

    exit_code = 1


class SweepRunner:
    """Call run() once."""

    def __init__(
        self, plan: Sweep, launcher: Launcher, tracking: Tracking, console: Console, clock: Clock
    ) -> None:
        self._plan, self._launcher, self._tracking = plan, launcher, tracking
        self._console, self._clock = console, clock

    def run(self) -> None:
        """Run what is missing. Raises RunsFailed, or Stopped when somebody asked it to stop."""
        runs, left = self._plan.runs, self._left()
        keep_results(self._tracking, [run.folder for run in runs if run not in left])
        if left:
            self._print(f"{len(left)} of {len(runs)} to run, {rest_in_words(left, self._clock)}")
        try:
            for number, run in enumerate(runs, 1):
                if run in left:
                    self._one(f"run {number} of {len(runs)}  {run.name}", run)
        except KeyboardInterrupt:
            text = f"stopped; {count_states(runs)}; the same command goes on there"
            raise Stopped(text) from None
        self._print(f"{count_states(runs)}; results are in {self._tracking.path}")
        if failed := sum(state_of(run.folder) == "failed" for run in runs):
            again = "the same command tries them again"
            raise RunsFailed(f"{failed} of {len(runs)} runs failed; {again}")

    def _one(self, title: str, run: PlannedRun) -> None:
        with claim(run.folder, LOCK_NAME) as lock:
            if lock is None:
                self._print(f"{title}: another process is at it")
            elif state_of(run.folder, held=True) != "finished":  # it may have been done meanwhile
                self._launch(title, run, lock)

    def _launch(self, title: str, run: PlannedRun, lock: int) -> None:
        before = read_note(run.folder) or Note(sweep=self._plan.name, choices=run.choices)
        note = before.model_copy(update={"starts": before.starts + 1, "failure": None})
        write_note(run.folder, note)
        log, began = run.folder / LOG_NAME, time.monotonic()
        since = log.stat().st_size if log.exists() else 0
        guess = self._clock.guess(run)
        self._print(title if guess is None else f"{title}, about {time_in_words(guess)}")
        words = self._launcher.command(run, free_port())
        with self._console.status(title) as status:
            code = launch(words, log, lock, _shower(status.update, title, log, since))
        took_s = time.monotonic() - began
        if code == 0 and state_of(run.folder, held=True) == "finished":
            whole_s = took_s if note.starts == 1 else None
            write_note(run.folder, note.model_copy(update={"whole_s": whole_s}))
            self._done(run, took_s)
        else:
            failure = failure_in(last_lines(log, since)) or "no message"
            write_note(run.folder, note.model_copy(update={"failure": failure}))
            took = time_in_words(took_s)
            self._print(f"  failed after {took} (exit code {code}): {failure}; see {log}")

    def _done(self, run: PlannedRun, took_s: float) -> None:
        results = read_results(run.folder)
        self._clock.learn(run, results)
        keep_results(self._tracking, [run.folder])
        left = self._left()
        rest = f"{len(left)} left, {rest_in_words(left, self._clock)}" if left else "none left"
        score = f"test accuracy {results.accuracy:.3f}"
        self._print(f"  done in {time_in_words(took_s)}, {score}; {rest}")

    def _left(self) -> list[PlannedRun]:
        return [run for run in self._plan.runs if state_of(run.folder) != "finished"]

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False)


def _shower(update: Callable[[str], None], title: str, log: Path, since: int) -> Callable[[], None]:
    """What keeps the status line at the last step that the log tells of, or says how long there
    has been none: a start takes some ten seconds."""
    began = time.monotonic()

    def show() -> None:
        steps = [line for line in last_lines(log, since) if line.startswith("step ")]
        starting = f"starting, {time_in_words(time.monotonic() - began)}"
        update(f"{title}  {steps[-1] if steps else starting}")

    return show
