"""Everything that is made before the first step: student, tokens, steps, evaluation, optimizer."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from stepdistill.common.errors import ConfigError
from stepdistill.common.kinds.kind import Kind
from stepdistill.common.manifest import Manifest
from stepdistill.trainer.data.batches import Layout
from stepdistill.trainer.data.examples import EvalSet, TrainSet
from stepdistill.trainer.data.plan import Sharing, StepPlan, StepSettings
from stepdistill.trainer.data.tokens import (
    LengthLimits,
    Tokens,
    Truncation,
    Unspellable,
    kept,
    load,
    save,
    tokenise,
    truncation,
    truncations_of,
)
from stepdistill.trainer.errors import refused
from stepdistill.trainer.model.encoder import encoder_base, scratch_encoder
from stepdistill.trainer.model.heads import head_of
from stepdistill.trainer.model.pretrained import pretrained
from stepdistill.trainer.model.student import Student, compile_student, from_scratch
from stepdistill.trainer.model.tokenizer import (
    encoder_of,
    fingerprint_of,
    label_over,
    marks_of,
    train_pieces,
    unknown_characters,
    unwritable_label,
    writes,
)
from stepdistill.trainer.settings.tasks import SEPARATOR, Table, judged
from stepdistill.trainer.settings.train import SIZES, TrainSettings
from stepdistill.trainer.training.checkpoint import (
    Checkpoints,
    FoundStep,
    Shares,
    convert,
    last_whole,
)
from stepdistill.trainer.training.engine import Engine, EngineSettings, World
from stepdistill.trainer.training.evaluation import (
    EvalBatches,
    ExplainBatches,
    longest_label,
    tokenise_eval,
    tokenise_reasons,
)
from stepdistill.trainer.training.memory import check_memory

_ROUND_ON_GPU = 8
_SHOWN_CHARACTERS = 12
_ROUND_COMPILED = 32
_SHOWN = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInputs:
    """Everything read and checked: what is left is the work."""

    config: TrainSettings
    fingerprint: str
    train: TrainSet
    valid: EvalSet
    test: EvalSet
    kind: Kind
    origin: Manifest  # of the first training folder
    counts: dict[str, object]  # as report.data_counts


@dataclass(frozen=True, slots=True, kw_only=True)
class RunParts:
    """All parts that a run needs."""

    student: Student
    engine: Engine
    plan: StepPlan
    valid: EvalBatches
    test: EvalBatches
    reasons: ExplainBatches  # of the validation rows
    last: Path | None  # the step's folder that it goes on from
    checkpoints: Checkpoints
    truncations: Sequence[Truncation]  # what was too long, of every split
    unread: Sequence[Unspellable]  # what the vocabulary lacks, of every split


def prepare(inputs: RunInputs, world: World) -> RunParts:
    """Raises DistillError on every rank alike."""
    config = inputs.config
    student = _student(inputs, world)
    _refuse_labels(inputs, student)
    # Before the tokens of the training rows are made: what is refused, is refused early.
    task, longest = judged(config.table()), config.max_input_tokens
    longest_answer = min(longest_label(student, task, _labels(inputs)), config.max_target_tokens)
    valid, test = (
        tokenise_eval(rows.examples, student, task, longest, config.evaluate_by, longest_answer)
        for rows in (inputs.valid, inputs.test)
    )
    tokens = _tokens(inputs, student, world)
    limits = _limits(config, student)
    truncations = _truncations(limits, config.table(), tokens, (valid, test))
    unread = [*_unread(inputs, student)]
    if world.rank == 0:
        sys.stderr.writelines(f"{each}\n" for each in truncations if each.cut)
        sys.stderr.writelines(f"{each}\n" for each in unread)
    last = _last_step(inputs, world)
    shares = _shares(config, last, world)
    settings = _engine_settings(inputs, world, last)
    check_memory(student.model, settings, world)
    engine = Engine(student, settings, world)
    return RunParts(
        student=student,
        engine=engine,
        plan=_plan(config, tokens, engine, shares),
        valid=valid,
        test=test,
        reasons=tokenise_reasons(inputs.valid.examples, student, config, inputs.kind),
        last=last.folder,
        checkpoints=Checkpoints(config.output, inputs.fingerprint, engine, student, shares),
        truncations=truncations,
        unread=unread,
    )


def _student(inputs: RunInputs, world: World) -> Student:
    config = inputs.config
    told = (text.text for row in inputs.train.examples for text in row.labels)
    head = head_of(inputs.origin.label, told) if config.is_classifier else None
    if config.model in SIZES:
        pieces = world.from_first(train_pieces(_texts(inputs)) if world.rank == 0 else None)
        size, seed, dropout = SIZES[config.model], config.seed, config.dropout
        student = (
            from_scratch(size, pieces, seed, dropout)
            if head is None
            else scratch_encoder(size, pieces, head, seed, dropout)
        )
    elif head is not None:
        student = encoder_base(config.model, head, config.dropout, config.seed)
    else:
        student = _pretrained(config)
    if world.rank == 0:
        sys.stderr.writelines(f"{remark}\n" for remark in student.remarks)
    if config.pack and not student.family.shares_lines:
        raise ConfigError(
            f"--pack {config.pack}: --model {config.model} knows a token's place in its line, so "
            "inputs cannot share one: leave --pack out"
        )
    if config.activation_checkpointing:
        if not student.model.supports_gradient_checkpointing:
            raise ConfigError(
                f"--activation-checkpointing: {student.model.config.model_type} keeps all its "
                "activations: leave it out, --batch-tokens lowers what is kept at once"
            )
        student.model.activation_checkpointing_enable()
    if config.compile:
        compile_student(student)
    return student


def _pretrained(config: TrainSettings) -> Student:
    """Of ZeRO-3 no rank may have room for all weights, in whichever precision they are stored."""
    if config.zero < 3:
        return pretrained(config.model, config.dropout)
    with refused(config.output):
        config.output.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".base-", dir=config.output) as scratch:
            return pretrained(config.model, config.dropout, Path(scratch))


def _texts(inputs: RunInputs) -> list[str]:
    texts = [task.prefix.strip() for task in inputs.config.table() if task.prefix]
    if _answers_with_reasons(inputs):
        texts.append(SEPARATOR)
    for row in inputs.train.examples:
        texts += [row.input, *(one.text for one in (*row.labels, *row.rationales))]
    return texts


def _answers_with_reasons(inputs: RunInputs) -> bool:
    """Whether one answer holds label and reasons."""
    return any(task.target == "label-rationale" for task in inputs.config.table())


def _labels(inputs: RunInputs) -> Iterator[str]:
    """All that a right answer may be spelt like: gold, the teacher's, and what is learnt."""
    for row in inputs.train.examples:
        yield from (each.text for each in row.labels)
    for asked in (*inputs.valid.examples, *inputs.test.examples):
        yield inputs.kind.target(asked.gold)
        yield inputs.kind.target(asked.teacher or "")


