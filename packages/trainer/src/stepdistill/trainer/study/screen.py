"""What a sweep shows: its runs as a table, times and counts in words."""

from collections import Counter
from collections.abc import Sequence

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from stepdistill.trainer.study.results import read_results
from stepdistill.trainer.study.state import Clock, State, read_note, state_of
from stepdistill.trainer.study.sweep_file import PlannedRun, Sweep

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86400
_STATES: tuple[State, ...] = ("finished", "running", "failed", "interrupted", "missing")


def spoken_time(seconds: float) -> str:
    """`41 s`, `12 min`, `3.4 h`, `2.1 days`."""
    if seconds < 2 * _MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < 2 * _HOUR_S:
        return f"{seconds / _MINUTE_S:.0f} min"
    return f"{seconds / _HOUR_S:.1f} h" if seconds < 2 * _DAY_S else f"{seconds / _DAY_S:.1f} days"


def spoken_rest(runs: Sequence[PlannedRun], clock: Clock) -> str:
    """How long so many runs take, one after another."""
    guesses = [clock.guess(run) for run in runs]
    known = [guess for guess in guesses if guess is not None]
    if not known:
        return "time unknown until one is finished"
    unknown = len(guesses) - len(known)
    more = f", and {unknown} of a model of which none is finished" if unknown else ""
    return f"about {spoken_time(sum(known))}, as the finished ones took{more}"


def show_runs(console: Console, sweep: Sweep, clock: Clock) -> None:
    """All runs: what each is, how far it is, how long it took or may take, what came out."""
    table = Table(box=SIMPLE, pad_edge=False)
    table.add_column("run", justify="right")
    table.add_column("what tells it from the others")
    for name, justify in (("state", "left"), ("time", "right"), ("test accuracy", "right")):
        table.add_column(name, justify=justify, no_wrap=True)  # pyright: ignore[reportArgumentType]
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
        results, note = read_results(run.folder), read_note(run.folder)
        took = results.cost.seconds if note is None or note.whole_s is None else note.whole_s
        return state, spoken_time(took), f"{results.test.student.accuracy:.3f}"
    guess = clock.guess(run)
    return state, f"~{spoken_time(guess)}" if guess is not None else "unknown", ""
