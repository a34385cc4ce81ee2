"""The tasks we ship: they validate, and their prompts use the row but never the gold."""

import re

import pytest
import yaml

from tests.annotator.reading.tasks import PROMPTS, task

TASKS = ("svamp", "cqa", "anli1", "esnli", "asdiv")
PLACEHOLDER = re.compile(r"\{(\w+)\}")


@pytest.mark.parametrize("name", TASKS)
def test_the_task_validates(name: str) -> None:
    spec = task(name)
    assert spec.task == name
    assert set(PLACEHOLDER.findall(spec.student.input)) <= set(spec.fields)
    assert set(spec.label.options) <= set(spec.fields)


@pytest.mark.parametrize("name", TASKS)
def test_templates_use_the_fields_and_no_gold(name: str) -> None:
    spec = task(name)
    templates = yaml.safe_load((PROMPTS / name / "templates.yaml").read_text("utf-8"))["templates"]
    assert len(templates) >= 2
    assert len({each["id"] for each in templates}) == len(templates)
    for each in templates:
        assert re.fullmatch(r"[a-z0-9-]+", each["id"])
        used = set(PLACEHOLDER.findall(each["user"] + each.get("system", "")))
        assert used == set(spec.fields), "a template shows the whole row and nothing else"


@pytest.mark.parametrize("name", TASKS)
def test_the_default_mix_names_templates(name: str) -> None:
    templates = yaml.safe_load((PROMPTS / name / "templates.yaml").read_text("utf-8"))["templates"]
    mix = yaml.safe_load((PROMPTS / name / "mixes" / "default.yaml").read_text("utf-8"))
    for part in ("label", "rationale"):
        assert set(mix[part]) <= {each["id"] for each in templates}
        assert sum(mix[part].values()) == pytest.approx(1)
