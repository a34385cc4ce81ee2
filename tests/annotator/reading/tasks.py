"""Readers for the tasks we ship, and rows of our own for them."""

from functools import cache
from pathlib import Path

import yaml

from stepdistill.annotator.reading.verdict.verdict_reader import VerdictReader
from stepdistill.common.task import LabelSpec, TaskSpec

PROMPTS = Path(__file__).parents[3] / "prompts"

CLAIM = {
    "premise": "A baker in a white apron lifts two trays of rolls out of the oven.",
    "hypothesis": "The baker works at night.",
}
CHOICES = {
    "question": "What would a gardener reach for when the soil is dry?",
    "choice_a": "watering can",
    "choice_b": "can",
    "choice_c": "table",
    "choice_d": "carve wood",
    "choice_e": "in the shed",
}
PROBLEM = {"question": "Mia has 14 beads and gives 5 of them to 3 friends. How many are left?"}


def task(name: str) -> TaskSpec:
    text = (PROMPTS / name / "task.yaml").read_text(encoding="utf-8")
    return TaskSpec.model_validate(yaml.safe_load(text))


@cache
def reader(name: str) -> VerdictReader:
    return VerdictReader(task(name).label)


def text_reader() -> VerdictReader:
    return VerdictReader(LabelSpec(kind="text"))
