"""The command line of a training run: its options, their help, and nothing that checks values."""

import argparse
from collections.abc import Sequence
from typing import NoReturn

from stepdistill.common.errors import ConfigError

_EXAMPLES = """examples:
  deepspeed packages/trainer/train.py --train runs/demo/train --valid runs/demo/valid \\
      --test runs/demo/test --model tiny --output runs/demo/student
  deepspeed --num_gpus 8 packages/trainer/train.py --train runs/anli1/train \\
      --valid runs/anli1/valid --test runs/anli1/test --model google/t5-v1_1-base \\
      --batch-size 64 --steps 10000 --zero 2 --output runs/anli1/student

The same command again goes on from the last checkpoint. `stepdistill train` takes the same options.
Beside training, each with a --help:
  stepdistill predict     labels for new rows
  stepdistill evaluate    the student against its teacher
  stepdistill serve       the student over HTTP
  stepdistill sweep       many runs of one file
  stepdistill track       the results of many runs
  stepdistill tables      what many results say
  stepdistill plots       the same as figures
"""


def read_options(arguments: Sequence[str]) -> dict[str, object]:
    """The options that were given, by name. Raises ConfigError; `--help` prints and exits."""
    given = vars(_parser().parse_args(arguments))
    given.pop("local_rank")
    return given


class Parser(argparse.ArgumentParser):
    """Raises where argparse would print and exit, so that only one rank speaks."""

    def error(self, message: str) -> NoReturn:
        """Raise ConfigError."""
        raise ConfigError(f"{message}; see --help")


def _parser() -> Parser:
    parser = Parser(
        prog="train.py",
        description="Train a small T5 on the teacher's labels and rationales.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    # The launcher puts --local_rank first; the environment says the same.
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0, help=argparse.SUPPRESS)
    for name, options in _GROUPS.items():
        group = parser.add_argument_group(name)
        for option, settings in options.items():
            group.add_argument(f"--{option}", **settings)  # pyright: ignore[reportArgumentType]
    return parser


def _int(text: str) -> dict[str, object]:
    return {"type": int, "metavar": "N", "help": text}


def _float(text: str, metavar: str = "X") -> dict[str, object]:
    return {"type": float, "metavar": metavar, "help": text}


def _flag(text: str) -> dict[str, object]:
    return {"action": "store_true", "help": text}


def _folders(text: str, *, required: bool = True) -> dict[str, object]:
    return {"nargs": "+", "required": required, "metavar": "DIR", "help": text}


_DATA: dict[str, dict[str, object]] = {
    "train": _folders("folders of shards to learn from; rows in several of them are joined by id"),
    "valid": _folders(
        "folders to select by; without any, --valid-share of the rows", required=False
    ),
    "test": _folders("folders to be judged on at the end"),
    "cot": {"metavar": "FILE", "help": "the original's train_CoT.json, for the rows of --train"},
    "labels": {"help": "train on `teacher` (default) or `gold` labels"},
    "subsample": _float("use this share of the training rows; smaller ones nest in larger ones"),
    "valid-share": _float("default 0.1; which rows depends on their ids alone"),
    "max-input-tokens": _int("longer inputs are cut, default 512"),
    "max-target-tokens": _int("longer targets are cut, default 256"),
    "cache": {"metavar": "DIR", "help": "tokenised rows, default ~/.cache/stepdistill/tokens"},
}
_TASKS: dict[str, dict[str, object]] = {
    "mode": {"help": "`step-by-step` (default), `standard` (label alone) or `label-rationale`"},
    "alpha": _float("step-by-step: weight of the label's loss, default 0.5"),
    "tasks": {"metavar": "FILE", "help": "a table of tasks of your own, JSON, in place of --mode"},
    "rationales": _int("rationales of a row that are learnt from, over all folders, default 1"),
    "row-weight": {"help": "`confidence`: rows weigh as much as the teacher's votes agree"},
    "soft-labels": _flag("learn every label that the teacher voted for, by its share"),
    "mutual": _float("weight of the mutual-information term, default 0"),
}
_TRAINING: dict[str, dict[str, object]] = {
    "preset": {"metavar": "NAME", "help": "`original`: lr 5e-5 without warm-up, batches of 64"},
    "steps": _int("optimizer steps, default 1000"),
    "batch-size": _int("rows a step over all ranks, default 32"),
    "batch-tokens": _int("tokens a rank reads at once, at most; a step takes turns beyond that"),
    "pack": _int("short inputs share lines of N tokens, exactly as apart; default: apart"),
    "accumulate": _int("micro-batches a step, at least, default 1"),
    "lr": _float("peak learning rate, default 3e-4; from scratch 3e-3, `mini` 7e-4"),
    "warmup": _int("warm-up steps, default 50"),
    "curve": {"help": "after warm-up: `linear` (default), `cosine` or `constant`"},
    "clip": _float("gradient norm at most, default 1"),
    "weight-decay": _float("default 0"),
    "dropout": _float("default: the model's own, 0 from scratch", "P"),
    "eval-every": _int("steps between validation exams, default 100"),
    "evaluate-by": {"help": "`greedy` (default): what it says; `scoring`: its likeliest label"},
    "patience": _int("end after so many exams without a better one, default: never"),
    "seed": _int("default 0"),
}
_MACHINE: dict[str, dict[str, object]] = {
    "model": {
        "required": True,
        "help": "a folder, a hub id, or `micro`, `tiny`, `mini`: from scratch",
    },
    "output": {"required": True, "metavar": "DIR", "help": "gets results.json and model/"},
    "zero": {"type": int, "metavar": "0..3", "help": "ZeRO stage, default 0"},
    "precision": {"help": "bf16 (default on a GPU) or fp32 (default on a CPU)"},
    "compile": _flag("compile the student (a minute at first, faster after)"),
    "activation-checkpointing": _flag("compute activations again instead of keeping them"),
    "save-every": _int("steps between checkpoints, default: as --eval-every"),
    "universal": _flag("go on from a checkpoint of another number of ranks"),
    "peak": _float("the device's peak in TFLOP/s, where it is not known", "TFLOPS"),
    "track": {"nargs": "+", "help": "`wandb`, `mlflow`: report there too (TensorBoard always)"},
    "log-every": _int("steps, default 10"),
    "quiet": _flag("no progress, only the result"),
    "force": _flag("train again over what DIR holds"),
}
_GROUPS = {
    "data": _DATA,
    "tasks (all but --mode off by default)": _TASKS,
    "training": _TRAINING,
    "student, machine and output": _MACHINE,
}
