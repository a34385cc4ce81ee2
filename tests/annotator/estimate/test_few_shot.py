"""The few-shot prompts that are compared with: whole, and refused where they do not fit."""

from pathlib import Path

import pytest

from stepdistill.annotator.estimate.few_shot import load_few_shot
from stepdistill.annotator.prompt.task import load_task
from stepdistill.common.errors import PromptError
from tests.journeys.conftest import ROOT


@pytest.mark.parametrize("task", ["cqa", "anli1"])
def test_the_few_shot_prompts_are_there_and_whole(task: str):
    spec = load_task(ROOT / "prompts", task)
    shown = load_few_shot(ROOT / "prompts" / task / "few-shot.yaml", spec)

    assert len(shown.shots) == 7
    assert shown.template.id == "few-shot-7"
    user = shown.template.user
    assert all(answer in user for answer in shown.answers)
    assert user.index(shown.answers[-1]) < user.index("{")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("question: '{nothing}'\nshots: [{fields: {}, rationale: r, label: l}]", "{nothing}"),
        ("question: '{question}'\nshots: []", "shots"),
        ("question: '{question}'\nshots: [{fields: {}, rationale: r, label: l}]", "shot 1 lacks"),
        (
            "question: '{question}'\nshots: [{fields: {question: '{x}'}, rationale: r, label: l}]",
            "shot 1 has a placeholder",
        ),
    ],
)
def test_examples_that_do_not_fit_the_task_are_refused(tmp_path: Path, text: str, says: str):
    path = tmp_path / "few-shot.yaml"
    path.write_text(text)

    with pytest.raises(PromptError, match=says):
        load_few_shot(path, load_task(ROOT / "prompts", "cqa"))


def test_a_few_shot_file_that_is_not_there_is_said(tmp_path: Path):
    with pytest.raises(PromptError, match="not found"):
        load_few_shot(tmp_path / "few-shot.yaml", load_task(ROOT / "prompts", "demo"))
