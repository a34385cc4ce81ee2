"""What a run leaves: results.json, the model with its card, and the table at the end."""

import os
import platform
import resource
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import fmean

import orjson
import torch
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from stepdistill.common.manifest import Manifest
from stepdistill.common.whole_file import write_whole
from stepdistill.trainer.data.examples import EvalSet, TrainSet
from stepdistill.trainer.data.shards import Data, DataSplit
from stepdistill.trainer.data.tokens import Truncation, Unspellable
from stepdistill.trainer.model.student import (
    Student,
    flops,
    inference_settings_of,
    known_peak,
)
from stepdistill.trainer.scores import Calibration, Score, measure_lines
from stepdistill.trainer.settings.train import (
    MODEL_NAME,
    RESULTS_NAME,
    SETTINGS_NAME,
    TrainSettings,
    is_told,
)
from stepdistill.trainer.training.card import card
from stepdistill.trainer.training.checkpoint import TrainingProgress, ValidPoint, appearing
from stepdistill.trainer.training.engine import World
from stepdistill.trainer.training.seals import SEALS_NAME

_LEAST_S = 1e-9
_PACKAGES = ("torch", "transformers", "deepspeed", "sentencepiece")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingCost:
    """What training took, all ranks together, and on what. Seconds are without evaluation."""

    rows_per_s: float
    tokens_per_s: float
    seconds: float
    padding: float  # share of what was computed that was padding, 0..1
    tflops_per_s: float  # useful work of all ranks (`flops` in model/student.py)
    peak_share: float | None  # of what the ranks' devices could, 0..1; None: not known
    peak_memory_bytes: int  # the largest of one rank
    device: str  # rank 0's, as cpus
    cpus: int
    ranks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """All that a run found out."""

    progress: TrainingProgress
    scores: dict[str, Score]  # on the test rows, of student, teacher and majority label
    spent: TrainingCost
    calibration: Calibration | None  # of the test rows' labels, where they were scored
    truncations: Sequence[Truncation]
    notes: Sequence[str]  # what must be known of the scores
    unread: Sequence[Unspellable]
    max_label_tokens: int | None  # of an answer in the exams; None: of a classifier


def cost(
    student: Student, progress: TrainingProgress, world: World, peak: float | None
) -> TrainingCost:
    """Gather what each rank learnt from and held. peak: TFLOP/s of a device, None: look it up."""
    device, memory = _device_and_memory(world)
    shares = world.gather((progress, memory))
    ranks, peaks = zip(*shares, strict=True)
    inputs, targets = sum(p.input_tokens for p in ranks), sum(p.target_tokens for p in ranks)
    seconds = max(max(p.seconds for p in ranks), _LEAST_S)
    tflops = flops(student, inputs, targets) / seconds / 1e12
    peak = peak or known_peak(device)
    return TrainingCost(
        rows_per_s=sum(p.rows for p in ranks) / seconds,
        tokens_per_s=(inputs + targets) / seconds,
        seconds=seconds,
        padding=1 - (inputs + targets) / max(1, sum(p.padded for p in ranks)),
        tflops_per_s=tflops,
        peak_share=tflops / (peak * world.size) if peak else None,
        peak_memory_bytes=max(peaks),
        device=device,
        cpus=os.cpu_count() or 0,
        ranks=world.size,
    )


def data_counts(data: Data, train: TrainSet, valid: EvalSet, test: EvalSet) -> dict[str, object]:
    """What each split held, what of it was used, and the shards it came from."""
    reasons = [reason.text for row in train.examples for reason in row.rationales]
    explained = [record.templates.rationale for record in data.train.records() if record.rationale]
    return {
        "train": {
            **_origin(data.train),
            "used": len(train.examples),
            "without_label": train.without_label,
            "without_rationale": train.without_rationale,
            **_judged(data.train),
            "rationale_words": fmean(len(text.split()) for text in reasons) if reasons else None,
            "templates": sorted({name for name in explained if name is not None}),
        },
        **{
            split.name: {
                **_origin(split),
                "used": len(rows.examples),
                "without_gold": rows.without_gold,
                **({"judged_by": "teacher"} if rows.is_by_teacher else {}),
                **_judged(split),
            }
            for split, rows in ((data.valid, valid), (data.test, test))
        },
    }


def _judged(split: DataSplit) -> dict[str, object]:
    """What people's judgements changed, where they were asked for."""
    return {"judgements": split.corrections.facts()} if split.corrections else {}


