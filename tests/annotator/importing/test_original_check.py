"""Every number that the original recorded for a template is recomputed from its answers."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from stepdistill.annotator.importing.original_check import Recorded, compare_recorded
from tests.annotator.reading.real_answers import DATA
from tests.annotator.reading.tasks import task

TOKENS_AND_COSTS = {
    "costs.avg_cost_per_query",
    "costs.avg_nr_tokens_received",
    "costs.avg_nr_tokens_sent",
    "costs.total_accumulated_costs",
    "costs.total_performed_queries",
    "costs.total_tokens_received",
    "costs.total_tokens_sent",
}
# What the data kit says of the oldest runs: templates 1 and 3 were billed at older prices and with
# 8 tokens for the frame, 5 recorded what 24 of its 50 answers cost; of most rows of 1 and 3 no gold
# label is known.
EXCEPTIONS = {("anli1", "1"): TOKENS_AND_COSTS, ("anli1", "3"): TOKENS_AND_COSTS}
EXCEPTIONS["anli1", "5"] = TOKENS_AND_COSTS
WITHOUT_GOLD = {("anli1", "1"), ("anli1", "3")}


@pytest.mark.skipif(not DATA.is_dir(), reason="no ../shared/data beside the project")
@pytest.mark.parametrize(("name", "templates"), [("cqa", 42), ("esnli", 56), ("anli1", 88)])
def test_every_recorded_field_is_reproduced(name: str, templates: int) -> None:
    found = list(compare_recorded(DATA, task(name)))
    assert len(found) == templates
    for each in found:
        key = (name, each.template)
        assert len(each.recorded) == 21
        assert set(each.differing) <= EXCEPTIONS.get(key, set()), each.template
        unknown = {field for field in each.unknown if field.startswith("performance.")}
        assert set(each.unknown) == (unknown if key in WITHOUT_GOLD else set())


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def folder(tmp_path: Path, answers: list[str], accuracy: float) -> Path:
    """An original's folder of one anli1 template; the gold label of every row is entailment."""
    for name in (
        "prompt-metadata",
        "prompt-templates",
        "ground-truth",
        "query-results/anli1/train/7",
    ):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "prompt-metadata/anli1.yaml").write_text(
        "7:\n  characteristics: {n_parse_errors: 1, variance_length_of_explanations: .nan}\n"
        f"  performance: {{accuracy: {accuracy}}}\n"
    )
    (tmp_path / "prompt-templates/anli1.yaml").write_text(
        "templates:\n  7: {id: 7, user_message: '{hypothesis}', label_parse: '(True|False)', "
        "explanation_parse: '.?(.*)'}\n"
    )
    row: dict[str, Any] = {
        "split": "train",
        "prompt_template_id": 7,
        "complete_prompt": "It is so.",
    }
    row["prompt_values"] = {"hypothesis": "It is so."}
    results = [row | {"idx": n, "response": answer} for n, answer in enumerate(answers)]
    golds = [{"idx": n, "label": "entailment"} for n in range(3)]
    write_lines(tmp_path / "query-results/anli1/train/7/responses.json", results)
    write_lines(tmp_path / "ground-truth/anli1_train_queried.jsonl", golds)
    return tmp_path


def the_one(src: Path) -> Recorded:
    (found,) = compare_recorded(src, task("anli1"))
    return found


def test_equal_and_differing_fields(tmp_path: Path) -> None:
    found = the_one(folder(tmp_path, ["True.", "False.", "Perhaps."], accuracy=0.5))
    assert found.differing == ["performance.accuracy"]
    assert found.recomputed["performance.accuracy"] == 0.3333
    assert math.isnan(found.recomputed["characteristics.variance_length_of_explanations"])


def test_without_gold_labels_the_accuracy_is_unknown(tmp_path: Path) -> None:
    found = the_one(folder(tmp_path, ["True."] * 4, accuracy=0.5))
    assert found.unknown == ["performance.accuracy"]
