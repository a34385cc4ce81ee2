"""How far training is, step by step: on the screen, in TensorBoard, at other trackers."""

import importlib
import importlib.util
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue] - made at run time
from tensorboardX.summary import scalar

from stepdistill.common.errors import ConfigError
from stepdistill.trainer.errors import first_line, refused
from stepdistill.trainer.training.checkpoint import TrainPoint, ValidPoint

# In a log: a line each tenth of the way, and after so long without one.
_TENTHS, _SILENT_S = 10, 30.0


class ProgressBar(AbstractContextManager["ProgressBar"]):
    """Called after every step, writes to stderr. quiet: writes nothing (all ranks but one).

    done: steps that an earlier start of this run has done.
    """

    def __init__(self, steps: int, done: int, *, quiet: bool) -> None:
        self._steps, self._done = steps, done
        self._quiet = quiet
        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._began = self._shown_s = time.monotonic()
        self._shown_tenth = done * _TENTHS // steps
        self._loss = self._valid = "-"
        self._bar = Progress(
            TextColumn("training"),
            BarColumn(bar_width=18),  # so that 80 columns keep the time that is left
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=quiet or not self._console.is_terminal,
        )
        self._task = self._bar.add_task("", total=steps, completed=done)

    def __enter__(self) -> Self:
        self._bar.start()
        if self._done and not self._quiet:
            self._console.print(f"going on after step {self._done}")
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, step: int, train: TrainPoint | None, valid: ValidPoint | None) -> None:
        """Note a step and show it, when it is time to."""
        if train is not None:
            self._loss = f"{train.loss:.3f}"
        if valid is not None:
            self._valid = f"{valid.accuracy:.3f}"
        state = f"loss {self._loss}  valid {self._valid}"
        self._bar.update(self._task, completed=step, description=state)
        if not self._quiet and not self._console.is_terminal:
            self._show(step, state, now=valid is not None)

    def _show(self, step: int, state: str, *, now: bool) -> None:
        clock, tenth = time.monotonic(), step * _TENTHS // self._steps
        if not now and tenth == self._shown_tenth and clock - self._shown_s < _SILENT_S:
            return
        self._shown_s, self._shown_tenth = clock, tenth
        left_s = (clock - self._began) / (step - self._done) * (self._steps - step)
        left = f"{left_s:.0f} s" if left_s < 100 else f"{left_s / 60:.0f} min"
        self._console.print(f"step {step}/{self._steps}  {state}  {left} left", soft_wrap=True)


FOLDER_NAME = "board"

Report = Callable[[Mapping[str, float], int], object]
"""(figure -> value, step) -> whatever."""


class MetricsLogger(AbstractContextManager["MetricsLogger"]):
    """Called after every step. quiet: writes nothing (all ranks but one).

    Raises ConfigError when a tracker is asked for that is not installed.
    """

    def __init__(self, output: Path, trackers: Sequence[str], *, quiet: bool) -> None:
        # On every rank: one that trained on alone would wait for the others forever.
        if missing := [name for name in trackers if importlib.util.find_spec(name) is None]:
            raise ConfigError(f"--track {missing[0]}: not installed: pip install {missing[0]}")
        folder = output / FOLDER_NAME
        self._reports = {} if quiet else {name: _tracker(name, output.name) for name in trackers}
        self._curves = None if quiet else _Curves(folder)
        if self._curves is not None:
            self._reports[str(folder)] = self._curves

    def __exit__(self, *_: object) -> None:
        if self._curves is not None:
            self._curves.close()

    def _give_up(self, name: str, error: BaseException) -> None:
        """What only shows figures never ends a training: it is said once, and left."""
        why = first_line(error)
        sys.stderr.write(f"{name}: no more figures go there ({why}); training goes on\n")

    def __call__(self, step: int, train: TrainPoint | None, valid: ValidPoint | None) -> None:
        """Pass on what a step brought."""
        figures: dict[str, float] = {}
        if train is not None:
            figures |= {f"loss/{name}": loss for name, loss in train.losses.items()}
            figures |= {"loss": train.loss, "grad_norm": train.grad_norm, "lr": train.lr}
        if valid is not None:
            figures["valid/accuracy"] = valid.accuracy
            if valid.explain_loss is not None:
                figures["valid/explain_loss"] = valid.explain_loss
        if not figures:
            return
        for name, report in tuple(self._reports.items()):
            try:
                report(figures, step)
            except Exception as error:  # noqa: BLE001  # whatever somebody else's client raises
                del self._reports[name]
                self._give_up(name, error)


class _Curves:
    """TensorBoard's file. Written here and now: the library's own writer has a thread, and where
    that dies its queue fills, and holds the training for ever. Raises ConfigError."""

    def __init__(self, folder: Path) -> None:
        with refused(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._file = EventsWriter(str(folder / "events"))

    def __call__(self, figures: Mapping[str, float], step: int) -> None:
        event = Event(wall_time=time.time(), step=step)
        for name, value in figures.items():
            event.summary.MergeFrom(scalar(name, value))
        self._file.write_event(event)
        self._file.flush()  # so that who watches sees it

    def close(self) -> None:
        with suppress(OSError):  # said already, or about to be by what else is written there
            self._file.close()


def _tracker(name: str, run: str) -> Report:
    """Raises ConfigError: it cannot be begun with."""
    try:
        return _begun(name, run)
    except Exception as error:  # noqa: BLE001  # no key, no server: each has errors of its own
        raise ConfigError(
            f"--track {name}: cannot be started ({first_line(error)}): mend that, or leave it out"
        ) from None


def _begun(name: str, run: str) -> Report:
    library: Any = importlib.import_module(name)
    if name == "wandb":
        library.init(project="stepdistill", name=run)
        return lambda figures, step: library.log(dict(figures), step=step)
    library.set_experiment("stepdistill")
    return lambda figures, step: library.log_metrics(dict(figures), step=step)
