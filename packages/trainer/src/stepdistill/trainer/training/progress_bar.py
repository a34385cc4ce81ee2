"""How far training is: a bar on a terminal, a line every few seconds elsewhere."""

import time
from contextlib import AbstractContextManager
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from stepdistill.trainer.training.loop import TrainPoint, ValidPoint

_EVERY_S = 5.0


class ProgressBar(AbstractContextManager["ProgressBar"]):
    """Called after every step, writes to stderr. quiet: writes nothing (all ranks but one).

    done: steps that an earlier start of this run has done.
    """

    def __init__(self, steps: int, done: int, *, quiet: bool) -> None:
        self._steps, self._done = steps, done
        self._quiet = quiet
        self._console = Console(stderr=True, highlight=False)
        self._began = self._spoke = time.monotonic()
        self._loss = self._valid = "-"
        self._bar = Progress(
            TextColumn("training"),
            BarColumn(),
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
            self._say(step, state, now=valid is not None)

    def _say(self, step: int, state: str, *, now: bool) -> None:
        clock = time.monotonic()
        if not now and clock - self._spoke < _EVERY_S:
            return
        self._spoke = clock
        left_s = (clock - self._began) / (step - self._done) * (self._steps - step)
        line = f"step {step}/{self._steps}  {state}  {left_s:.0f} s left"
        self._console.print(line, soft_wrap=True)
