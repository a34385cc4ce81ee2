"""Loading a task's folder: `prompts/<task>/task.yaml`, checked before anything is asked."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from stepdistill.annotator.prompt.yaml_file import read_yaml
from stepdistill.common.errors import PromptError
from stepdistill.common.placeholders import unknown_placeholders, with_names
from stepdistill.common.task import LONGEST_NAME, StudentSpec, TaskSpec
from stepdistill.common.urls import is_url


def load_task(prompts: Path, name: str) -> TaskSpec:
    """The task of this name. Raises PromptError naming the file, the field and the remedy."""
    path = prompts / name / "task.yaml"
    if len(name) > LONGEST_NAME or not path.is_file():
        name = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..."
        known = sorted(file.parent.name for file in prompts.glob("*/task.yaml"))
        raise PromptError(f"no task {name} in {prompts} (has: {', '.join(known) or 'none'})")
    task = read_yaml(path, TaskSpec)
    read = by_names(f"{path}: student.input", task.student.input, task.fields)
    if read != task.student.input:
        task = task.model_copy(update={"student": StudentSpec(input=read)})
    check_placeholders(f"{path}: student.input", task.student.input, task)
    for option in task.label.options:
        if option not in task.fields:
            raise PromptError(f"{path}: label.options: `{option}` is not among the fields")
    return _from_here(task, path.parent)


def plain(task: TaskSpec) -> TaskSpec:
    """The same task for rows that have its fields by their own names, and neither id nor label: as
    those that a student is asked. A row is named by split and number."""
    names = {name: name for name in task.fields}
    nothing: dict[str, None] = dict.fromkeys(("id", "gold", "gold_rationale"))
    return task.model_copy(update={"fields": names, **nothing})


def _from_here(task: TaskSpec, folder: Path) -> TaskSpec:
    """The task with the paths of its data as they are from where one stands."""
    stated = {"path": task.data.path, "file": task.data.file}
    found = {name: path_from_here(folder, path) for name, path in stated.items() if path}
    return task.model_copy(update={"data": task.data.model_copy(update=found)}) if found else task


def path_from_here(folder: Path, path: str) -> str:
    """A path that is relative to this folder, as short as it is to be typed; a URL as it is."""
    if is_url(path):
        return path
    there, here = (folder / Path(path).expanduser()).resolve(), Path.cwd()
    return str(there.relative_to(here) if there.is_relative_to(here) else there)


def by_names(where: str, text: str, fields: Mapping[str, str]) -> str:
    """A text with placeholders alone, `{content_text}` for `{content.text}`. Raises PromptError."""
    try:
        return with_names(text, fields)
    except LookupError as error:
        path = error.args[0]
        name = re.sub(r"\W+", "_", path).strip("_")
        raise PromptError(
            f"{where} has {{{path}}}, which is no field: add `{name}: {path}` to task.yaml's fields"
        ) from None


def check_placeholders(where: str, text: str, task: TaskSpec, also: Collection[str] = ()) -> None:
    """Raise PromptError when text has a placeholder that is neither a field nor among `also`."""
    for name in unknown_placeholders(text, {*task.fields, *also}):
        has = ", ".join(f"{{{field}}}" for field in task.fields)
        raise PromptError(f"{where} has {{{name}}}, but task {task.task} has only {has}")
