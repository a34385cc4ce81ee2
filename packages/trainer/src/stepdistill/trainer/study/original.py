"""The original's experiment_tracking.csv: its rows as runs, and runs as its rows."""

import csv
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal, TextIO

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from stepdistill.common.errors import ConfigError
from stepdistill.trainer.study.tracking import Run

COLUMNS = (
    *("experiment_group", "category", "dataset", "model", "mode", "llm", "subsample"),
    *("prompt_mix", "label_type", "alpha", "max_input_length", "batch_size", "optimizer", "lr"),
    *("run", "train_duration", "train_steps", "test_acc", "eval_acc"),
)

# Figures taken from the paper of Hsieh et al. were typed in under this number and this duration.
_TYPED_IN_RUN, _TYPED_IN_S = 100, 10_000.0
_MODES = {"task_prefix": "step-by-step", "standard": "standard"}
_LABELS: dict[str, str] = {"gt": "gold", "llm": "teacher"}
_RATE = re.compile(r"\bXR (\d+)\b")


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    experiment_group: str
    category: str
    dataset: str
    model: str
    mode: Literal["task_prefix", "standard"]
    llm: str
    subsample: float
    prompt_mix: str
    label_type: Literal["gt", "llm"]
    alpha: float
    max_input_length: int
    batch_size: int
    optimizer: str
    lr: float
    run: int
    train_duration: float
    train_steps: int
    test_acc: float
    eval_acc: float


def read_original(
    path: Path, mixes: Path | None = None, words: Mapping[str, float] | None = None
) -> list[Run]:
    """The file's rows as runs. Raises ConfigError.

    mixes: the folder of the original's mixes, which tells the templates of a mix's rationales.
    words: mean words of a mix's rationales, by the mix.
    """
    seen: Counter[str] = Counter()
    known = words or {}
    runs: list[Run] = []
    for row in _rows(path):
        digest = hashlib.sha256(row.model_dump_json().encode()).hexdigest()
        seen[digest] += 1
        runs.append(_run(row, f"{digest}-{seen[digest]}", mixes, known))
    return runs


def write_original(runs: Iterable[Run], file: TextIO) -> None:
    """Runs as rows of such a file, the original's columns in its order."""
    out = csv.writer(file, lineterminator="\n")
    out.writerow(COLUMNS)
    out.writerows(_written(run) for run in runs)


def _rows(path: Path) -> Iterator[_Row]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for number, row in enumerate(csv.DictReader(file), 2):
                try:
                    yield _Row.model_validate(row)
                except ValidationError as error:
                    first = error.errors(include_url=False)[0]
                    where = ".".join(map(str, first["loc"]))
                    raise ConfigError(f"{path}:{number}: {where}: {first['msg']}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: cannot be read ({error})") from None


def _run(row: _Row, key: str, mixes: Path | None, words: Mapping[str, float]) -> Run:
    explained = row.mode == "task_prefix"
    mix = row.prompt_mix
    return Run(
        source="original",
        key=key,
        study=row.experiment_group,
        task=row.dataset,
        data="",
        model=row.model,
        mode=_MODES[row.mode],
        labels=_LABELS[row.label_type],
        teacher="" if row.llm == "None" else row.llm,
        mix=mix,
        templates=_templates(mixes, mix) if explained and mixes is not None else "",
        subsample=row.subsample,
        alpha=row.alpha,
        max_input_tokens=row.max_input_length,
        batch_size=row.batch_size,
        optimizer=row.optimizer,
        lr=row.lr,
        settings="{}",
        seed=row.run,
        seconds=row.train_duration,
        ranks=1,
        steps=row.train_steps,
        test_accuracy=row.test_acc,
        valid_accuracy=row.eval_acc,
        rationale_rate=_rate(row.experiment_group) if explained else 0.0,
        rationale_words=words.get(mix) if explained else None,
        hand_entered=row.run == _TYPED_IN_RUN or row.train_duration == _TYPED_IN_S,
    )


def _rate(group: str) -> float:
    """What was asked for, as the group says it: `XR 33 ...`."""
    found = _RATE.search(group)
    return int(found[1]) / 100 if found else 1.0


def _templates(mixes: Path, mix: str) -> str:
    """The templates of a mix's rationales; mix 0 is none of the original's: PaLM's own prompt."""
    path = mixes / f"{mix}.yaml"
    if mix == "0":
        return "few-shot"
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))["explanation"]
        return "+".join(map(str, found))
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: no mix of the original's ({error})") from None


def _written(run: Run) -> list[object]:
    step_by_step = run.mode != "standard"
    method = "step-by-step" if step_by_step else "standard"
    labels = {"gold": "gt", "teacher": "llm"}[run.labels]
    learning = "Finetuning" if run.labels == "gold" else "Distillation"
    mode = "task_prefix" if run.mode == "step-by-step" else run.mode
    llm, mix = run.teacher or "None", run.mix or "0"
    return [
        *(run.study, f"{method} {learning}", run.task, run.model, mode, llm, run.subsample),
        *(mix, labels, run.alpha, run.max_input_tokens, run.batch_size, run.optimizer, run.lr),
        *(run.seed, run.seconds, run.steps, run.test_accuracy, run.valid_accuracy),
    ]
