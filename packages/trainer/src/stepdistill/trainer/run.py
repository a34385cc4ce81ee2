"""The whole way of a run on one page: ranks, preparation, training, evaluation, results."""

import logging
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from threading import current_thread, main_thread
from types import FrameType

from rich.console import Console
from transformers.utils import logging as transformers_logging

from stepdistill.common.errors import ConfigError, DistillError
from stepdistill.trainer.errors import TrainingError, is_out_of_memory
from stepdistill.trainer.model.student import Student
from stepdistill.trainer.ranks import launcher
from stepdistill.trainer.ranks.meeting import lost_by
from stepdistill.trainer.scores import (
    against_majority,
    calibration,
    correct,
    difference,
    majority,
    score,
)
from stepdistill.trainer.settings.train import Precision, TrainSettings
from stepdistill.trainer.training import evaluation, report
from stepdistill.trainer.training.checkpoint import TrainingProgress, writing
from stepdistill.trainer.training.engine import World, start, stop
from stepdistill.trainer.training.loop import Loop
from stepdistill.trainer.training.prepare import RunInputs, RunParts, prepare
from stepdistill.trainer.training.progress import MetricsLogger, ProgressBar
from stepdistill.trainer.training.selection import Validation


def run(inputs: RunInputs) -> None:
    """Train, judge and write. Raises DistillError; every rank must come here."""
    _hush()
    world = start()
    try:
        _run(replace(inputs, config=_resolved(inputs.config, world)), world)
    except (RuntimeError, MemoryError, DistillError) as error:
        if not is_out_of_memory(error):
            raise lost_by(error) or error from None
        raise TrainingError(
            f"{world.device}: out of memory: lower --batch-tokens (a step stays what it is), "
            "or add --activation-checkpointing or --zero 2"
        ) from None
    stop()


def train_unkept(inputs: RunInputs) -> tuple[Student, str]:
    """Train a student on one rank, of which nothing is kept on the disk: the student after its last
    step, and of each validation row a 1 where the best one was right, else a 0. Raises
    DistillError."""
    _hush()
    world = start()
    inputs = replace(inputs, config=_resolved(inputs.config, world))
    parts, progress = prepare(inputs, world), TrainingProgress()
    _train(inputs, parts, progress)
    return parts.student, progress.best_right


def _run(inputs: RunInputs, world: World) -> None:
    _agree(inputs, world)
    parts = prepare(inputs, world)
    progress = parts.checkpoints.restore(parts.last, universal=inputs.config.universal)
    _train(inputs, parts, progress)
    parts.checkpoints.load_best(progress.best_step)
    _conclude(inputs, parts, progress)


def _hush() -> None:
    """The libraries keep to errors, so that what is on the screen is about this run."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
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

    def validate() -> Validation:
        labels, examples = _evaluate(parts, parts.valid).labels, inputs.valid.examples
        return Validation(
            score=score(labels, examples, inputs.kind),
            right=correct(labels, examples, inputs.kind),
            explain_loss=evaluation.explain_loss(
                parts.student, parts.reasons, engine.world, lockstep=engine.in_lockstep
            ),
        )

    silent = engine.world.rank > 0
    with (
        _listening() as stopping,
        ProgressBar(config.steps, progress.step, quiet=config.quiet or silent) as bar,
        MetricsLogger(config.output, config.track, quiet=silent) as metrics,
    ):
        Loop(
            config=config,
            progress=progress,
            engine=engine,
            plan=parts.plan,
            checkpoints=parts.checkpoints,
            validate=validate,
            watches=(bar, metrics),
            stopping=stopping,
        ).run()


def _evaluate(parts: RunParts, batches: evaluation.EvalBatches) -> evaluation.EvalAnswers:
    engine = parts.engine
    return evaluation.evaluate(parts.student, batches, engine.world, lockstep=engine.in_lockstep)


def _conclude(inputs: RunInputs, parts: RunParts, progress: TrainingProgress) -> None:
    config, world, examples = inputs.config, parts.engine.world, inputs.test.examples
    answers = _evaluate(parts, parts.test)
    often = majority((example.label for example in inputs.train.examples), inputs.kind)
    said = {
        "student": answers.labels,
        "teacher": [q.teacher for q in examples],
        "majority": [often] * len(examples),
    }
    scores = {who: score(labels, examples, inputs.kind) for who, labels in said.items()}
    spent = report.cost(parts.student, progress, world, config.peak)
    if world.rank > 0:
        return
    hits, by_majority = (
        correct(said[who], examples, inputs.kind) for who in ("student", "majority")
    )
    is_scored = config.evaluate_by == "scoring"
    calibrated = calibration(answers.probabilities, hits) if is_scored else None
    found = report.RunSummary(
        progress=progress,
        scores=scores,
        spent=spent,
        calibration=calibrated,
        truncations=parts.truncations,
        notes=[*inputs.train.remarks, *inputs.test.remarks],
        unread=parts.unread,
        max_label_tokens=parts.test.longest_answer or None,
    )
    with writing(config.output):
        report.write_model(parts.checkpoints.best(progress.best_step), config, inputs.origin, found)
        report.write_results(config, inputs.fingerprint, inputs.counts, found)
    remarks = against_majority(difference(hits, by_majority), often)
    notes = [f"NOTE: {note}" for note in found.notes]
    report.show(Console(markup=False, emoji=False), scores, [*remarks, *notes], config.output)


def _resolved(config: TrainSettings, world: World) -> TrainSettings:
    """The settings with nothing left open, as they are used and reported."""
    natural: Precision = "fp32" if world.device.type == "cpu" else "bf16"
    precision = config.precision or natural
    return replace(config, precision=precision, lr=config.peak_lr)


@contextmanager
def _listening() -> Generator[Callable[[], bool]]:
    """What is yielded says whether somebody asked the run to stop meanwhile."""
    came: list[int] = []

    def hear(number: int, frame: FrameType | None) -> None:
        came.append(number)
        listen_no_more()  # so a second signal ends the run at once

    def listen_no_more() -> None:
        for one, handler in before.items():
            signal.signal(one, handler)

    # A thread, such as Ray's, gets no signals.
    signals = (signal.SIGTERM, signal.SIGINT) if current_thread() is main_thread() else ()
    before = {one: signal.signal(one, hear) for one in signals}
    launcher.saving.set()
    try:
        yield lambda: bool(came) or launcher.gone.is_set()
    finally:
        launcher.saving.clear()
        listen_no_more()
