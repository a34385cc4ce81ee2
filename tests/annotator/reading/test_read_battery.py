"""The battery of answers that a reader meets out there, where it lies beside the project."""

import json
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from stepdistill.annotator.reading.verdict.verdict_reader import VerdictReader
from stepdistill.common.kinds.registry import kind_of
from stepdistill.common.task import LabelSpec

BATTERY = Path(__file__).parents[4] / "shared" / "cases" / "reading" / "reading.jsonl"
DEBRIS = re.compile(r"</?\w+>|```|\\boxed|\{\s*['\"]|['\"]\s*[,}]|\"\w+\":")


@cache
def _reader(label: str) -> VerdictReader:
    return VerdictReader(LabelSpec.model_validate_json(label))


def _outcome(case: dict[str, Any]) -> tuple[str, bool]:
    """Right, lost or wrong; and whether the rationale holds more than prose."""
    reading = _reader(json.dumps(case["label"])).read(case["answer"], case["fields"])
    debris = reading.rationale is not None and DEBRIS.search(reading.rationale) is not None
    if reading.label is None:
        return ("right" if case["want"] is None else "lost"), debris
    kind = kind_of(LabelSpec.model_validate(case["label"]))
    right = case["want"] is not None and kind.same(reading.label, str(case["want"]))
    return ("right" if right else "wrong"), debris


@pytest.mark.skipif(not BATTERY.is_file(), reason="no ../shared/cases/reading beside the project")
def test_names_are_read_rightly_and_never_wrongly() -> None:
    counts: Counter[str] = Counter()
    for line in BATTERY.read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        if case["label"]["kind"] == "equation":
            continue
        outcome, debris = _outcome(case)
        counts[outcome] += 1
        counts["debris"] += debris
    assert counts["right"] >= 0.995 * (counts["right"] + counts["lost"])
    assert (counts["wrong"], counts["debris"]) == (0, 0)
