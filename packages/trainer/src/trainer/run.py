"""The whole way of a run on one page: student, tokens, training, exams, results."""

import logging
from dataclasses import dataclass, replace

import torch
import transformers
from rich.console import Console

from common.errors import ConfigError
from common.manifest import Manifest
from common.task import LabelKind
from trainer.config import TINY, Precision, TrainConfig
from trainer.data.batches import Layout
from trainer.data.examples import Exam, Lesson
from trainer.data.plan import Plan, Sharing, StepSettings
from trainer.data.tokens import Limits, Tokens, kept, load, save, tokenise
from trainer.errors import TrainingError
from trainer.model.student import Student, compile_student, pretrained, tiny
from trainer.model.tokenizer import encoder_of, fingerprint_of, train_pieces, unspeakable
from trainer.scores import Score, majority, mark
from trainer.tasks import judged
from trainer.training import checkpoint, evaluation, report
from trainer.training.board import Board
from trainer.training.checkpoint import Checkpoints
from trainer.training.engine import Engine, EngineSettings, World, start, stop
from trainer.training.loop import Hands, Loop, Progress
from trainer.training.progress import Watcher
from trainer.training.stopping import StopSignal

_ROUND_ON_GPU = 8
_ROUND_COMPILED = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Everything read and checked: what is left is the work. counts: as report.data_counts.

    origin: the manifest of the first training folder.
    """

    config: TrainConfig
    fingerprint: str
    lesson: Lesson
    valid: Exam
    test: Exam
    kind: LabelKind
    origin: Manifest
    counts: dict[str, object]


def run(job: Job) -> None:
    """Train, judge and write. Raises DistillError; every rank must come here."""
    _hush()
    world = start()
    try:
        _run(replace(job, config=_resolved(job.config, world)), world)
    except torch.OutOfMemoryError:
        raise TrainingError(
            f"{world.device}: out of memory: lower --batch-tokens (a step stays what it is), "
            "or add --activation-checkpointing or --zero 2"
        ) from None
    stop()


def _run(job: Job, world: World) -> None:
    _agree(job, world)
    config = job.config
    student = _student(job, world)
    _refuse_unspeakable(job, student)
    engine = Engine(student, _engine_settings(config, world), world)
    kept = Checkpoints(config.output, job.fingerprint, engine, student)
    progress = kept.restore(universal=config.universal)
    _train(job, student, kept, progress, engine)
    kept.load_best(progress.best_step)
    _conclude(job, student, kept, progress, engine)


def _hush() -> None:
    """The libraries keep to errors, so that what is on the screen is about this run."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)


def _agree(job: Job, world: World) -> None:
    """All ranks must have read the same, and a step must have a row for each."""
    if len(set(world.gather(job.fingerprint))) > 1:
        raise ConfigError("the ranks read different data or settings: give every host the same")
    shares, config = world.size * job.config.accumulate, job.config
    if config.batch_size < shares:
        raise ConfigError(
            f"--batch-size {config.batch_size}: fewer rows than {world.size} ranks x "
            f"{config.accumulate} micro-batches: take {shares} or more"
        )


def _student(job: Job, world: World) -> Student:
    config = job.config
    if config.model == TINY:
        pieces = train_pieces(_texts(job)) if world.rank == 0 else None
        student = tiny(world.from_first(pieces), config.seed, config.dropout)
    else:
        student = pretrained(config.model, config.dropout)
    if config.activation_checkpointing:
        student.model.activation_checkpointing_enable()
    if config.compile:
        compile_student(student)
    return student


def _refuse_unspeakable(job: Job, student: Student) -> None:
    """A label that the tokenizer cannot spell, or cuts, could never be right."""
    labels = {said.text for row in job.lesson.examples for said in row.labels}
    wrong = unspeakable(student.tokenizer, sorted(labels), job.config.max_target_tokens)
    if wrong is not None:
        raise ConfigError(
            f"--model {job.config.model}: its tokenizer cannot write the label {wrong!r} in "
            f"{job.config.max_target_tokens} tokens: rename it in task.yaml, raise "
            "--max-target-tokens, or take another model"
        )


def _texts(job: Job) -> list[str]:
    said = (
        [row.input, *(one.text for one in (*row.labels, *row.rationales))]
        for row in job.lesson.examples
    )
    prefixes = [task.prefix.strip() for task in job.config.table() if task.prefix]
    return [*prefixes, *(text for texts in said for text in texts)]


