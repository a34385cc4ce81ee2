"""The whole way of a run on one page: student, tokens, training, exams, results."""

import logging
from dataclasses import dataclass, replace

import torch
import transformers
from rich.console import Console

from common.errors import ConfigError
from common.task import LabelKind
from trainer.config import TINY, Precision, TrainConfig
from trainer.data.batches import EXPLAIN, PREDICT, Plan, tokenise
from trainer.data.examples import Exam, Lesson
from trainer.model.student import Student, pretrained, tiny
from trainer.model.tokenizer import encoder_of, train_pieces
from trainer.training import checkpoint, evaluation, report
from trainer.training.engine import Engine, EngineSettings, World, start, stop
from trainer.training.loop import Loop, Trained
from trainer.training.progress import Watcher


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Everything read and checked: what is left is the work. counts: as report.data_counts."""

    config: TrainConfig
    fingerprint: str
    lesson: Lesson
    valid: Exam
    test: Exam
    kind: LabelKind
    counts: dict[str, object]


def run(job: Job) -> None:
    """Train, judge and write. Raises DistillError; every rank must come here."""
    _hush()
    world = start()
    job = replace(job, config=_resolved(job.config, world))
    _refuse_uneven_batches(job.config, world)
    student = _student(job, world)
    engine = Engine(student, _settings(job.config), world)
    trained = _train(job, student, engine, world)
    _conclude(job, student, engine, trained, world)
    stop()


def _hush() -> None:
    """The libraries keep to errors, so that what is on the screen is about this run."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)


def _student(job: Job, world: World) -> Student:
    config = job.config
    if config.model != TINY:
        return pretrained(config.model, config.dropout)
    pieces = train_pieces(_texts(job.lesson)) if world.rank == 0 else None
    return tiny(world.from_first(pieces), config.seed, config.dropout)


def _texts(lesson: Lesson) -> list[str]:
    rows = lesson.examples
    words = [text for row in rows for text in (row.input, row.label, row.rationale) if text]
    return [PREDICT.strip(), EXPLAIN.strip(), *words]


def _train(job: Job, student: Student, engine: Engine, world: World) -> Trained:
    config = job.config
    torch.manual_seed(config.seed * 1000 + world.rank)  # dropout differs between ranks
    sheet = _paper(job, job.valid, student)

    def validate() -> evaluation.Score:
        return evaluation.judge(student, sheet, world, lockstep=engine.in_lockstep)

    with Watcher(config.steps, quiet=config.quiet or world.rank > 0) as watch:
        return Loop(engine, _plan(job, student, engine, world), validate, config, watch).run()


def _plan(job: Job, student: Student, engine: Engine, world: World) -> Plan:
    config = job.config
    tokens = tokenise(
        job.lesson.examples,
        encoder_of(student.tokenizer),
        config.mode,
        config.max_input_tokens,
        config.max_target_tokens,
    )
    return Plan(
        tokens=tokens,
        batch_size=config.batch_size,
        accumulate=config.accumulate,
        rank=world.rank,
        world_size=world.size,
        seed=config.seed,
        lockstep=engine.in_lockstep,
    )


def _conclude(job: Job, student: Student, engine: Engine, trained: Trained, world: World) -> None:
    checkpoint.restore(engine, trained.weights)
    exam = _paper(job, job.test, student)
    verdict = report.Verdict(
        student=evaluation.judge(student, exam, world, lockstep=engine.in_lockstep),
        teacher=evaluation.teacher_score(job.test.questions, job.kind),
        majority=evaluation.majority_score(
            (example.label for example in job.lesson.examples), job.test.questions, job.kind
        ),
    )
    spent = report.cost(trained, world)
    if world.rank > 0:
        return
    output = job.config.output
    checkpoint.save_student(student, trained.weights, output / report.MODEL_NAME)
    report.write_results(job.config, job.fingerprint, job.counts, trained, verdict, spent)
    report.show(Console(), verdict, output)


def _paper(job: Job, exam: Exam, student: Student) -> evaluation.Paper:
    config = job.config
    longest = config.max_input_tokens
    return evaluation.paper(exam.questions, job.kind, student, config.mode, longest)


def _resolved(config: TrainConfig, world: World) -> TrainConfig:
    """The settings with nothing left open, as they are used and reported."""
    natural: Precision = "fp32" if world.device.type == "cpu" else "bf16"
    precision = config.precision or natural
    return config.model_copy(update={"precision": precision, "lr": config.peak_lr})


def _settings(config: TrainConfig) -> EngineSettings:
    return EngineSettings(
        batch_size=config.batch_size,
        accumulate=config.accumulate,
        zero=config.zero,
        bf16=config.precision == "bf16",
        alpha=config.alpha if config.mode == "step-by-step" else None,
    )


def _refuse_uneven_batches(config: TrainConfig, world: World) -> None:
    shares = world.size * config.accumulate
    if config.batch_size % shares:
        raise ConfigError(
            f"--batch-size {config.batch_size}: not divisible by {world.size} ranks x "
            f"{config.accumulate} micro-batches: take a multiple of {shares}"
        )
