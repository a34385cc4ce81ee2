"""`stepdistill plots --out DIR`: what the runs of a tracking file say, as figures."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from stepdistill.common.errors import ConfigError
from stepdistill.common.figures import write_picture
from stepdistill.trainer.settings.command_line import Parser
from stepdistill.trainer.study.frame import frame_of
from stepdistill.trainer.study.run_filter import add_choice, chosen_runs
from stepdistill.trainer.study.run_pictures import KINDS, pictures

_EXAMPLES = """examples:
  stepdistill plots --out figures                      all runs of the tracking file
  stepdistill plots --out figures --source own --task demo

Test accuracy by share of the data, by size of the student, by length of the rationales and by
their rate: one PNG and one SVG for each task, the original's runs in panels beside one's own.
"""


def plots(arguments: Sequence[str]) -> None:
    """The command. Raises DistillError."""
    given = _options(arguments)
    runs, said = chosen_runs(given)
    frame = frame_of(runs)
    sys.stdout.write(f"{said}\n")
    for kind in KINDS:
        drawn = list(pictures(kind, frame))
        for picture in drawn:
            try:
                png, svg = write_picture(picture, given.out)
            except OSError as error:
                raise ConfigError(
                    f"--out {given.out}: cannot be written ({error.strerror})"
                ) from None
            sys.stdout.write(f"{png}, {svg.name}\n")
        if not drawn:
            sys.stdout.write(f"{kind.name}: left out, it needs {kind.needs}\n")


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser(
        prog="stepdistill plots",
        description="Draw test accuracy over what was varied, with 95 % bands over seeds.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_choice(parser)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="where pictures go, PNG and SVG"
    )
    return parser.parse_args(arguments)
