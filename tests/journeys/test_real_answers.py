"""The original's recorded answers, imported and written to shards without a network."""

import json
from pathlib import Path

import pytest

from tests.journeys.conftest import Annotate, digests

# dataset, its template, the split, rows in the split, rows that have an answer recorded
RUNS = [
    ("svamp", "1", "train", 800, 222),
    ("svamp", "1", "test", 200, 200),
    ("cqa", "4", "train", 9741, 75),
    ("anli1", "100", "valid", 1000, 1000),
    ("anli1", "100", "test", 1000, 1000),
    ("esnli", "1", "train", 5000, 6),
]


def test_four_datasets_become_shards_out_of_real_answers(
    annotate: Annotate, tmp_path: Path, real_data: Path
) -> None:
    imported = annotate("import-original", real_data, "--prompts", "p", "--store", "s", "--json")
    assert imported.code == 0, imported.err
    assert sum(imported.json["answers"].values()) == 14_564
    assert imported.json["skipped"] == 0
    for dataset, template, split, rows, answered in RUNS:
        words = (
            *("run", dataset, "--data", real_data / "datasets" / dataset, "--split", split),
            *("--teacher", "gpt-3.5-turbo", "--offline", "--template", template, "--json"),
            *("--prompts", "p", "--store", "s", "--out"),
        )
        done = annotate(*words, f"first-{dataset}-{split}")
        assert done.code == 0, done.err
        said = done.json
        assert said["rows"] == rows == said["records"] + said["rejected"]
        assert said["rejected_by_reason"].get("no_answer", 0) == rows - answered
        assert said["records"] >= 0.9 * answered
        again = annotate(*words, f"again-{dataset}-{split}")
        assert again.code == 0
        first = tmp_path / f"first-{dataset}-{split}"
        assert digests(first) == digests(tmp_path / f"again-{dataset}-{split}")
        rejects = (first / split / "rejects.jsonl").read_bytes()
        assert len(rejects.splitlines()) == said["rejected"]


def test_rows_without_an_answer_are_named_on_the_screen(
    annotate: Annotate, real_data: Path
) -> None:
    annotate("import-original", real_data, "--prompts", "p", "--store", "s")
    done = annotate(
        *("run", "svamp", "--data", real_data / "datasets" / "svamp", "--template", "1"),
        *("--teacher", "gpt-3.5-turbo", "--offline", "--prompts", "p", "--store", "s"),
    )
    assert done.code == 0
    assert "no_answer: 578 rows (train-" in done.out


def test_a_new_task_needs_no_python(annotate: Annotate, tmp_path: Path, real_data: Path) -> None:
    done = annotate(
        *("run", "asdiv", "--data", real_data / "datasets" / "asdiv", "--split", "all"),
        *("--teacher", "simulated", "--samples", "50", "--json"),
    )
    assert done.code == 0, done.err
    assert (done.json["rows"], done.json["asked"]) == (50, 50)
    shard = tmp_path / done.json["out"] / "all" / "shard-00000.jsonl"
    first = json.loads(shard.read_bytes().splitlines()[0])
    assert first["id"] == "nluds-0001"
    assert first["gold"]


@pytest.mark.parametrize("task", ["svamp", "cqa", "esnli", "anli1"])
def test_every_shipped_task_runs_against_the_simulated_teacher(
    annotate: Annotate, real_data: Path, task: str
) -> None:
    done = annotate(
        *("run", task, "--data", real_data / "datasets" / task, "--split", "test"),
        *("--teacher", "simulated", "--samples", "40", "--json"),
    )
    assert done.code == 0, done.err
    assert done.json["records"] >= 38
