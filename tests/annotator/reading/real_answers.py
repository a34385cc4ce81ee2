"""Real answers of gpt-3.5-turbo, where the data kit lies beside the project; see its README."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from stepdistill.annotator.importing.original import read_templates
from stepdistill.annotator.reading.readers import Readers, make_readers
from tests.annotator.reading.tasks import task as the_task

DATA = Path(__file__).parents[4] / "shared" / "data"
NLI = ("entailment", "neutral", "contradiction")
FILES = {
    "svamp": {"train": "svamp/svamp_train.json", "test": "svamp/svamp_test.json"},
    "cqa": {"train": "cqa/cqa_train.json"},
    "anli1": {"valid": "anli1/anli1_valid.json", "test": "anli1/anli1_test.json"},
    "esnli": {},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer with its row and gold label, and the id of the original's template."""

    text: str
    fields: dict[str, str]
    gold: str
    template: str


def json_lines(path: Path) -> Iterator[dict[str, Any]]:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def answers(task: str) -> Iterator[Answer]:
    """All answers whose gold label is known."""
    golds = gold_labels(task)
    for path in sorted((DATA / "query-results" / task).glob("*/*/*.gz")):
        for line in json_lines(path):
            gold = golds.get((line["split"], line["idx"]))
            if gold is not None:
                yield Answer(
                    text=line["response"],
                    fields=line["prompt_values"],
                    gold=gold,
                    template=str(line["prompt_template_id"]),
                )


@cache
def gold_labels(task: str) -> dict[tuple[str, int], str]:
    golds: dict[tuple[str, int], str] = {}
    queried = DATA / "ground-truth" / f"{task}_train_queried.jsonl"
    if queried.exists():
        golds |= {("train", row["idx"]): row["label"] for row in json_lines(queried)}
    for split, name in FILES[task].items():
        for number, row in enumerate(json_lines(DATA / "datasets" / name)):
            label = row["answer"] if task == "cqa" else row["label"]
            golds[split, number] = NLI[label] if isinstance(label, int) else label
    return golds


@cache
def original_readers(task: str) -> Readers:
    """The original's readers of all its templates of a task."""
    path = DATA / "prompt-templates" / f"{task}.yaml"
    templates = {str(key): each.as_template() for key, each in read_templates(path).items()}
    return make_readers("original", the_task(task).label, templates)