def _refuse_labels(inputs: RunInputs, student: Student) -> None:
    """A label that the tokenizer cannot spell, or that is cut, could never be right."""
    config, tokenizer = inputs.config, student.tokenizer
    labels = sorted({text.text for row in inputs.train.examples for text in row.labels})
    if student.head is not None:
        student.head.spell(labels)
        return
    long = label_over(tokenizer, [*labels, *_options(inputs)], config.max_target_tokens)
    if long is not None:
        label, tokens = long
        raise ConfigError(
            f"--max-target-tokens {config.max_target_tokens}: the label {_short(label)} has "
            f"{tokens} tokens, and a label that is cut is never right: allow more, or mend it"
        )
    if _answers_with_reasons(inputs) and not writes(tokenizer, SEPARATOR):
        raise ConfigError(
            f"--model {config.model}: its tokenizer cannot write {SEPARATOR!r}, which parts label "
            "and reasons: take --mode step-by-step, or another model"
        )
    wrong = unwritable_label(tokenizer, labels)
    if wrong is not None:
        raise ConfigError(
            f"--model {config.model}: its tokenizer cannot write the label {_short(wrong)}: "
            "rename it in task.yaml, or take another model"
        )


def _options(inputs: RunInputs) -> list[str]:
    """What the rows of the exams bring along to choose from: each is scored, however long it is."""
    asked = (*inputs.valid.examples, *inputs.test.examples)
    return sorted({name for row in asked for name in row.choices if inputs.origin.label.options})


def _short(label: str) -> str:
    return repr(label if len(label) <= _SHOWN else f"{label[:_SHOWN]}...")


