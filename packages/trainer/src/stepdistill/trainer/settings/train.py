"""Settings of a training run, checked once and frozen."""

import hashlib
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stepdistill.common.errors import ConfigError
from stepdistill.trainer.settings.command_line import read_options
from stepdistill.trainer.settings.sizes import SIZES
from stepdistill.trainer.settings.tasks import Mode, Table, read_table, table_of

RESULTS_NAME = "results.json"
CHECKPOINTS_NAME = "checkpoints"
LR_PRETRAINED = 3e-4

Labels = Literal["teacher", "gold"]
Precision = Literal["fp32", "bf16"]
Curve = Literal["linear", "cosine", "constant"]
EvaluateBy = Literal["greedy", "scoring"]

PRESETS: dict[str, dict[str, object]] = {
    # Voege 2023, as its runs are recorded: no warm-up, a rate that then falls linearly.
    "original": {"lr": 5e-5, "warmup": 0, "curve": "linear", "batch_size": 64, "patience": 0},
}


class TrainSettings(BaseModel):
    """One run.

    batch_size: rows per optimizer step, over all ranks and micro-batches.
    batch_tokens: tokens of one rank's micro-batch at most, padding included; None: no limit.
    pack: short inputs share lines of so many tokens; None: each row has a line of its own.
    lr, dropout, precision: None takes what suits the model and the machine.
    alpha: weight of the label's loss; the rationale's weighs 1 - alpha.
    evaluate_by: greedy: what the student says counts; scoring: the likeliest of a closed set.
    patience: exams without a better one before training ends; 0: never.
    subsample: share of the training rows that is used; a smaller one is part of a larger one.
    valid_share: share of the training rows put aside for validation, where no --valid is given.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    train: tuple[Path, ...]
    valid: tuple[Path, ...] = ()
    test: tuple[Path, ...]
    cot: Path | None = None
    model: str
    output: Path
    cache: Path | None = None
    preset: str | None = None
    labels: Labels = "teacher"
    mode: Mode = "step-by-step"
    tasks: Path | None = None
    alpha: float = Field(default=0.5, ge=0, le=1)
    rationales: int = Field(default=1, ge=1)
    row_weight: Literal["none", "confidence"] = "none"
    soft_labels: bool = False
    mutual: float = Field(default=0.0, ge=0)
    subsample: float = Field(default=1.0, gt=0, le=1)
    valid_share: float = Field(default=0.1, gt=0, lt=1)
    steps: int = Field(default=1000, ge=1)
    batch_size: int = Field(default=32, ge=1)
    batch_tokens: int | None = Field(default=None, ge=1)
    pack: int | None = Field(default=None, ge=8)
    accumulate: int = Field(default=1, ge=1)
    lr: float | None = Field(default=None, gt=0)
    warmup: int = Field(default=50, ge=0)
    curve: Curve = "linear"
    clip: float = Field(default=1.0, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    eval_every: int = Field(default=100, ge=1)
    evaluate_by: EvaluateBy = "greedy"
    save_every: int | None = Field(default=None, ge=1)
    patience: int = Field(default=0, ge=0)
    log_every: int = Field(default=10, ge=1)
    seed: int = Field(default=0, ge=0)
    max_input_tokens: int = Field(default=512, ge=8)
    max_target_tokens: int = Field(default=256, ge=2)
    dropout: float | None = Field(default=None, ge=0, lt=1)
    zero: int = Field(default=0, ge=0, le=3)
    precision: Precision | None = None
    compile: bool = False
    activation_checkpointing: bool = False
    peak: float | None = Field(default=None, gt=0)
    track: tuple[Literal["wandb", "mlflow"], ...] = ()
    universal: bool = False
    quiet: bool = False
    force: bool = False

    @model_validator(mode="after")
    def _parts_fit(self) -> "TrainSettings":
        if self.mutual and (self.tasks or self.mode != "step-by-step"):
            raise ValueError("--mutual compares predict and explain: take --mode step-by-step")
        return self

    @property
    def peak_lr(self) -> float:
        """The learning rate after warm-up; a student from scratch bears a larger one."""
        scratch = SIZES.get(self.model)
        return self.lr or (scratch.lr if scratch else LR_PRETRAINED)

    @property
    def token_folder(self) -> Path:
        """Where tokenised rows are kept, for this run and the next."""
        home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        return (self.cache or Path(home) / "stepdistill" / "tokens").expanduser()

    @property
    def checkpoint_every(self) -> int:
        """Steps between checkpoints."""
        return self.save_every or self.eval_every

    def table(self) -> Table:
        """The tasks. Raises ConfigError when --tasks cannot be read."""
        return read_table(self.tasks) if self.tasks else table_of(self.mode, self.alpha)

    def learning_rate(self, step: int) -> float:
        """Warm-up to the peak, then along the curve to zero after the last step; from step 0."""
        warmup = min(self.warmup, self.steps // 2)
        if step < warmup:
            return self.peak_lr * (step + 1) / warmup
        left = (self.steps - step) / (self.steps - warmup)
        if self.curve == "cosine":
            left = (1 - math.cos(math.pi * left)) / 2
        return self.peak_lr * (1.0 if self.curve == "constant" else left)

    def identity(self) -> dict[str, object]:
        """The settings that decide the result: data enters by its content, not by its path."""
        elsewhere = {"train", "valid", "test", "output", "cache", "quiet", "force", "log_every"}
        # The table stands for mode, alpha and file; what only shares out the work decides nothing.
        elsewhere |= {"cot", "tasks", "preset", "track", "peak", "save_every", "universal"}
        elsewhere |= {"batch_tokens", "accumulate", "pack"}
        told = self.model_dump(mode="json", exclude=elsewhere)
        # As it is and not as it was asked for: a default may be another one in time.
        return {**told, "lr": self.peak_lr, "tasks": [task.model_dump() for task in self.table()]}


def fingerprint(config: TrainSettings, data: str) -> str:
    """sha256 of the settings and of the data's own fingerprint: same fingerprint, same run."""
    parts = {"config": config.identity(), "data": data}
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()


def parse(arguments: Sequence[str]) -> TrainSettings:
    """Read a command line. Raises ConfigError; `--help` prints and exits as argparse does."""
    return checked(read_options(arguments))


def checked(given: Mapping[str, object]) -> TrainSettings:
    """The settings of some options, by name. Raises ConfigError."""
    if given.get("precision") == "fp16":
        raise ConfigError("--precision fp16: T5 overflows in fp16, take bf16 or fp32")
    preset = given.get("preset")
    if preset is not None and preset not in PRESETS:
        raise ConfigError(f"--preset {preset}: choose from {', '.join(PRESETS)}")
    try:
        return TrainSettings.model_validate({**PRESETS.get(str(preset), {}), **given})
    except ValidationError as error:
        raise ConfigError(_wrong(error)) from None


def _wrong(error: ValidationError) -> str:
    first = error.errors()[0]
    if not first["loc"]:
        return first["msg"].removeprefix("Value error, ")
    option = str(first["loc"][0]).replace("_", "-")
    if first["type"] == "missing":
        return f"--{option} is required"
    return f"--{option} {first['input']}: {first['msg']}"
