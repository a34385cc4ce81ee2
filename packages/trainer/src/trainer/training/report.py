"""results.json and the table at the end: what came out, against what, with what."""

import os
import platform
import resource
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import orjson
import torch
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from trainer.config import RESULTS_NAME, TrainConfig
from trainer.data.examples import Exam, Lesson
from trainer.data.shards import Data, Split
from trainer.training.checkpoint import write_whole
from trainer.training.engine import World
from trainer.training.evaluation import Score
from trainer.training.loop import Trained

MODEL_NAME = "model"
_PACKAGES = ("torch", "transformers", "deepspeed", "sentencepiece")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The three scores on the test rows."""

    student: Score
    teacher: Score
    majority: Score


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What training took, all ranks together, and on what.

    peak_memory_bytes: the largest of one rank. device, cpus: rank 0's.
    """

    rows_per_s: float
    tokens_per_s: float
    seconds: float
    peak_memory_bytes: int
    device: str
    cpus: int
    ranks: int


def cost(trained: Trained, world: World) -> Cost:
    """Gather what each rank learnt from and held."""
    shares = world.gather((trained.rows, trained.tokens, trained.seconds, _peak_memory(world)))
    rows, tokens, seconds, peaks = zip(*shares, strict=True)
    return Cost(
        rows_per_s=sum(rows) / max(seconds),
        tokens_per_s=sum(tokens) / max(seconds),
        seconds=max(seconds),
        peak_memory_bytes=max(peaks),
        device=_device(world),
        cpus=os.cpu_count() or 0,
        ranks=world.size,
    )


def data_counts(data: Data, lesson: Lesson, valid: Exam, test: Exam) -> dict[str, object]:
    """What each split held, what of it was used, and the shards it came from."""
    return {
        "train": {
            **_origin(data.train),
            "used": len(lesson.examples),
            "without_label": lesson.without_label,
            "without_rationale": lesson.without_rationale,
        },
        "valid": {
            **_origin(data.valid),
            "used": len(valid.questions),
            "without_gold": valid.without_gold,
        },
        "test": {
            **_origin(data.test),
            "used": len(test.questions),
            "without_gold": test.without_gold,
        },
    }


def write_results(
    config: TrainConfig,
    run_fingerprint: str,
    counts: dict[str, object],
    trained: Trained,
    verdict: Verdict,
    spent: Cost,
) -> None:
    """Write DIR/results.json, the last file of a run: where it is, the run is complete."""
    results = {
        "fingerprint": run_fingerprint,
        "config": config.model_dump(mode="json"),
        "data": counts,
        "history": {
            "train": [asdict(point) for point in trained.train_history],
            "valid": [asdict(point) for point in trained.valid_history],
        },
        "valid": {**asdict(trained.best), "step": trained.best_step},
        "test": asdict(verdict),
        "cost": asdict(spent),
        "versions": {"python": platform.python_version(), **{p: version(p) for p in _PACKAGES}},
    }
    options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_SORT_KEYS
    write_whole(config.output / RESULTS_NAME, orjson.dumps(results, option=options))


def show(console: Console, verdict: Verdict, output: Path) -> None:
    """The scores as a table, and where things lie."""
    n = verdict.student.n
    table = Table("on test", "accuracy", "95 % interval", "right", box=SIMPLE, pad_edge=False)
    for name, score in (
        ("student", verdict.student),
        ("teacher", verdict.teacher),
        ("majority label", verdict.majority),
    ):
        low, high = score.interval
        table.add_row(
            name, f"{score.accuracy:.3f}", f"{low:.3f} - {high:.3f}", f"{score.right}/{n}"
        )
    console.print(table)
    for what, name in (("model", MODEL_NAME), ("results", RESULTS_NAME)):
        console.print(f"{what:<8} {output / name}", soft_wrap=True, highlight=False, markup=False)


def _origin(split: Split) -> dict[str, object]:
    return {
        "records": sum(part.manifest.counts.records for part in split.parts),
        "rejected": sum(sum(part.manifest.counts.rejected.values()) for part in split.parts),
        "folders": [
            {
                "folder": str(part.folder),
                "fingerprint": part.manifest.fingerprint,
                "shards": {shard.file: shard.sha256 for shard in part.manifest.shards},
            }
            for part in split.parts
        ],
    }


def _peak_memory(world: World) -> int:
    """Bytes: of the GPU where there is one, else of the process."""
    if world.device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return held if platform.system() == "Darwin" else held * 1024


def _device(world: World) -> str:
    if world.device.type == "cuda":
        return torch.cuda.get_device_name()
    return f"cpu ({platform.machine()})"
