"""Finished runs' folders -> rows of the tracking file."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath

import orjson

from stepdistill.common.errors import ConfigError
from stepdistill.trainer.settings.tasks import explaining
from stepdistill.trainer.settings.train import RESULTS_NAME, TrainSettings
from stepdistill.trainer.study.state import Results, ResultSplit, read_note, read_results
from stepdistill.trainer.study.tracking import Run, Tracking

# Settings that have a column of their own, or decide nothing but which rows and which random state.
_NAMED = {
    *("model", "mode", "labels", "subsample", "alpha", "max_input_tokens", "batch_size", "lr"),
    *("seed", "student", "tasks", "precision", "compile", "activation_checkpointing", "zero"),
}
_LETTERS = 6
ENCODER_MODE = "encoder"  # a classifier, which can have but one


def folders_of_runs(places: Sequence[Path]) -> list[Path]:
    """Every folder in or below these that holds results.json. Raises ConfigError: none does."""
    found: list[Path] = []
    for place in places:
        below = sorted(path.parent for path in place.rglob(RESULTS_NAME))
        if not below:
            raise ConfigError(f"{place}: no {RESULTS_NAME} in it or below: name a run's folder")
        found += below
    return list(dict.fromkeys(found))


def keep_results(file: Tracking, folders: Iterable[Path]) -> int:
    """Put finished runs into the tracking file; how many were not there yet."""
    return file.add(run_of(folder) for folder in folders)


def run_of(folder: Path) -> Run:
    """The row of one finished run. Raises ConfigError."""
    results, note = read_results(folder), read_note(folder)
    config, train = results.config, results.train
    explained = explaining(config.table())
    taught = explained or config.labels == "teacher"
    return Run(
        source="own",
        key=results.fingerprint,
        study=note.sweep if note is not None else folder.parent.name,
        task=_joined(part.task for part in train.folders) or "unknown",
        data=_data(results),
        model=PurePath(config.model).name,
        mode=_mode(config),
        labels=config.labels,
        teacher=_joined(part.teacher for part in train.folders) if taught else "",
        **dict.fromkeys(("mix", "templates"), "+".join(train.templates) if explained else ""),
        subsample=config.subsample,
        alpha=config.alpha,
        max_input_tokens=config.max_input_tokens,
        batch_size=config.batch_size,
        optimizer="AdamW",
        lr=config.peak_lr,
        settings=_others(config),
        seed=config.seed,
        seconds=results.seconds,
        ranks=results.ranks,
        steps=results.steps,
        test_accuracy=results.accuracy,
        valid_accuracy=results.valid_accuracy,
        test_rows=results.test.used,
        train_rows=train.used,
        rationale_rate=1 - train.without_rationale / train.used,
        rationale_words=train.rationale_words,
        teacher_accuracy=results.teacher_accuracy if taught else None,
        teacher_cost_usd=_teacher_cost(train, config.subsample) if taught else 0.0,
        folder=str(folder),
        measures=orjson.dumps(results.measures).decode() if results.measures else "",
    )


def _mode(config: TrainSettings) -> str:
    if config.is_classifier:  # whatever table names its one task: that one is in the settings
        return ENCODER_MODE
    return config.mode if config.tasks is None else f"table {config.tasks.stem}"


def _data(results: Results) -> str:
    """`shards@1a2b3c`: where the training rows lay, and a hash of all shards' fingerprints."""
    splits = (results.train, results.valid, results.test)
    marks = [[part.fingerprint for part in split.folders] for split in splits]
    digest = hashlib.sha256(orjson.dumps(marks)).hexdigest()[:_LETTERS]
    names = "+".join(PurePath(part.folder).parent.name for part in results.train.folders)
    return f"{names}@{digest}"


def _teacher_cost(train: ResultSplit, subsample: float) -> float | None:
    """USD for the rows of the subsample, None where a folder's cost is not known."""
    known = [part.cost_usd for part in train.folders if part.cost_usd is not None]
    return sum(known) * subsample if len(known) == len(train.folders) else None


def _others(config: TrainSettings) -> str:
    """The settings without a column that are not the default, as JSON."""
    # A mode names its table; one of one's own is told in full.
    named = _NAMED if config.tasks is None else _NAMED - {"tasks"}
    others = {name: value for name, value in config.uncommon().items() if name not in named}
    return orjson.dumps(others, option=orjson.OPT_SORT_KEYS).decode()


def _joined(names: Iterable[str | None]) -> str:
    return "+".join(dict.fromkeys(name for name in names if name))
