"""The original's experiment_tracking.csv: its rows as runs, and runs as its rows."""

import csv
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TextIO

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from stepdistill.common.errors import ConfigError
from stepdistill.trainer.errors import first_problem, refused
from stepdistill.trainer.study.tracking import Run

# Figures taken from the paper of Hsieh et al. were typed in under this number and this duration.
_TYPED_IN_RUN, _TYPED_IN_S = 100, 10_000.0
_MODES = {"task_prefix": "step-by-step", "standard": "standard"}
_LABELS = {"gt": "gold", "llm": "teacher"}
_RATE = re.compile(r"\bXR (\d+)\b")  # `XR 33 ...`: reasons for 33 % of the rows
# Columns that say the same as a column of the tracking file, and which.
_SAME = {
    **{"experiment_group": "study", "dataset": "task", "model": "model", "subsample": "subsample"},
    **{"prompt_mix": "mix", "alpha": "alpha", "max_input_length": "max_input_tokens"},
    **{"batch_size": "batch_size", "optimizer": "optimizer", "lr": "lr", "run": "seed"},
    **{"train_duration": "seconds", "train_steps": "steps"},
    **{"test_acc": "test_accuracy", "eval_acc": "valid_accuracy"},
}


class _Row(BaseModel):
    # A run's key is a hash of these fields as JSON: neither names nor order may change.
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


COLUMNS = tuple(_Row.model_fields)


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
        with refused(path, "read"), path.open(encoding="utf-8", newline="") as file:
            for number, row in enumerate(csv.DictReader(file), 2):  # line 1 names the columns
                try:
                    yield _Row.model_validate(row)
                except ValidationError as error:
                    raise ConfigError(f"{path}:{number}: {first_problem(error)}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: cannot be read ({error})") from None


def _run(row: _Row, key: str, mixes: Path | None, words: Mapping[str, float]) -> Run:
    explained = row.mode == "task_prefix"
    asked = _RATE.search(row.experiment_group)
    same: dict[str, Any] = {name: getattr(row, column) for column, name in _SAME.items()}
    return Run(
        **same,
        source="original",
        key=key,
        data="",
        mode=_MODES[row.mode],
        labels=_LABELS[row.label_type],
        teacher="" if row.llm == "None" else row.llm,
        templates=_templates(mixes, row.prompt_mix) if explained and mixes is not None else "",
        settings="{}",
        ranks=1,
        rationale_rate=(int(asked[1]) / 100 if asked else 1.0) if explained else 0.0,
        rationale_words=words.get(row.prompt_mix) if explained else None,
        hand_entered=row.run == _TYPED_IN_RUN or row.train_duration == _TYPED_IN_S,
    )


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
    learning = "Finetuning" if run.labels == "gold" else "Distillation"
    told = {column: getattr(run, name) for column, name in _SAME.items()}
    told |= {
        "category": f"{method} {learning}",
        "mode": "task_prefix" if run.mode == "step-by-step" else run.mode,
        "llm": run.teacher or "None",
        "prompt_mix": run.mix or "0",
        "label_type": {"gold": "gt", "teacher": "llm"}[run.labels],
    }
    return [told[column] for column in COLUMNS]
