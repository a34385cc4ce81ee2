"""`stepdistill plots --out DIR`: what the runs of a tracking file say, as figures."""

import sys

from stepdistill.common.errors import ConfigError
from stepdistill.common.figures import write_picture
from stepdistill.trainer.settings.study import FiguresSettings
from stepdistill.trainer.study.frame import frame_of
from stepdistill.trainer.study.run_filter import chosen_runs
from stepdistill.trainer.study.run_pictures import KINDS, pictures


def plots(settings: FiguresSettings) -> None:
    """The command. Raises DistillError."""
    runs, said = chosen_runs(settings)
    frame = frame_of(runs)
    sys.stdout.write(f"{said}\n")
    for kind in KINDS:
        drawn = list(pictures(kind, frame))
        for picture in drawn:
            try:
                png, svg = write_picture(picture, settings.out)
            except OSError as error:
                raise ConfigError(
                    f"--out {settings.out}: cannot be written ({error.strerror})"
                ) from None
            sys.stdout.write(f"{png}, {svg.name}\n")
        if not drawn:
            sys.stdout.write(f"{kind.name}: left out, it needs {kind.needs}\n")