def _tokens(inputs: RunInputs, student: Student, world: World) -> Tokens:
    """The examples as token ids; one rank of each host makes them where they are not kept yet."""
    config, examples = inputs.config, inputs.train.examples
    table, tokenizer = config.table(), fingerprint_of(student.tokenizer)
    if student.head is not None:  # the ids of labels are its own
        tokenizer = f"{tokenizer} {student.head.problem} {student.head.names}"
    limits, encode = _limits(config, student), encoder_of(student.tokenizer)
    folder = kept(config.token_folder, examples, table, tokenizer, limits)
    if world.local_rank == 0 and not folder.exists():
        save(tokenise(examples, table, encode, limits, student.spell), folder)
    world.gather(None)  # wait for it
    return load(folder, len(table))


def _truncations(
    limits: LengthLimits, table: Table, tokens: Tokens, evaluations: Sequence[EvalBatches]
) -> list[Truncation]:
    of_evaluation = (
        truncation(split, "inputs", batches.cut, len(batches.examples), limits)
        for split, batches in zip(("valid", "test"), evaluations, strict=True)
    )
    return [*truncations_of(tokens, table, limits), *of_evaluation]


def _unread(inputs: RunInputs, student: Student) -> Iterator[Unspellable]:
    """What of the texts the tokenizer cannot spell, or would take for its own marks."""
    tokenizer, marks = student.tokenizer, marks_of(student.tokenizer)
    train = inputs.train.examples
    told = [one.text for row in train for one in (*row.labels, *row.rationales)]
    if student.head is not None:
        told = []  # it reads none of them
    kinds = (
        ("train", "inputs", [row.input for row in train]),
        ("train", "labels and reasons", told),
        ("valid", "inputs", [row.input for row in inputs.valid.examples]),
        ("test", "inputs", [row.input for row in inputs.test.examples]),
    )
    for split, what, texts in kinds:
        lacking = unknown_characters(tokenizer, texts)
        marked = sum(marks.search(text) is not None for text in texts)
        n = sum(not lacking.isdisjoint(text) for text in texts) if lacking else marked
        if n:
            yield Unspellable(
                split=split,
                what=what,
                texts=n,
                of=len(texts),
                characters=" ".join(sorted(lacking)[:_SHOWN_CHARACTERS]),
                marks=marked,
            )


def _shares(config: TrainSettings, last: FoundStep, world: World) -> Shares:
    """Of a step, as they were where the run began: fewer ranks, more micro-batches."""
    kept = last.shares
    if kept is not None and kept.accumulate == config.accumulate:
        return kept
    return Shares(accumulate=config.accumulate, count=config.accumulate * world.size)


def _plan(config: TrainSettings, tokens: Tokens, engine: Engine, shares: Shares) -> StepPlan:
    world = engine.world
    sharing = Sharing(
        rank=world.rank,
        ranks=world.size,
        accumulate=shares.micro_batches(world.size),
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
    return StepPlan(tokens, settings)


def _limits(config: TrainSettings, student: Student) -> LengthLimits:
    asked, target = config.max_input_tokens, config.max_target_tokens
    limit = student.input_limit(asked)
    if student.head is not None:  # its labels are as long as they are
        target = max(target, len(student.head.names))
    if limit == asked:
        return LengthLimits(input=limit, target=target)
    return LengthLimits(input=limit, target=target, input_option="another --model")


def _last_step(inputs: RunInputs, world: World) -> FoundStep:
    """Looked for by one rank: its files are read whole. Raises ConfigError on all alike."""

    def look() -> FoundStep | str:
        try:
            return last_whole(inputs.config.output, inputs.fingerprint)
        except ConfigError as error:
            return str(error)

    found = world.from_first(look() if world.rank == 0 else None)
    if isinstance(found, str):
        raise ConfigError(found)
    if world.rank == 0:
        sys.stderr.writelines(f"{line}\n" for line in found.damaged)
        if found.ranks not in (0, world.size):
            sys.stderr.write(
                f"{found.folder}: written by {found.ranks} ranks, gone on from by {world.size}: "
                "each step learns from the same rows\n"
            )
    return found


def _engine_settings(inputs: RunInputs, world: World, last: FoundStep) -> EngineSettings:
    config = inputs.config
    settings = EngineSettings(
        zero=config.zero,
        bf16=config.precision == "bf16",
        clip=config.clip,
        weight_decay=config.weight_decay,
        mutual=config.mutual > 0,
    )
    # Only where other ranks wrote the checkpoint; without ZeRO there is nothing to convert, since
    # every rank's is whole.
    is_needed = config.universal and settings.stage > 0 and last.ranks != world.size
    if last.folder is None or not is_needed:
        return settings
    if world.rank == 0:
        convert(last.folder)
    world.gather(None)  # wait for it
    return replace(settings, universal=True)
