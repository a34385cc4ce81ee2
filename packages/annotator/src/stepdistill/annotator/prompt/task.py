"""Loading a task's folder: `prompts/<task>/task.yaml`, checked before anything is asked."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from stepdistill.annotator.prompt.yaml_file import read_yaml
from stepdistill.common.errors import PromptError
from stepdistill.common.task import TaskSpec

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


def placeholders(text: str) -> Counter[str]:
    """How often each placeholder stands in a text, in order of its first place."""
    return Counter(_PLACEHOLDER.findall(text))


def check_placeholders(where: str, text: str, task: TaskSpec, also: Collection[str] = ()) -> None:
    """Raise PromptError when text has a placeholder that is neither a field nor among `also`."""
    for name in placeholders(text):
        if name not in task.fields and name not in also:
            has = ", ".join(f"{{{field}}}" for field in task.fields)
            raise PromptError(f"{where} has {{{name}}}, but task {task.task} has only {has}")


def filler(text: str) -> Callable[[Mapping[str, str]], str]:
    """What fills a text's placeholders, in one pass: braces inside a value stay as they are."""
    pieces = _PLACEHOLDER.split(text)
    for i in range(0, len(pieces), 2):  # the words between placeholders; `{` is no sign there
        pieces[i] = pieces[i].replace("{", "{{").replace("}", "}}")
    for i in range(1, len(pieces), 2):
        pieces[i] = f"{{{pieces[i]}}}"
    return "".join(pieces).format_map
