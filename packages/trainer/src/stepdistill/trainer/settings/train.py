"""Settings of a training run: each option once, with its type, bounds, default and help."""

import hashlib
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import orjson
import xxhash
from cyclopts import App, Parameter
from cyclopts.argument import ArgumentCollection
from cyclopts.validators import Number

from stepdistill.common.command_line import (
    LIST,
    PLACE,
    PLACES,
    ConfigFileSettings,
    Settings,
    add_command,
    at_least,
    between,
    call,
    layer_of,
    make_app,
    options,
    read_by,
)
from stepdistill.common.errors import ConfigError
from stepdistill.common.urls import Place
from stepdistill.trainer.errors import refused
from stepdistill.trainer.settings.tasks import Mode, Table, explaining, read_table, table_of

RESULTS_NAME = "results.json"
CHECKPOINTS_NAME = "checkpoints"
MODEL_NAME = "model"
SETTINGS_NAME = "stepdistill.json"  # of how a student is asked, within its model
LR_PRETRAINED, LR_ENCODER = 3e-4, 5e-5

Labels = Literal["teacher", "gold", "corrected"]
Precision = Literal["fp32", "bf16"]
EvaluateBy = Literal["greedy", "scoring", "free"]
SelectBy = Literal["label", "both"]
Architecture = Literal["encoder-decoder", "encoder"]

