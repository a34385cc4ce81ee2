"""The rows by which a cascade is found out: which they are, and what the student has had of them.

A student is chosen among its checkpoints by its validation rows, and one that was lucky there is
chosen more easily. Where these very rows are taken again, the risk is shared among all that could
have been chosen: then the promise holds for whichever of them was. Rows that the run has never seen
(`--valid`) cost nothing of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, cast

import orjson

from stepdistill.common.errors import ConfigError
from stepdistill.trainer.data.corrections import corrected, find_judgements
from stepdistill.trainer.data.examples import EvalSet, eval_set
from stepdistill.trainer.data.shards import DataSplit, held_out, read_split
from stepdistill.trainer.inference.exported import EXPORT_NAME, is_export
from stepdistill.trainer.settings.cascade import CascadeSettings
from stepdistill.trainer.settings.train import RESULTS_NAME


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationRows:
    """Rows that the student has not learnt from, and what is known of them."""

    split: DataSplit  # as it was written, judged or not
    rows: EvalSet
    looks: int  # checkpoints that these rows chose among; 1: none
    unlabelled: int  # rows of the split that the teacher gave no label for
    remarks: tuple[str, ...]


def validation_rows(settings: CascadeSettings) -> ValidationRows:
    """The rows that were named, or those of the student's run. Raises ConfigError, ShardError."""
    results = results_of(settings.model)
    split = read_split("valid", settings.valid) if settings.valid else _of_run(results)
    looks, remarks = _looks(results, split, settings), list[str]()
    for part in split.parts:
        found, named = part.manifest.teacher.model, settings.named_teacher
        # Shards have no provider's name before the model's.
        if found not in (named.teacher, named.teacher.partition(":")[2]):
            raise ConfigError(
                f"--teacher {named.name}: the labels of {part.folder} are {found}'s: have "
                f"its rows labelled by {named.name} (annotate run, another --out) and name "
                "that folder by --valid"
            )
    judged = split
    if settings.judgements is not None:
        judged = corrected(
            split, find_judgements(settings.judgements, settings.valid), learns=False
        )
    rows = eval_set(judged)
    _refuse_audited(rows)
    if rows.without_gold and not rows.is_by_teacher:
        remarks.append(f"{rows.without_gold:,} rows without a gold label are left out")
    unlabelled = _unlabelled(split, results if not settings.valid else None)
    if unlabelled:
        how = "left out" if rows.is_by_teacher else "taken for wrong where they are deferred"
        how = "left out" if settings.promise == "student" else how
        remarks.append(f"{unlabelled:,} rows that the teacher gave no label for are {how}")
    if looks > 1:
        remarks.append(
            f"these rows chose the student among {looks} checkpoints, so each test is at a risk of "
            f"{settings.risk / looks:.2g}: --valid names rows that did not"
        )
    return ValidationRows(
        split=split,
        rows=rows,
        looks=looks,
        unlabelled=0 if rows.is_by_teacher else unlabelled,
        remarks=(*rows.remarks, *remarks),
    )


def results_of(model: Path) -> dict[str, Any] | None:
    """The results of the run that made a model, or that which it was exported of; None where they
    are not beside it."""
    try:
        if is_export(model):
            model = Path(orjson.loads((model / EXPORT_NAME).read_bytes())["model"])
        return orjson.loads((model.absolute().parent / RESULTS_NAME).read_bytes())
    except (OSError, ValueError, KeyError, TypeError):
        return None


def folders_of(results: dict[str, Any] | None, split: str) -> tuple[Path, ...]:
    """The folders that a run was given for a split; empty where nobody knows."""
    try:
        named = cast(list[str], (results or {})["config"][split])
        return tuple(Path(name) for name in named)
    except (KeyError, TypeError):
        return ()


def _of_run(results: dict[str, Any] | None) -> DataSplit:
    help_ = "name rows that it has not learnt from by --valid FOLDER"
    if results is None:
        raise ConfigError(f"nobody knows which rows this student was selected by: {help_}")
    named = folders_of(results, "valid")
    folders = named or folders_of(results, "train")
    gone = next((folder for folder in folders if not folder.exists()), None)
    if gone is not None or not folders or results["config"].get("cot"):
        what = f"{gone} is not there" if gone else "the run's validation rows cannot be had again"
        raise ConfigError(f"{what}: {help_}")
    split = read_split("valid" if named else "train", folders)
    return split if named else held_out(split, float(results["config"]["valid_share"]))


def _unlabelled(split: DataSplit, results: dict[str, Any] | None) -> int:
    """Rows that the teacher gave no label for; of rows that were put aside their share of them.
    results: of the run whose rows these are."""
    n = sum(sum(part.manifest.counts.rejected.values()) for part in split.parts)
    is_part = results is not None and not folders_of(results, "valid")
    return ceil(n * float(results["config"]["valid_share"])) if results and is_part else n


def _looks(results: dict[str, Any] | None, split: DataSplit, settings: CascadeSettings) -> int:
    """How many checkpoints these rows chose among. Raises ConfigError: the student has learnt from
    them."""
    given = {shard.sha256 for part in split.parts for shard in part.manifest.shards}
    if results is None:
        return 1
    if settings.valid and given & _shards(results, "train"):
        raise ConfigError(
            f"--valid {settings.valid[0]}: the student has learnt from these rows: name others"
        )
    if settings.valid and not given & _shards(results, "valid"):
        return 1
    config = results["config"]
    planned = -(-int(config["steps"]) // max(1, int(config["eval_every"])))
    return max(planned, len(results["history"]["valid"]), 1)


def _shards(results: dict[str, Any], split: str) -> set[str]:
    folders: Sequence[dict[str, Any]] = results["data"][split]["folders"]
    return {sha256 for folder in folders for sha256 in folder["shards"].values()}


def _refuse_audited(rows: EvalSet) -> None:
    """Rows that an audit chose are doubtful ones: what holds on them says nothing of all."""
    people = rows.judged_golds + (rows.corrections.golds if rows.corrections else 0)
    if people and people >= len(rows.examples) and rows.without_gold:
        raise ConfigError(
            f"only the {len(rows.examples):,} rows that an audit chose have a gold label, and it "
            "takes doubtful ones more often: no promise for all rows follows from them: judge all "
            "rows of valid, or leave the judgements out (then right is what the teacher says)"
        )
