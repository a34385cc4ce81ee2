"""A prompts folder with one task, written anew for each test, and what is refused of it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from stepdistill.common.errors import PromptError

TASK_YAML = """\
task: sums
fields: {problem: text, hint: hints}
label: {kind: text}
student: {input: "{problem}"}
"""
TEMPLATES_YAML = """\
templates:
  - {id: plain, user: "{problem}"}
  - {id: long, system: Be kind., user: "{problem} ({hint})", options: {temperature: 0}}
"""


def prompts_folder(
    folder: Path, *, task: str = TASK_YAML, templates: str = TEMPLATES_YAML, **mixes: str
) -> Path:
    """`folder`, with the task `sums` in it; mixes: name -> the file's text."""
    place = folder / "sums"
    (place / "mixes").mkdir(parents=True, exist_ok=True)
    (place / "task.yaml").write_text(task, encoding="utf-8")
    (place / "templates.yaml").write_text(templates, encoding="utf-8")
    for name, text in mixes.items():
        (place / "mixes" / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


def refusal(action: Callable[[], object]) -> str:
    """The one line that something is refused with."""
    with pytest.raises(PromptError) as refused:
        action()
    message = str(refused.value)
    assert "\n" not in message
    return message