PRESETS: dict[str, dict[str, object]] = {
    # Voege 2023, as its runs are recorded: no warm-up, a rate that then falls linearly.
    "original": {"lr": 5e-5, "warmup": 0, "curve": "linear", "batch_size": 64, "patience": 0},
}
NO_FILE = ConfigFileSettings()
_POSITIVE = Parameter(validator=Number(gt=0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A student that is trained from scratch, without a download."""

    width: int  # of a hidden state
    layers: int  # of the encoder, and of the decoder
    # The peak learning rate that did best on the demo's validation rows, of three rates a factor of
    # two apart, over three seeds.
    lr: float


SIZES = {
    "micro": Size(width=32, layers=1, lr=3e-3),
    "tiny": Size(width=64, layers=2, lr=3e-3),
    "mini": Size(width=128, layers=3, lr=7e-4),
}


def _precision(word: str) -> Precision:
    if word == "fp16":
        raise ConfigError("--precision fp16: T5 overflows in fp16, take bf16 or fp32")
    if word not in ("fp32", "bf16"):
        raise ConfigError(f"--precision {word}: choose bf16 or fp32")
    return word


@options("Data", 1)
class TrainDataSettings(Settings):
    """What is learnt from, selected by and judged on."""

    train: Annotated[tuple[Place, ...], PLACES]
    """Folders of shards to learn from, also URLs; rows in several of them are joined by id."""
    valid: Annotated[tuple[Place, ...], PLACES] = ()
    """Folders to select by; without any, --valid-share of the rows."""
    test: Annotated[tuple[Place, ...], PLACES]
    """Folders to be judged on at the end."""
    cot: Path | None = None
    """The original's train_CoT.json, for the rows of --train."""
    labels: Labels = "teacher"
    """Labels to train on; corrected: the teacher's, and where people judged them theirs."""
    judgements: Path | None = None
    """What people judged (`annotate audit`): their labels are gold labels; default with --labels
    corrected: judgements.jsonl beside --train."""
    subsample: Annotated[float, Parameter(validator=Number(gt=0, lte=1))] = 1.0
    """Share of the training rows that is used; a smaller one is part of a larger one."""
    valid_share: Annotated[float, Parameter(validator=Number(gt=0, lt=1))] = 0.1
    """Share of the rows that validates without --valid; ids alone decide which."""
    max_input_tokens: Annotated[int, at_least(8)] = 512
    """Longer inputs are cut."""
    max_target_tokens: Annotated[int, at_least(2)] = 256
    """Longer targets are cut."""
    cache: Path | None = None
    """Folder of tokenised rows; default: ~/.cache/stepdistill/tokens."""


@options("Tasks (all but --mode off by default)", 2)
class TaskTableSettings(Settings):
    """What the student is to answer for a row, and what each task weighs."""

    mode: Mode = "step-by-step"
    """Label and rationale apart, the label alone, or one target of both."""
    alpha: Annotated[float, between(0, 1)] = 0.5
    """Step-by-step: weight of the label's loss; the rationale's weighs 1 - alpha."""
    tasks: Path | None = None
    """A table of tasks of your own, JSON, in place of --mode."""
    rationales: Annotated[int, at_least(1)] = 1
    """Rationales of a row that are learnt from, over all folders, and of a record with several."""
    row_weight: Literal["none", "confidence"] = "none"
    """confidence: rows weigh as much as the teacher is sure, by its logprobs or votes."""
    soft_labels: bool = False
    """Learn every label by how probable the teacher held it, or by its share of the votes."""
    mutual: Annotated[float, at_least(0)] = 0.0
    """Weight of the mutual-information term."""


@options("Training", 3)
class ScheduleSettings(Settings):
    """Steps, their size, and when the student is judged."""

    preset: Literal["original"] | None = None
    """original: lr 5e-5 without warm-up, batches of 64; what is given beside it goes before it."""
    steps: Annotated[int, at_least(1)] = 1000
    """Optimizer steps."""
    batch_size: Annotated[int, at_least(1)] = 32
    """Rows a step, over all ranks and micro-batches."""
    batch_tokens: Annotated[int | None, at_least(1)] = None
    """Tokens, padding included, that a rank reads at once at most; a step takes turns beyond."""
    pack: Annotated[int | None, at_least(8)] = None
    """Short inputs share lines of N tokens, computed exactly as apart; default: apart."""
    accumulate: Annotated[int, at_least(1)] = 1
    """Micro-batches a step, at least."""
    lr: Annotated[float | None, _POSITIVE] = None
    """Peak learning rate; default: 3e-4, an encoder's 5e-5, from scratch 3e-3, `mini` 7e-4."""
    warmup: Annotated[int, at_least(0)] = 50
    """Warm-up steps."""
    curve: Literal["linear", "cosine", "constant"] = "linear"
    """The learning rate after warm-up."""
    clip: Annotated[float, _POSITIVE] = 1.0
    """Gradient norm at most."""
    weight_decay: Annotated[float, at_least(0)] = 0.0
    """AdamW's weight decay."""
    dropout: Annotated[float | None, Parameter(validator=Number(gte=0, lt=1))] = None
    """Dropout probability; default: the model's own, 0 from scratch."""
    eval_every: Annotated[int, at_least(1)] = 100
    """Steps between validations."""
    evaluate_by: EvaluateBy = "greedy"
    """greedy: of a closed set the likeliest label, as `predict` answers, else what is said;
    scoring: closed sets alone, with calibration; free: what is said, be it a label or not."""
    select_by: SelectBy | None = None
    """Which student is kept: by its labels, or by its reasons too; default: both, where a task
    explains."""
    patience: Annotated[int, at_least(0)] = 0
    """End after so many validations without a better one; 0: never."""
    seed: Annotated[int, at_least(0)] = 0
    """Decides the rows of each step, weights from scratch, dropout."""


@options("Student, machine and output", 4)
class MachineSettings(Settings):
    """What is trained, on what, and where it goes."""

    model: str
    """A folder, a hub id, or `micro`, `tiny`, `mini`: from scratch."""
    student: Architecture = "encoder-decoder"
    """encoder: a classifier on BERT, ModernBERT and their kin: labels alone, as --mode standard."""
    output: Path
    """Folder for results.json and model/."""
    upload: Annotated[Place | None, PLACE] = None
    """URL of a folder where results.json and model/ are put as the run ends."""
    zero: Literal[0, 1, 2, 3] = 0
    """ZeRO stage."""
    precision: Annotated[Precision | None, read_by(_precision)] = None
    """bf16 (default on a GPU) or fp32 (default on a CPU)."""
    compile: bool = False
    """Compile the student (a minute at first, faster after)."""
    activation_checkpointing: bool = False
    """Compute activations again instead of keeping them."""
    save_every: Annotated[int | None, at_least(1)] = None
    """Steps between checkpoints; default: as --eval-every."""
    universal: bool = True
    """Go on from a checkpoint of another number of ranks, too; --no-universal refuses it."""
    peak: Annotated[float | None, _POSITIVE] = None
    """The device's peak in TFLOP/s, where it is not known."""
    track: Annotated[tuple[Literal["wandb", "mlflow"], ...], LIST] = ()
    """Report there too (TensorBoard always)."""
    log_every: Annotated[int, at_least(1)] = 10
    """Steps between lines of the history."""
    quiet: bool = False
    """No progress, only the result."""
    force: bool = False
    """Train again over what --output holds."""


# Whatever decides nothing of the result: where things lie, what is shown, how work is shared out.
# Data enters by its content, and the table of tasks stands for --tasks.
_ELSEWHERE = {
    *("train", "valid", "test", "output", "upload", "cache", "quiet", "force", "log_every"),
    *("cot", "judgements", "tasks", "preset", "track", "peak", "save_every", "universal"),
    *("batch_tokens", "accumulate", "pack"),
}

# Options that came later, and what they are unset: a run is then the one that it was before there
# were such.
LATER_OPTIONS: dict[str, object] = {
    "select_by": None,
    "student": "encoder-decoder",
    "judgements": None,
}


@options()
class TrainSettings(MachineSettings, ScheduleSettings, TaskTableSettings, TrainDataSettings):
    """One training run."""

    def check(self) -> None:
        super().check()
        if self.mutual and (self.tasks or self.mode != "step-by-step"):
            raise ConfigError("--mutual compares predict and explain: take --mode step-by-step")
        if self.select_by == "both" and not explaining(self.table()):
            raise ConfigError("--select-by both: no task explains here: leave it out")
        if self.is_classifier:
            self._check_classifier()

    def _check_classifier(self) -> None:
        """Raises ConfigError: what is asked for takes a student that writes."""
        asked = "--tasks" if self.tasks else f"--mode {self.mode}"
        if explaining(self.table()):
            raise ConfigError(
                f"{asked}: a classifier gives labels and no reasons: take --mode standard, or no "
                "--student encoder"
            )
        if self.evaluate_by == "free":
            raise ConfigError("--evaluate-by free: a classifier says no words: take greedy")

    @property
    def is_classifier(self) -> bool:
        """Whether the student is an encoder with a head, and no encoder-decoder."""
        return self.student == "encoder"

    @property
    def peak_lr(self) -> float:
        """The learning rate after warm-up; a student from scratch bears a larger one."""
        scratch = SIZES.get(self.model)
        base = LR_ENCODER if self.is_classifier else LR_PRETRAINED
        return self.lr or (scratch.lr if scratch else base)

    @property
    def token_folder(self) -> Path:
        """Where tokenised rows are kept, for this run and the next."""
        home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        return (self.cache or Path(home) / "stepdistill" / "tokens").expanduser()

    @property
    def checkpoint_every(self) -> int:
        """Steps between checkpoints."""
        return self.save_every or self.eval_every

    @property
    def selected_by(self) -> SelectBy:
        """What decides which student is kept."""
        return self.select_by or ("both" if explaining(self.table()) else "label")

    def table(self) -> Table:
        """The tasks. Raises ConfigError when --tasks cannot be read."""
        return read_table(self.tasks) if self.tasks else table_of(self.mode, self.alpha)

    def learning_rate(self, step: int) -> float:
        """Warm-up to the peak, then along the curve to zero after the last step; from step 0."""
        warmup = min(self.warmup, self.steps // 2)  # a short run falls, too
        if step < warmup:
            return self.peak_lr * (step + 1) / warmup
        left = (self.steps - step) / (self.steps - warmup)
        if self.curve == "cosine":
            left = (1 - math.cos(math.pi * left)) / 2
        return self.peak_lr * (1.0 if self.curve == "constant" else left)

    def identity(self) -> dict[str, object]:
        """The settings that decide the result."""
        decided = {
            name: value
            for name, value in asdict(self).items()
            if name not in _ELSEWHERE and is_told(name, value)
        }
        # As it is and not as it was asked for: a default may be another one in time.
        tasks = [task.model_dump() for task in self.table()]
        return {**decided, "model": _base(self.model), "lr": self.peak_lr, "tasks": tasks}

    def uncommon(self) -> dict[str, object]:
        """Those of them that are not the default."""
        defaults = {field.name: field.default for field in fields(self)}
        decided = self.identity()
        return {name: value for name, value in decided.items() if value != defaults.get(name)}


def is_told(name: str, value: object) -> bool:
    """Whether an option is told of a run: one that came later only where it is set."""
    return name not in LATER_OPTIONS or value != LATER_OPTIONS[name]


def _base(model: str) -> str:
    """A base's name; of a folder what lies in it, wherever that is: another may take its place."""
    folder = Path(model)
    if model in SIZES or not folder.is_dir():
        return model
    digest = xxhash.xxh3_128()
    with refused(f"--model {model}", "read"):
        for path in sorted(folder.iterdir()):
            if path.is_file() and not path.name.startswith(".") and path.suffix != ".md":
                digest.update(f"{path.name} {path.stat().st_size}\n".encode())
                with path.open("rb") as file:
                    hashlib.file_digest(file, lambda: digest)  # goes on with it
    return f"folder {digest.hexdigest()}"


def fingerprint(config: TrainSettings, data: str) -> str:
    """sha256 of the settings and of the data's own fingerprint: same fingerprint, same run."""
    parts = {"config": config.identity(), "data": data}
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()


def preset_below(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """A layer of options below the command line and its settings file: those of --preset, and the
    mode of --student encoder, which can have no other."""
    for argument in arguments:
        chosen = argument.tokens[-1].value if argument.tokens else None
        if argument.name == "--preset" and chosen in PRESETS:
            layer_of(PRESETS[chosen], "--preset")(app, commands, arguments)
        if argument.name == "--student" and chosen == "encoder" and commands == ("train",):
            layer_of({"mode": "standard"}, "--student")(app, commands, arguments)


def parse(words: Sequence[str]) -> TrainSettings:
    """The settings that a command line of `train` says. Raises ConfigError."""
    return call(_app(), ["train", *words], preset_below)


@cache
def _app() -> App:
    def as_given(settings: TrainSettings, _: ConfigFileSettings = NO_FILE) -> TrainSettings:
        return settings

    app = make_app("stepdistill", "")
    add_command(app, as_given, "train")
    return app
