"""Shard to loss: the trainer reads what the annotator wrote; the loss falls, results are kept."""

import json
from pathlib import Path

from tests.journeys.conftest import Annotate
from tests.trainer.launching import TRAIN, python

# A trainer that ran in this process leaves these behind: the new one must not join its ranks.


def test_a_student_learns_from_the_annotators_shards(annotate: Annotate, tmp_path: Path) -> None:
    splits = [word for split in ("train", "valid", "test") for word in ("--split", split)]
    done = annotate("run", "demo", "--teacher", "simulated", "--samples", "120", *splits)
    assert done.code == 0, done.err
    shards = tmp_path / "runs" / "demo"
    python(
        tmp_path,
        *(TRAIN, "--train", shards / "train", "--valid", shards / "valid"),
        *("--test", shards / "test", "--model", "tiny", "--steps", "30"),
        *("--eval-every", "15", "--log-every", "5"),
        *("--output", tmp_path / "student", "--quiet"),
        timeout_s=110,
    )
    results = json.loads((tmp_path / "student" / "results.json").read_bytes())
    losses = [entry["loss"] for entry in results["history"]["train"]]
    assert losses[-1] < 0.8 * losses[0]
    assert results["test"]["teacher"]["n"] == 120
    assert (tmp_path / "student" / "model" / "config.json").exists()
