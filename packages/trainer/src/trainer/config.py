"""Settings of a training run: the command line, checked once and frozen."""

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NoReturn

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from common.errors import ConfigError

TINY = "tiny"
RESULTS_NAME = "results.json"
LR_TINY = 3e-3
LR_PRETRAINED = 3e-4

Labels = Literal["teacher", "gold"]
Mode = Literal["step-by-step", "standard"]
Precision = Literal["fp32", "bf16"]

_EXAMPLES = """examples:
  deepspeed packages/trainer/train.py --train runs/demo/train --valid runs/demo/valid \\
      --test runs/demo/test --model tiny --output runs/demo/student
  deepspeed --num_gpus 8 packages/trainer/train.py --train runs/anli1/train \\
      --valid runs/anli1/valid --test runs/anli1/test --model google/t5-v1_1-base \\
      --batch-size 64 --accumulate 2 --steps 10000 --zero 2 --output runs/anli1/student
"""


class TrainConfig(BaseModel):
    """One run.

    batch_size: rows per optimizer step, over all ranks and accumulation steps.
    lr, dropout, precision: None takes what suits the model and the machine.
    alpha: weight of the label's loss; the rationale's weighs 1 - alpha.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    train: tuple[Path, ...]
    valid: tuple[Path, ...]
    test: tuple[Path, ...]
    model: str
    output: Path
    labels: Labels = "teacher"
    mode: Mode = "step-by-step"
    alpha: float = Field(default=0.5, ge=0, le=1)
    steps: int = Field(default=1000, ge=1)
    batch_size: int = Field(default=32, ge=1)
    accumulate: int = Field(default=1, ge=1)
    lr: float | None = Field(default=None, gt=0)
    warmup: int = Field(default=50, ge=0)
    eval_every: int = Field(default=100, ge=1)
    log_every: int = Field(default=10, ge=1)
    seed: int = Field(default=0, ge=0)
    max_input_tokens: int = Field(default=512, ge=8)
    max_target_tokens: int = Field(default=256, ge=2)
    dropout: float | None = Field(default=None, ge=0, lt=1)
    zero: int = Field(default=0, ge=0, le=3)
    precision: Precision | None = None
    quiet: bool = False
    force: bool = False

    @property
    def peak_lr(self) -> float:
        """The learning rate after warm-up; a student from scratch bears a larger one."""
        return self.lr or (LR_TINY if self.model == TINY else LR_PRETRAINED)

    def identity(self) -> dict[str, object]:
        """The settings that decide the result: data enters by its content, not by its path."""
        elsewhere = {"train", "valid", "test", "output", "quiet", "force", "log_every"}
        return self.model_dump(mode="json", exclude=elsewhere)


def fingerprint(config: TrainConfig, data: str) -> str:
    """sha256 of the settings and of the data's own fingerprint: same fingerprint, same run."""
    parts = {"config": config.identity(), "data": data}
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()


def parse(arguments: Sequence[str]) -> TrainConfig:
    """Read a command line. Raises ConfigError; `--help` prints and exits as argparse does."""
    given = vars(_parser().parse_args(arguments))
    given.pop("local_rank")
    if given.get("precision") == "fp16":
        raise ConfigError("--precision fp16: T5 overflows in fp16, take bf16 or fp32")
    try:
        return TrainConfig.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        option = str(first["loc"][0]).replace("_", "-")
        raise ConfigError(f"--{option} {first['input']}: {first['msg']}") from None


class _Parser(argparse.ArgumentParser):
    """Raises where argparse would print and exit, so that only one rank speaks."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}; see --help")


def _parser() -> _Parser:
    parser = _Parser(
        prog="train.py",
        description="Train a small T5 on the teacher's labels and rationales.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    # The launcher puts --local_rank first; the environment says the same.
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0, help=argparse.SUPPRESS)
    _add_data(parser)
    _add_training(parser)
    _add_machine(parser)
    return parser


def _add_data(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("data and student")
    for split in ("train", "valid", "test"):
        group.add_argument(
            f"--{split}", nargs="+", required=True, metavar="DIR", help=f"folders of {split} shards"
        )
    group.add_argument(
        "--model", required=True, help="a folder, a hub id, or `tiny`: a small T5 from scratch"
    )
    group.add_argument("--labels", help="train on `teacher` (default) or `gold` labels")
    group.add_argument("--mode", help="`step-by-step` (default) or `standard`: the label alone")
    group.add_argument("--max-input-tokens", type=int, metavar="N", help="default 512")
    group.add_argument("--max-target-tokens", type=int, metavar="N", help="default 256")


def _add_training(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("training")
    group.add_argument("--alpha", type=float, help="weight of the label's loss, default 0.5")
    group.add_argument("--steps", type=int, metavar="N", help="optimizer steps, default 1000")
    group.add_argument(
        "--batch-size", type=int, metavar="N", help="rows a step over all ranks, default 32"
    )
    group.add_argument("--accumulate", type=int, metavar="N", help="micro-batches a step")
    group.add_argument(
        "--lr", type=float, help=f"default {LR_PRETRAINED:g}, {LR_TINY:g} for `tiny`"
    )
    group.add_argument("--warmup", type=int, metavar="N", help="warm-up steps, default 50")
    group.add_argument(
        "--dropout", type=float, metavar="P", help="default: the model's own, 0 for `tiny`"
    )
    group.add_argument("--eval-every", type=int, metavar="N", help="steps, default 100")
    group.add_argument("--log-every", type=int, metavar="N", help="steps, default 10")
    group.add_argument("--seed", type=int, metavar="N", help="default 0")


def _add_machine(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("machine and output")
    group.add_argument(
        "--output", required=True, metavar="DIR", help="gets results.json and model/"
    )
    group.add_argument("--zero", type=int, metavar="0..3", help="ZeRO stage, default 0")
    group.add_argument("--precision", help="bf16 (default on a GPU) or fp32 (default on a CPU)")
    group.add_argument("--quiet", action="store_true", help="no progress, only the result")
    group.add_argument("--force", action="store_true", help="train again over what DIR holds")
