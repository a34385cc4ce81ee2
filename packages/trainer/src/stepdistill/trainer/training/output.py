"""What lies in --output: what a training made, which it may remove and replace, and what not.

results.json             ours with a fingerprint in it
model/                   ours with stepdistill.json in it
checkpoints/step-300     ours with progress.json in it; best-200 with a student's config.json;
                         either with the seals of one (seals.json), whatever else is gone
checkpoints/.step-300.draft    half of one, of a training that was killed

The folder itself is locked by the training that is at work in it.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import orjson

from stepdistill.common.errors import ConfigError
from stepdistill.trainer.settings.train import (
    CHECKPOINTS_NAME,
    MODEL_NAME,
    RESULTS_NAME,
    SETTINGS_NAME,
)
from stepdistill.trainer.training.seals import SEALS_NAME

PROGRESS_NAME = "progress.json"
_WITHIN = {"step": PROGRESS_NAME, "best": "config.json"}
_KEPT = re.compile(r"(step|best)-(\d+)")  # step-300: (step, 300)
_DRAFT = re.compile(r"\.(step|best)-\d+\.draft")


def kept_step(folder: Path, kind: str = "step") -> int | None:
    """Which step a folder among the checkpoints is of; None where it is none of that kind."""
    named = _KEPT.fullmatch(folder.name)
    # A folder that has lost the one file is damaged, which is said, and not nothing.
    is_ours = any((folder / name).is_file() for name in (_WITHIN[kind], SEALS_NAME))
    is_kind = named is not None and named[1] == kind and is_ours
    return int(named[2]) if named and is_kind and not folder.is_symlink() else None


def is_checkpoint(folder: Path) -> bool:
    """Whether a training wrote it, or half of it, among its checkpoints."""
    is_draft = _DRAFT.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink()
    return bool(is_draft) or any(kept_step(folder, kind) is not None for kind in _WITHIN)


def check_model(output: Path) -> None:
    """Raises ConfigError: the folder that is to hold the student is somebody else's."""
    model = output / MODEL_NAME
    if model.exists() and not (model / SETTINGS_NAME).is_file():
        raise _not_ours(model)


def clear(output: Path) -> None:
    """Remove what trainings left there, so that the next begins anew; a model stays until the new
    one takes its place. Raises ConfigError, before anything is removed: it is not all of theirs."""
    results, checkpoints = output / RESULTS_NAME, output / CHECKPOINTS_NAME
    found = sorted(checkpoints.iterdir()) if checkpoints.is_dir() else []
    for path in _foreign(results, checkpoints, found):
        raise _not_ours(path)
    results.unlink(missing_ok=True)
    for folder in found:
        shutil.rmtree(folder)


def _foreign(results: Path, checkpoints: Path, found: list[Path]) -> Iterator[Path]:
    if results.exists() and not _has_fingerprint(results):
        yield results
    if checkpoints.exists() and not checkpoints.is_dir():
        yield checkpoints
    yield from (folder for folder in found if not is_checkpoint(folder))


def _has_fingerprint(results: Path) -> bool:
    try:
        return "fingerprint" in orjson.loads(results.read_bytes())
    except (OSError, orjson.JSONDecodeError, TypeError):
        return False


def _not_ours(path: Path) -> ConfigError:
    return ConfigError(
        f"{path}: no training made this, so it is not replaced: take another --output, or move it "
        "away"
    )
