"""Loading a task's folder: `prompts/<task>/task.yaml`, checked before anything is asked."""

import re
from collections.abc import Collection
from pathlib import Path

from annotator.prompt.yaml_file import read_yaml
from common.errors import PromptError
from common.task import TaskSpec

_PLACEHOLDER = re.compile(r"\{([A-Za-z_]\w*)\}")


def load_task(prompts: Path, name: str) -> TaskSpec:
    """The task of this name. Raises PromptError naming the file, the field and the remedy."""
    path = prompts / name / "task.yaml"
    if not path.is_file():
        known = sorted(file.parent.name for file in prompts.glob("*/task.yaml"))
        raise PromptError(f"no task {name} in {prompts} (has: {', '.join(known) or 'none'})")
    task = read_yaml(path, TaskSpec)
    check_placeholders(f"{path}: student.input", task.student.input, task)
    for option in task.label.options:
        if option not in task.fields:
            raise PromptError(f"{path}: label.options: `{option}` is not among the fields")
    return task


def placeholders(text: str) -> list[str]:
    """The placeholders of a text, each once, in order."""
    return list(dict.fromkeys(_PLACEHOLDER.findall(text)))


def check_placeholders(where: str, text: str, task: TaskSpec, also: Collection[str] = ()) -> None:
    """Raise PromptError when text has a placeholder that is neither a field nor among `also`."""
    for name in placeholders(text):
        if name not in task.fields and name not in also:
            has = ", ".join(f"{{{field}}}" for field in task.fields)
            raise PromptError(f"{where} has {{{name}}}, but task {task.task} has only {has}")


def fill(text: str, fields: dict[str, str]) -> str:
    """Text with its placeholders filled, in one pass: braces inside a value stay as they are."""
    return _PLACEHOLDER.sub(lambda found: fields[found[1]], text)
