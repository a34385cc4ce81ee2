"""A tiny folder in the original's layout, and the task that its answers belong to; and what is made
of a file of one's own, step by step."""

import gzip
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import yaml

from stepdistill.annotator.importing.columns import Columns, find_columns
from stepdistill.annotator.importing.label_column import LabelColumn, read_labels
from stepdistill.annotator.importing.splits import divide, write_splits
from stepdistill.annotator.importing.survey import survey_file
from stepdistill.common.task import LabelKind

TASK_YAML = """\
task: sums
fields: {problem: problem}
label: {kind: equation}
student: {input: "{problem}"}
"""
SYSTEM = "You are a teacher."
TEMPLATES: dict[int, dict[str, Any]] = {
    1: {
        "id": 1,
        "system_message": SYSTEM,
        "user_message": "Solve: {problem}\nWhy?",
        "label_parse": "(.*)",
        "explanation_parse": "because (.*)",
    },
    7: {
        "id": 7,
        "system_message": SYSTEM,
        "user_message": "{problem}",
        "label_parse": "(.*)",
        "explanation_parse": "(.*)",
        "swap": True,
    },
}
MIX: dict[str, Any] = {"seed": 3, "label": {1: 0.5, 7: 0.5}, "explanation": {1: 1.0}}
PROBLEMS = [f"What is {n} + {n}?" for n in range(4)]


def a_result(template: int, idx: int, **changes: Any) -> dict[str, Any]:
    """One line of the original's query results."""
    user = TEMPLATES[template]["user_message"].replace("{problem}", PROBLEMS[idx])
    parts = {
        "dataset_key": "sums",
        "split": "train",
        "idx": idx,
        "prompt_template_id": template,
        "complete_prompt": f"{SYSTEM}\n{user}",
        "response": f"{idx + idx}, because it is doubled.",
    }
    return {**parts, **changes}


def lines(results: list[dict[str, Any]]) -> bytes:
    return b"".join(orjson.dumps(result) + b"\n" for result in results)


def write_yaml(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def results_file(src: Path, template: int, content: bytes, split: str = "train") -> Path:
    path = src / "query-results" / "sums" / split / str(template) / "responses.json.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content))
    return path


def write_original(src: Path) -> Path:
    """Two templates, two mixes of which one is of another task, three answers."""
    write_yaml(src / "prompt-templates" / "sums.yaml", {"templates": TEMPLATES})
    write_yaml(src / "prompt-mixes" / "3.yaml", MIX)
    write_yaml(src / "prompt-mixes" / "4.yaml", {"label": {99: 1.0}, "explanation": {1: 1.0}})
    results_file(src, 1, lines([a_result(1, 0), a_result(1, 2)]))
    results_file(src, 7, lines([a_result(7, 1)]))
    return src


def own_prompts(folder: Path) -> Path:
    """The project's own prompts, with the task and one template."""
    (folder / "sums").mkdir(parents=True)
    (folder / "sums" / "task.yaml").write_text(TASK_YAML)
    (folder / "sums" / "templates.yaml").write_text("templates: [{id: own, user: '{problem}'}]")
    return folder


def columns_of(file: Path, label: str = "kind", texts: Sequence[str] = ()) -> Columns:
    return find_columns(survey_file(file), (label,), texts)


def labels_of(file: Path, label: str = "kind", kind: LabelKind | None = None) -> LabelColumn:
    survey = survey_file(file)
    return read_labels(survey, find_columns(survey, (label,)), kind)[0]


def split_file(
    file: Path, folder: Path, shares: Mapping[str, float], label: str = "kind"
) -> dict[str, Counter[str]]:
    """Its rows in three files; how often each label is in them."""
    survey = survey_file(file)
    columns = find_columns(survey, (label,))
    labels, _ = read_labels(survey, columns)
    return write_splits(survey, columns, divide(survey, columns, labels, shares), folder)
