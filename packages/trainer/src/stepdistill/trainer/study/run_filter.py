"""Which runs of a tracking file a table or a figure is made of."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from stepdistill.trainer.study.tracking import TRACKING, Run, Tracking


def add_choice(parser: argparse.ArgumentParser) -> None:
    """The options that choose runs."""
    parser.add_argument(
        "--tracking", type=Path, default=TRACKING, metavar="FILE", help=f"default {TRACKING}"
    )
    parser.add_argument(
        "--source", choices=("own", "original"), help="one's own runs alone, or the original's"
    )
    parser.add_argument("--study", action="append", metavar="NAME", help="of these sweeps alone")
    parser.add_argument("--task", action="append", metavar="TASK", help="of these tasks alone")
    parser.add_argument(
        "--hand-entered", action="store_true", help="the original's rows typed in by hand too"
    )


def chosen_runs(given: argparse.Namespace) -> tuple[list[Run], str]:
    """The runs, and a line that says which. Raises ConfigError."""
    with Tracking(given.tracking, make=False) as file:
        found = [run for run in file.runs(hand_entered=True) if _is_asked(run, given)]
    kept = [run for run in found if given.hand_entered or not run.hand_entered]
    typed = sum(run.hand_entered for run in found)
    return kept, f"{len(kept)} runs of {given.tracking}{_typed_in(typed, given.hand_entered)}"


def _is_asked(run: Run, given: argparse.Namespace) -> bool:
    asked: Sequence[tuple[object, str]] = (
        ([given.source] if given.source else None, run.source),
        (given.study, run.study),
        (given.task, run.task),
    )
    return all(names is None or one in names for names, one in asked)  # pyright: ignore[reportOperatorIssue]


def _typed_in(count: int, kept: bool) -> str:
    if not count:
        return ""
    rows = f"{count} rows of the original that were typed in by hand"
    return f"; {rows} are among them" if kept else f"; {rows} are left out (--hand-entered)"
