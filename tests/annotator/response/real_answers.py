"""Real answers of gpt-3.5-turbo, where the data kit lies beside the project; see its README."""

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

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
    """One answer with its row and gold label, and the pattern the original read it by."""

    text: str
    fields: dict[str, str]
    gold: str
    pattern: str
    label_is_last: bool


def json_lines(path: Path) -> Iterator[dict[str, Any]]:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def answers(task: str) -> Iterator[Answer]:
    """All answers whose gold label is known."""
    golds, patterns = gold_labels(task), original_patterns(task)
    for path in sorted((DATA / "query-results" / task).glob("*/*/*.gz")):
        for line in json_lines(path):
            gold = golds.get((line["split"], line["idx"]))
            if gold is not None:
                pattern, label_is_last = patterns[str(line["prompt_template_id"])]
                yield Answer(
                    text=line["response"],
                    fields=line["prompt_values"],
                    gold=gold,
                    pattern=pattern,
                    label_is_last=label_is_last,
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
def original_patterns(task: str) -> dict[str, tuple[str, bool]]:
    """The original's regex for each template, and whether the label is its last group."""
    text = (DATA / "prompt-templates" / f"{task}.yaml").read_text(encoding="utf-8")
    patterns: dict[str, tuple[str, bool]] = {}
    for each in yaml.safe_load(text)["templates"].values():
        parts, swapped = (each["label_parse"], each["explanation_parse"]), bool(each.get("swap"))
        patterns[str(each["id"])] = "".join(reversed(parts) if swapped else parts), swapped
    return patterns


def as_the_original_read_it(answer: Answer) -> str | None:
    """The words that the original took for the label."""
    pattern = answer.pattern
    for name, text in answer.fields.items():
        pattern = pattern.replace("{" + name + "}", str(text))
    try:
        match = re.search(pattern, answer.text, re.IGNORECASE | re.DOTALL)
    except re.error:
        return None
    return match.groups()[-1 if answer.label_is_last else 0] if match else None
