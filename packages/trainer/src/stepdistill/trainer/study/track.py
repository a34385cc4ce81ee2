"""`stepdistill track add|import|export`: what is in the tracking file."""

import argparse
import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

from rich.console import Console

from stepdistill.common.errors import ConfigError
from stepdistill.trainer.settings.command_line import Parser
from stepdistill.trainer.study.collect import folders_of_runs, keep_results
from stepdistill.trainer.study.original import read_original, write_original
from stepdistill.trainer.study.tracking import TRACKING, Run, Tracking

_EXAMPLES = """examples:
  stepdistill track add runs                      all finished runs below runs/
  stepdistill track import experiment_tracking.csv --mixes prompt-mixes
  stepdistill track export all.csv                the original's columns
  stepdistill track export all.csv --full         all columns, the source among them

A sweep adds its own runs by itself. A run that is added again stands there once.
"""


def track(arguments: Sequence[str]) -> None:
    """The command. Raises DistillError."""
    given = _options(arguments)
    console = Console(highlight=False, soft_wrap=True)
    with Tracking(given.tracking, make=given.verb != "export") as file:
        if given.verb == "add":
            folders = folders_of_runs(given.folders)
            new = keep_results(file, folders)
            console.print(f"{len(folders)} runs found, {new} of them new")
        elif given.verb == "import":
            runs = read_original(given.file, given.mixes, dict(map(_words, given.words)))
            new = file.add(runs)
            typed = sum(run.hand_entered for run in runs)
            console.print(
                f"{len(runs)} rows read, {new} of them new; {typed} typed in by hand (run 100 or "
                "10,000.0 s), flagged and left out of tables and plots"
            )
        else:
            runs = file.runs(hand_entered=given.hand_entered)
            _export(given.file, runs, full=given.full)
            console.print(f"{given.file}: {len(runs)} runs")
        counts = Counter(run.source for run in file.runs(hand_entered=True))
        held = ", ".join(f"{count} {source}" for source, count in sorted(counts.items()))
        console.print(f"{given.tracking} holds {held or 'no run'}")


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser(
        prog="stepdistill track",
        description="Keep results of runs, one's own and the original's, in one SQLite file.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--tracking", type=Path, default=TRACKING, metavar="FILE", help=f"default {TRACKING}"
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="add|import|export")
    add = verbs.add_parser("add", help="finished runs, by their folders or one above")
    add.add_argument("folders", type=Path, nargs="+")
    bring = verbs.add_parser("import", help="the original's experiment_tracking.csv")
    bring.add_argument("file", type=Path)
    bring.add_argument("--mixes", type=Path, metavar="DIR", help="the original's prompt-mixes")
    bring.add_argument(
        "--words",
        action="append",
        default=[],
        metavar="MIX=N",
        help="mean words of a mix's rationales, which the file does not hold",
    )
    out = verbs.add_parser("export", help="write a CSV file")
    out.add_argument("file", type=Path)
    out.add_argument("--full", action="store_true", help="all columns, not the original's alone")
    out.add_argument("--hand-entered", action="store_true", help="the rows typed in by hand too")
    return parser.parse_args(arguments)


def _words(given: str) -> tuple[str, float]:
    mix, _, words = given.partition("=")
    try:
        return mix, float(words)
    except ValueError:
        raise ConfigError(f"--words {given}: give it as MIX=N, e.g. 6=24.3") from None


def _export(path: Path, runs: Sequence[Run], *, full: bool) -> None:
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            if full:
                out = csv.DictWriter(
                    file, [field.name for field in fields(Run)], lineterminator="\n"
                )
                out.writeheader()
                out.writerows(asdict(run) for run in runs)
            else:
                write_original(runs, file)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror})") from None
