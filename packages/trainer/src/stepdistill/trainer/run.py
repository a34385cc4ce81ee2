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
from stepdistill.trainer.scores import Calibration, Score, calibration, majority, mark, right
from stepdistill.trainer.settings.train import Precision, TrainSettings
from stepdistill.trainer.training import evaluation, report
from stepdistill.trainer.training.checkpoint import writing
from stepdistill.trainer.training.engine import World, start, stop
from stepdistill.trainer.training.loop import Loop, LoopParts, TrainingProgress
from stepdistill.trainer.training.prepare import RunInputs, RunParts, prepare
from stepdistill.trainer.training.progress import MetricsLogger, ProgressBar


def run(job: RunInputs) -> None:
    """Train, judge and write. Raises DistillError; every rank must come here."""
    _hush()
    world = start()
    try:
        _run(replace(job, config=_resolved(job.config, world)), world)
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


def _run(job: RunInputs, world: World) -> None:
    _agree(job, world)
    ready = prepare(job, world)
    progress = ready.kept.restore(universal=job.config.universal)
    _train(job, ready, progress)
    ready.kept.load_best(progress.best_step)
    _conclude(job, ready, progress)


def _hush() -> None:
    """The libraries keep to errors, so that what is on the screen is about this run."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)


def _agree(job: RunInputs, world: World) -> None:
    """All ranks must have read the same, and a step must have a row for each."""
    if len(set(world.gather(job.fingerprint))) > 1:
        raise ConfigError("the ranks read different data or settings: give every host the same")
    shares, config = world.size * job.config.accumulate, job.config
    if config.batch_size < shares:
        raise ConfigError(
            f"--batch-size {config.batch_size}: fewer rows than {world.size} ranks x "
            f"{config.accumulate} micro-batches: take {shares} or more"
        )


def _train(job: RunInputs, ready: RunParts, progress: TrainingProgress) -> None:
    config, engine = job.config, ready.engine

    def validate() -> Score:
        answers = _sit(ready, ready.valid)
        return mark(answers.labels, job.valid.questions, job.kind)

    silent = engine.world.rank > 0
    with (
        StopSignal() as stopping,
        ProgressBar(config.steps, progress.step, quiet=config.quiet or silent) as watch,
        MetricsLogger(config.output, config.track, quiet=silent) as board,
    ):
        hands = LoopParts(
            engine=engine,
            plan=ready.plan,
            validate=validate,
            keeper=ready.kept,
            watches=(watch, board),
            stopping=stopping,
        )
        Loop(hands, config, progress).run()


def _sit(ready: RunParts, exam: evaluation.EvalBatches) -> evaluation.EvalAnswers:
    engine = ready.engine
    return evaluation.sit(ready.student, exam, engine.world, lockstep=engine.in_lockstep)


def _conclude(job: RunInputs, ready: RunParts, progress: TrainingProgress) -> None:
    config, world, questions = job.config, ready.engine.world, job.test.questions
    answers = _sit(ready, ready.test)
    often = majority(example.label for example in job.train.examples)
    verdict = report.TestScores(
        student=mark(answers.labels, questions, job.kind),
        teacher=mark([q.teacher for q in questions], questions, job.kind),
        majority=mark([often] * len(questions), questions, job.kind),
    )
    spent = report.cost(ready.student, progress, world, config.peak)
    if world.rank > 0:
        return
    found = report.RunSummary(
        progress=progress,
        verdict=verdict,
        spent=spent,
        calibration=_calibration(job, answers),
        cuts=ready.cuts,
    )
    with writing(config.output):
        report.write_model(ready.kept.best(progress.best_step), config, job.origin, found)
        report.write_results(config, job.fingerprint, job.counts, found)
    report.show(Console(), verdict, config.output)


def _calibration(job: RunInputs, answers: evaluation.EvalAnswers) -> Calibration | None:
    if answers.probabilities is None:
        return None
    hits = right(answers.labels, job.test.questions, job.kind)
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
