"""Where curves go: TensorBoard's event files always, Weights & Biases or MLflow when asked for."""

import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from tensorboardX import SummaryWriter

from stepdistill.common.errors import ConfigError
from stepdistill.trainer.training.loop import TrainPoint, ValidPoint

FOLDER_NAME = "board"

Report = Callable[[Mapping[str, float], int], object]
"""(figure -> value, step) -> whatever."""


class MetricsLogger(AbstractContextManager["MetricsLogger"]):
    """Called after every step. quiet: writes nothing (all ranks but one).

    Raises ConfigError when a tracker is asked for that is not installed.
    """

    def __init__(self, output: Path, trackers: Sequence[str], *, quiet: bool) -> None:
        for name in trackers:
            _refuse_missing(name)
        self._writer = None if quiet else _writer(output / FOLDER_NAME)
        self._reports = [] if quiet else [_tracker(name, output.name) for name in trackers]

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def __call__(self, step: int, train: TrainPoint | None, valid: ValidPoint | None) -> None:
        """Pass on what a step brought."""
        figures: dict[str, float] = {}
        if train is not None:
            figures |= {f"loss/{name}": loss for name, loss in train.losses.items()}
            figures |= {"loss": train.loss, "grad_norm": train.grad_norm, "lr": train.lr}
        if valid is not None:
            figures["valid/accuracy"] = valid.accuracy
        if not figures or self._writer is None:
            return
        for name, value in figures.items():
            self._writer.add_scalar(name, value, step)
        for report in self._reports:
            report(figures, step)


def _writer(folder: Path) -> SummaryWriter:
    try:
        return SummaryWriter(str(folder))
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written ({error.strerror})") from None


def _refuse_missing(name: str) -> None:
    """On every rank: one that trained on alone would wait for the others forever."""
    if importlib.util.find_spec(name) is None:
        raise ConfigError(f"--track {name}: not installed: pip install {name}")


def _tracker(name: str, run: str) -> Report:
    library: Any = importlib.import_module(name)
    if name == "wandb":
        library.init(project="stepdistill", name=run)
        return lambda figures, step: library.log(dict(figures), step=step)
    library.set_experiment("stepdistill")
    return lambda figures, step: library.log_metrics(dict(figures), step=step)
