"""Label sets of public datasets, from a file of one's own to a student: every record, every label.

A made CSV goes through `annotate new` and `annotate run`; the teacher never errs and answers in all
its styles, so each label that is lost or wrong is the reader's, or the prompt's, fault.
"""

import asyncio
import csv
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from stepdistill.annotator.run.planning import make_plans
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.simulator.rehearsal import rehearse
from stepdistill.annotator.simulator.server import Simulator
from tests.journeys.conftest import Annotate
from tests.trainer.launching import TRAIN, python

SETS: dict[str, list[str]] = yaml.safe_load(
    (Path(__file__).parent / "label_sets.yaml").read_text(encoding="utf-8")
)
SPLITS = ("train", "valid", "test")
_QUICK = ("ag_news", "sentiment140_signed", "chnsenticorp", "banking77")  # of every test run
_OF_ALL = [pytest.param(name, marks=() if name in _QUICK else pytest.mark.slow) for name in SETS]


def write_csv(path: Path, labels: list[str]) -> None:
    """Some rows of each label; their texts say nothing of it but by a word of its own."""
    per_label = max(4, -(-60 // len(labels)))
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["Text", "Label"])
        for n, label in enumerate(labels):
            for copy in range(per_label):
                rows.writerow([f"Letter {copy} came in about thing{n}, and more about it.", label])


async def annotated(annotate: Annotate, home: Path, labels: list[str], template: str) -> Path:
    """The folder of the shards of all splits."""
    write_csv(home / "rows.csv", labels)
    made = annotate("new", "mine", "rows.csv", "--label", "Label", "--valid", "0.2")
    assert made.code == 0, made.err
    settings = RunSettings(
        task="mine",
        teacher="simulated",
        prompts=home / "prompts",
        data=str(home / "data" / "mine"),
        splits=SPLITS,
        template=template,
    )
    answers = rehearse(make_plans(settings), accuracy=1.0, style="mixed")
    async with Simulator(answers) as server:
        done = await asyncio.to_thread(
            annotate,
            *("run", "mine", "--teacher", "simulated", "--base-url", server.base_url, "--json"),
            *("--data", "data/mine", "--split", ",".join(SPLITS), "--template", template),
        )
    assert done.code == 0, done.err
    return home / "runs" / "mine"


def lines(folder: Path, name: str) -> list[dict[str, Any]]:
    found = [path.read_text(encoding="utf-8") for path in sorted(folder.glob(name))]
    return [json.loads(line) for text in found for line in text.splitlines()]


@pytest.mark.parametrize("template", ["label-first", "reason-first"])
@pytest.mark.parametrize("name", _OF_ALL)
async def test_every_answer_becomes_a_record_with_the_right_label(
    annotate: Annotate, tmp_path: Path, name: str, template: str
) -> None:
    labels = [str(label) for label in SETS[name]]
    out = await annotated(annotate, tmp_path, labels, template)
    records = [record for split in SPLITS for record in lines(out / split, "shard-*.jsonl")]
    rejects = [reject for split in SPLITS for reject in lines(out / split, "rejects.jsonl")]
    assert rejects == []
    assert [record for record in records if record["label"] != record["gold"]] == []
    assert {record["label"] for record in records} == set(labels)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", SETS)
async def test_a_tiny_student_learns_them_and_is_evaluated(
    annotate: Annotate, tmp_path: Path, name: str
) -> None:
    out = await annotated(annotate, tmp_path, [str(label) for label in SETS[name]], "label-first")
    splits = [word for split in SPLITS for word in (f"--{split}", out / split)]
    student = tmp_path / "student"
    scores = tmp_path / "scores.json"
    train = [TRAIN, *splits, "--model", "micro", "--steps", "20", "--output", student, "--quiet"]
    judge = ["evaluate", student / "model", out / "test", "--json", scores]
    for command in (train, ["-m", "stepdistill.trainer", *judge]):
        await asyncio.to_thread(python, tmp_path, *command)
    assert json.loads(scores.read_bytes())["teacher"]["accuracy"] == 1.0