def _train(
    job: Job, student: Student, kept: Checkpoints, progress: Progress, engine: Engine
) -> None:
    config, world = job.config, engine.world
    sheet = _paper(job, job.valid, student)

    def validate() -> Score:
        answers = evaluation.sit(student, sheet, world, lockstep=engine.in_lockstep)
        return mark(answers, job.valid.questions, job.kind)

    quiet = config.quiet or world.rank > 0
    with (
        StopSignal() as stopping,
        Watcher(config.steps, progress.step, quiet=quiet) as watch,
        Board(config.output, config.track, quiet=world.rank > 0) as board,
    ):
        hands = Hands(
            engine=engine,
            plan=_plan(job, student, engine),
            validate=validate,
            keeper=kept,
            watches=(watch, board),
            stopping=stopping,
        )
        Loop(hands, config, progress).run()


def _plan(job: Job, student: Student, engine: Engine) -> Plan:
    config, world = job.config, engine.world
    sharing = Sharing(
        rank=world.rank,
        ranks=world.size,
        accumulate=config.accumulate,
        most_tokens=config.batch_tokens,
        lockstep=engine.in_lockstep,
    )
    on_gpu = _ROUND_ON_GPU if world.device.type == "cuda" else 1
    settings = StepSettings(
        batch_size=config.batch_size,
        seed=config.seed,
        sharing=sharing,
        layout=Layout(round_to=_ROUND_COMPILED if config.compile else on_gpu, pack=config.pack),
        mutual=config.mutual > 0,
    )
    return Plan(_tokens(job, student, world), settings)


def _tokens(job: Job, student: Student, world: World) -> Tokens:
    """The examples as token ids; one rank of each host makes them where they are not kept yet."""
    config, examples = job.config, job.lesson.examples
    limits = Limits(input=config.max_input_tokens, target=config.max_target_tokens)
    table, speller = config.table(), fingerprint_of(student.tokenizer)
    folder = kept(config.token_folder, examples, table, speller, limits)
    if world.local_rank == 0 and not folder.exists():
        save(tokenise(examples, table, encoder_of(student.tokenizer), limits), folder)
    world.gather(None)  # wait for it
    return load(folder, len(table))


def _conclude(
    job: Job, student: Student, kept: Checkpoints, progress: Progress, engine: Engine
) -> None:
    config, world, questions = job.config, engine.world, job.test.questions
    exam = _paper(job, job.test, student)
    answers = evaluation.sit(student, exam, world, lockstep=engine.in_lockstep)
    often = majority(example.label for example in job.lesson.examples)
    verdict = report.Verdict(
        student=mark(answers, questions, job.kind),
        teacher=mark([q.teacher for q in questions], questions, job.kind),
        majority=mark([often] * len(questions), questions, job.kind),
    )
    spent = report.cost(student, progress, world, config.peak)
    if world.rank > 0:
        return
    found = report.Findings(progress=progress, verdict=verdict, spent=spent)
    report.write_model(kept.best(progress.best_step), config, job.origin, found)
    report.write_results(config, job.fingerprint, job.counts, found)
    report.show(Console(), verdict, config.output)


def _paper(job: Job, exam: Exam, student: Student) -> evaluation.Paper:
    config = job.config
    task, longest = judged(config.table()), config.max_input_tokens
    return evaluation.paper(exam.questions, job.kind, student, task, longest)


def _resolved(config: TrainConfig, world: World) -> TrainConfig:
    """The settings with nothing left open, as they are used and reported."""
    natural: Precision = "fp32" if world.device.type == "cpu" else "bf16"
    precision = config.precision or natural
    return config.model_copy(update={"precision": precision, "lr": config.peak_lr})


def _engine_settings(config: TrainConfig, world: World) -> EngineSettings:
    if config.universal and checkpoint.last_step(config.output):
        if world.rank == 0:
            checkpoint.convert(config.output)
        world.gather(None)  # wait for it
    return EngineSettings(
        zero=config.zero,
        bf16=config.precision == "bf16",
        clip=config.clip,
        weight_decay=config.weight_decay,
        mutual=config.mutual > 0,
        universal=config.universal and checkpoint.last_step(config.output) is not None,
    )