def write_results(
    config: TrainSettings, run_fingerprint: str, counts: dict[str, object], found: RunSummary
) -> None:
    """Write DIR/results.json, the last file of a run: where it is, the run is complete."""
    progress = found.progress
    results = {
        "fingerprint": run_fingerprint,
        "config": _set_options(config),
        "tasks": [task.model_dump() for task in config.table()],
        "data": counts,
        "history": {
            "train": [asdict(point) for point in progress.train],
            "valid": [_point(point, config) for point in progress.valid],
        },
        "valid": _point(progress.best, config),
        "steps": progress.step,
        "test": {who: asdict(each) for who, each in found.scores.items()},
        "calibration": found.calibration and asdict(found.calibration),
        "cut": [asdict(each) for each in found.truncations],
        **({"unread": [asdict(each) for each in found.unread]} if found.unread else {}),
        "cost": asdict(found.spent),
        "versions": {"python": platform.python_version(), **{p: version(p) for p in _PACKAGES}},
    }
    options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_SORT_KEYS
    write_whole(config.output / RESULTS_NAME, orjson.dumps(results, default=str, option=options))


def _set_options(config: TrainSettings) -> dict[str, object]:
    return {name: value for name, value in asdict(config).items() if is_told(name, value)}


def _point(point: ValidPoint, config: TrainSettings) -> dict[str, object]:
    """The loss of explanations where somebody asked for it: the file's fields are a format."""
    return {
        name: value
        for name, value in asdict(point).items()
        if name != "explain_loss" or config.select_by == "both"
    }


def write_model(best: Path, config: TrainSettings, origin: Manifest, found: RunSummary) -> None:
    """DIR/model: the best student with its card, ready to be used or given away."""
    use = inference_settings_of(config, origin, found.max_label_tokens)
    with appearing(config.output / MODEL_NAME) as draft:
        shutil.copytree(best, draft, dirs_exist_ok=True, ignore=shutil.ignore_patterns(SEALS_NAME))
        if not config.is_classifier:
            _name_length(draft / "generation_config.json", config.max_target_tokens)
        text = card(config, origin, found.scores, found.notes, found.progress.best_step)
        (draft / "README.md").write_text(text, encoding="utf-8")
        (draft / SETTINGS_NAME).write_text(use.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _name_length(path: Path, longest: int) -> None:
    """How long an answer may be where transformers alone asks the student: else 20 tokens."""
    settings = orjson.loads(path.read_bytes())
    path.write_bytes(
        orjson.dumps({**settings, "max_new_tokens": longest}, option=orjson.OPT_INDENT_2)
    )


def show(console: Console, scores: dict[str, Score], remarks: Sequence[str], output: Path) -> None:
    """The scores as a table, what is to be said of them, and where things lie."""
    table = Table("on test", "accuracy", "95 % interval", "right", box=SIMPLE, pad_edge=False)
    for who, each in scores.items():
        name = "majority label" if who == "majority" else who
        table.add_row(name, *each.in_words())
    console.print(table)
    for line in (*remarks, *measure_lines(scores)):
        console.print(line, soft_wrap=True, highlight=False)
    for what, name in (("model", MODEL_NAME), ("results", RESULTS_NAME)):
        console.print(f"{what:<8} {output / name}", soft_wrap=True, highlight=False, markup=False)


def _origin(split: DataSplit) -> dict[str, object]:
    return {
        "records": sum(part.manifest.counts.records for part in split.parts),
        "rejected": sum(sum(part.manifest.counts.rejected.values()) for part in split.parts),
        "folders": [
            {
                "folder": str(part.folder),
                "fingerprint": part.manifest.fingerprint,
                "task": part.manifest.task,
                "teacher": part.manifest.teacher.model,
                "cost_usd": part.manifest.cost.usd,
                "shards": {shard.file: shard.sha256 for shard in part.manifest.shards},
            }
            for part in split.parts
        ],
    }


def _device_and_memory(world: World) -> tuple[str, int]:
    """The device's name, and bytes held at most: of the GPU, else of the process."""
    if world.device.type == "cuda":
        return torch.cuda.get_device_name(), torch.cuda.max_memory_allocated()
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 1 if platform.system() == "Darwin" else 1024  # Linux counts in KiB
    return f"cpu ({platform.machine()})", held * unit
