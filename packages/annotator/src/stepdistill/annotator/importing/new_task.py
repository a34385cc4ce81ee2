"""A task made of a file of one's own: its folder of prompts."""

import os
import textwrap
from pathlib import Path, PurePath

import yaml

from stepdistill.annotator.importing.columns import Columns
from stepdistill.annotator.prompt.template import Template, TemplateFile, as_yaml
from stepdistill.annotator.reading.read_back import lost_names
from stepdistill.common.errors import DatasetError, PromptError
from stepdistill.common.kinds.registry import kind_of
from stepdistill.common.placeholders import PLACEHOLDER
from stepdistill.common.task import LabelSpec
from stepdistill.common.urls import is_url

_TEMPLATES = Path(__file__).parent / "new-task-templates.txt"
_HEAD = """\
# First words, made from the columns' names. Make them yours: this is what the teacher reads."""
_MIX = """\
# Label and rationale of a row come from the same answer: one request a row. A teacher that takes no
# response_format is asked the same words without, and its answers are read as text.
label: {structured: 1.0}
rationale: {structured: 1.0}
"""


def check_names(file: Path, columns: Columns, label: LabelSpec) -> None:
    """Raise DatasetError where a label is not read back in a form that the templates ask for."""
    for name in label.classes:
        if PLACEHOLDER.search(name):
            raise DatasetError(f"{file}: rename the label {name}: what is in braces is a field")
    for template in _templates(columns, label):
        for lost in lost_names(label, template)[:1]:
            raise DatasetError(
                f"{file}: column {columns.name}: {lost.replace(' in task.yaml', '')} "
                f"(template {template.id})"
            )


def write_task(
    folder: Path, file: str | Path, columns: Columns, label: LabelSpec, data: Path | None = None
) -> None:
    """Write the task's folder, which must not be there. file: of which it is made, or its URL;
    data: where its splits lie.

    Raises PromptError.
    """
    if folder.exists():
        raise PromptError(f"{folder}: is there already: take another name, or edit its files")
    (folder / "mixes").mkdir(parents=True)
    for name, content in (
        ("task.yaml", _task(folder, file, columns, label, data)),
        ("templates.yaml", _template_file(columns, label)),
        ("mixes/default.yaml", _MIX),
    ):
        (folder / name).write_text(content, encoding="utf-8")


def _template_file(columns: Columns, label: LabelSpec) -> str:
    """The content of templates.yaml."""
    entries = "".join(map(as_yaml, _templates(columns, label)))
    return f"{_HEAD}\ntemplates:\n{textwrap.indent(entries, '  ')}"


def _templates(columns: Columns, label: LabelSpec) -> list[Template]:
    """The first templates of a task, in the words of its columns."""
    wording = kind_of(label).wording(_one_line(columns.name))
    fields = [f"{_one_line(path)}: {{{name}}}" for name, path in columns.fields.items()]
    words = {
        "question": wording.question,
        "answer": wording.answer,
        "value": wording.value,
        "fields": "\n".join(fields),
    }
    content = yaml.safe_load(_TEMPLATES.read_text(encoding="utf-8"))
    templates = TemplateFile.model_validate(content).templates
    return [each.model_copy(update={"user": each.user.format(**words)}) for each in templates]


def _one_line(name: str) -> str:
    """A column's name in a prompt: spreadsheets break lines in headers."""
    return " ".join(name.split())


def _task(
    folder: Path, file: str | Path, columns: Columns, label: LabelSpec, data: Path | None
) -> str:
    fields = columns.fields
    lies_in = {"path": data, "file": file} if data else {}
    content: dict[str, object] = {
        "task": folder.name,
        "title": f"The {_one_line(columns.name)} of the rows of {PurePath(file).name}",
        **({"data": {key: _from(folder, name) for key, name in lies_in.items()}} if data else {}),
        **({"id": columns.id} if columns.id else {}),
        "fields": fields,
        "label": _label(label),
        **({"gold": columns.gold} if columns.gold else {}),
        "student": {"input": "\n".join(f"{{{field}}}" for field in fields)},
    }
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


def _from(folder: Path, name: str | Path) -> str:
    """A path as the files of this folder name it: a project that moves as a whole goes on."""
    if is_url(str(name)):
        return str(name)
    path = Path(name)
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:  # on another drive
        return str(path.resolve())


def _label(label: LabelSpec) -> dict[str, object]:
    """As a person would write it: the parts of its kind, and room for aliases."""
    content = label.model_dump(exclude_defaults=True)
    if label.classes:
        content["classes"] = {name: each.model_dump() for name, each in label.classes.items()}
    return content
