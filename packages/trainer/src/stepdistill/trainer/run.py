"""The whole way of a run on one page: ranks, preparation, training, evaluation, results."""

import logging
import signal
from contextlib import AbstractContextManager
from dataclasses import replace
from types import FrameType
from typing import Any, Self

import torch
import transformers
from rich.console import Console

from stepdistill.common.errors import ConfigError
from stepdistill.trainer.errors import TrainingError
from stepdistill.trainer.scores import Calibration, Score, calibration, majority, right, score
from stepdistill.trainer.settings.train import Precision, TrainSettings
from stepdistill.trainer.training import evaluation, report
from stepdistill.trainer.training.checkpoint import writing
from stepdistill.trainer.training.engine import World, start, stop
from stepdistill.trainer.training.loop import Loop, LoopParts, TrainingProgress
from stepdistill.trainer.training.prepare import RunInputs, RunParts, prepare
from stepdistill.trainer.training.progress import MetricsLogger, ProgressBar


def run(inputs: RunInputs) -> None:
    """Train, judge and write. Raises DistillError; every rank must come here."""
    _hush()
    world = start()
    try:
        _run(replace(inputs, config=_resolved(inputs.config, world)), world)
    except (RuntimeError, MemoryError) as error:
        if not _is_out_of_memory(error):
            raise
        raise TrainingError(
            f"{world.device}: out of memory: lower --batch-tokens (a step stays what it is), "
            "or add --activation-checkpointing or --zero 2"
        ) from None
    stop()


def _is_out_of_memory(error: Exception) -> bool:
    """torch has a class for a GPU's memory; a CPU's allocator has but words of its own."""
    classes = (torch.OutOfMemoryError, MemoryError)
    return isinstance(error, classes) or "can't allocate memory" in str(error)


def _run(inputs: RunInputs, world: World) -> None:
    _agree(inputs, world)
    parts = prepare(inputs, world)
    progress = parts.checkpoints.restore(universal=inputs.config.universal)
    _train(inputs, parts, progress)
    parts.checkpoints.load_best(progress.best_step)
    _conclude(inputs, parts, progress)


def _hush() -> None:
    """The libraries keep to errors, so that what is on the screen is about this run."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)


def _agree(inputs: RunInputs, world: World) -> None:
    """All ranks must have read the same, and a step must have a row for each."""
    if len(set(world.gather(inputs.fingerprint))) > 1:
        raise ConfigError("the ranks read different data or settings: give every host the same")
    shares, config = world.size * inputs.config.accumulate, inputs.config
    if config.batch_size < shares:
        raise ConfigError(
            f"--batch-size {config.batch_size}: fewer rows than {world.size} ranks x "
            f"{config.accumulate} micro-batches: take {shares} or more"
        )


def _train(inputs: RunInputs, parts: RunParts, progress: TrainingProgress) -> None:
    config, engine = inputs.config, parts.engine

    def validate() -> Score:
        answers = _evaluate(parts, parts.valid)
        return score(answers.labels, inputs.valid.examples, inputs.kind)

    silent = engine.world.rank > 0
    with (
        StopSignal() as stopping,
        ProgressBar(config.steps, progress.step, quiet=config.quiet or silent) as bar,
        MetricsLogger(config.output, config.track, quiet=silent) as metrics,
    ):
        loop_parts = LoopParts(
            engine=engine,
            plan=parts.plan,
            validate=validate,
            saver=parts.checkpoints,
            watches=(bar, metrics),
            stopping=stopping,
        )
        Loop(loop_parts, config, progress).run()


def _evaluate(parts: RunParts, batches: evaluation.EvalBatches) -> evaluation.EvalAnswers:
    engine = parts.engine
    return evaluation.evaluate(parts.student, batches, engine.world, lockstep=engine.in_lockstep)


def _conclude(inputs: RunInputs, parts: RunParts, progress: TrainingProgress) -> None:
    config, world, examples = inputs.config, parts.engine.world, inputs.test.examples
    answers = _evaluate(parts, parts.test)
    often = majority(example.label for example in inputs.train.examples)
    scores = report.TestScores(
        student=score(answers.labels, examples, inputs.kind),
        teacher=score([q.teacher for q in examples], examples, inputs.kind),
        majority=score([often] * len(examples), examples, inputs.kind),
    )
    spent = report.cost(parts.student, progress, world, config.peak)
    if world.rank > 0:
        return
    found = report.RunSummary(
        progress=progress,
        scores=scores,
        spent=spent,
        calibration=_calibration(inputs, answers),
        truncations=parts.truncations,
    )
    with writing(config.output):
        report.write_model(parts.checkpoints.best(progress.best_step), config, inputs.origin, found)
        report.write_results(config, inputs.fingerprint, inputs.counts, found)
    report.show(Console(), scores, config.output)


def _calibration(inputs: RunInputs, answers: evaluation.EvalAnswers) -> Calibration | None:
    if answers.probabilities is None:
        return None
    hits = right(answers.labels, inputs.test.examples, inputs.kind)
    return calibration(answers.probabilities, hits)


def _resolved(config: TrainSettings, world: World) -> TrainSettings:
    """The settings with nothing left open, as they are used and reported."""
    natural: Precision = "fp32" if world.device.type == "cpu" else "bf16"
    precision = config.precision or natural
    return replace(config, precision=precision, lr=config.peak_lr)


_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignal(AbstractContextManager["StopSignal"]):
    """Listens while it is open; called, it says whether a signal came."""

    def __init__(self) -> None:
        self._came = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._before = {one: signal.signal(one, self._hear) for one in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        self._listen_no_more()

    def __call__(self) -> bool:
        """Whether a signal came."""
        return self._came

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self._came = True
        self._listen_no_more()

    def _listen_no_more(self) -> None:
        for one, handler in self._before.items():
            signal.signal(one, handler)
