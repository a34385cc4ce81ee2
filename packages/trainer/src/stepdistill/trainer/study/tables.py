"""`stepdistill tables`: what the runs of a tracking file say, as tables."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from stepdistill.trainer.settings.command_line import Parser
from stepdistill.trainer.study.accuracy_sheets import accuracy_sheet, paired_sheet
from stepdistill.trainer.study.frame import POOLED, frame_of
from stepdistill.trainer.study.reach_sheets import cost_sheet, data_sheet
from stepdistill.trainer.study.run_filter import add_choice, chosen_runs
from stepdistill.trainer.study.table import markdown, write_sheet

_EXAMPLES = """examples:
  stepdistill tables                                   on the screen, as Markdown
  stepdistill tables --gpu-hour-usd 2.5 --out tables   and Markdown, CSV, LaTeX in tables/
  stepdistill tables --source original --pool batch_size lr
"""


def tables(arguments: Sequence[str]) -> None:
    """The command. Raises DistillError."""
    given = _options(arguments)
    runs, said = chosen_runs(given)
    frame = frame_of(runs, given.pool)
    sheets = (
        accuracy_sheet(frame),
        paired_sheet(frame, all_pairs=given.all_pairs),
        data_sheet(frame),
        cost_sheet(frame, given.accuracy, given.gpu_hour_usd),
    )
    if given.pool:
        said += f"; those that differ in {', '.join(given.pool)} alone count as one kind"
    sys.stdout.write(f"{said}\n\n" + "\n".join(map(markdown, sheets)))
    if given.out is not None:
        for sheet in sheets:
            write_sheet(sheet, given.out)
        names = ", ".join(sheet.name for sheet in sheets)
        sys.stdout.write(f"\n{given.out}: {names}, each as .md, .csv and .tex\n")


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser(
        prog="stepdistill tables",
        description="Means over all seeds, paired tests, data and money needed.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_choice(parser)
    parser.add_argument(
        "--pool",
        nargs="+",
        default=[],
        choices=POOLED,
        metavar="SETTING",
        help=f"put runs together that differ in these alone: {', '.join(POOLED)}",
    )
    parser.add_argument(
        "--all-pairs", action="store_true", help="compare all methods, not with the baseline alone"
    )
    parser.add_argument(
        "--accuracy",
        type=float,
        metavar="X",
        help="what is to be reached, 0..1; default: the baseline's with all data",
    )
    parser.add_argument(
        "--gpu-hour-usd", type=float, metavar="USD", help="price of an hour of one device"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="write Markdown, CSV and LaTeX too")
    return parser.parse_args(arguments)
