"""Templates: the words that a row is asked with. `templates.yaml` holds the task's own, and
`templates-<origin>.yaml` beside it those that were imported."""

import hashlib
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from stepdistill.annotator.prompt.task import by_names, load_task
from stepdistill.annotator.prompt.yaml_file import read_yaml
from stepdistill.common.errors import PromptError
from stepdistill.common.placeholders import has_paths
from stepdistill.common.whole_file import write_whole


class OriginalParse(BaseModel):
    """How the original read this template's answers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    label_parse: str  # a regex whose first group is the label
    explanation_parse: str  # a regex whose first group is the rationale
    swap: bool = False  # the rationale comes before the label


class Template(BaseModel):
    """One zero-shot prompt."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")  # `label-first`, `179`
    about: str = ""
    system: str = ""  # the system message; none is sent where it is empty
    user: str = Field(min_length=1)
    options: dict[str, JsonValue] = {}  # extra fields of the request body, e.g. {temperature: 0}
    structured: bool = False  # the answer is to be a JSON object of rationale and label
    # Which asking of its words this is: 1 for the second template of the very same words, whose
    # answers are not those of the first. Left out where it is 0, as it is part of digests.
    sample: int = Field(default=0, ge=0, exclude_if=lambda sample: sample == 0)
    original: OriginalParse | None = None  # of imported templates

    @property
    def digest(self) -> str:
        """16 characters that name what a teacher is sent by it."""
        sent = self.model_dump_json(include={"system", "user", "options", "structured"})
        return hashlib.sha256(sent.encode()).hexdigest()[:16]


class TemplateFile(BaseModel):
    """The content of a `templates*.yaml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    templates: list[Template]


def load_templates(prompts: Path, task: str) -> dict[str, Template]:
    """A task's templates by id. Raises PromptError on an id that two templates share."""
    found: dict[str, Template] = {}
    for path in sorted((prompts / task).glob("templates*.yaml")):
        for template in read_yaml(path, TemplateFile).templates:
            if template.id in found:
                raise PromptError(f"{path}: template id {template.id} is used twice in task {task}")
            found[template.id] = template
    if any(has_paths(each.system + each.user) for each in found.values()):
        fields = load_task(prompts, task).fields
        return {name: _by_names(prompts / task, each, fields) for name, each in found.items()}
    return found


def _by_names(folder: Path, template: Template, fields: Mapping[str, str]) -> Template:
    where = f"{folder}: template {template.id}"
    texts = {"system": template.system, "user": template.user}
    named = {part: by_names(where, text, fields) for part, text in texts.items()}
    return template.model_copy(update=named)


def append_template(prompts: Path, task: str, template: Template) -> Path:
    """The task's `templates.yaml` with the template added; the words and comments that are there
    stay as they are, and a template that is there already is not added again.

    Raises PromptError: the file cannot be read or added to; then it is as it was.
    """
    path = prompts / task / "templates.yaml"
    try:
        before = path.read_text(encoding="utf-8") if path.is_file() else "templates:\n"
        known = _templates_in(before)
        if template in known:
            return path
        after = before + ("" if before.endswith("\n") else "\n") + _entry(before, template)
        # Read back before it takes the file's place: a file that is written in another way is
        # left alone rather than damaged.
        if _templates_in(after) != [*known, template]:
            raise ValueError("its templates are not the last thing in it, or not one to a dash")
        write_whole(path, after.encode())
    except (OSError, ValueError, yaml.YAMLError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
        raise PromptError(
            f"{path}: template {template.id} cannot be added ({why}): copy it from the report"
        ) from None
    return path


def _templates_in(text: str) -> list[Template]:
    content = yaml.safe_load(text)
    if content == {"templates": None}:
        return []
    try:
        return TemplateFile.model_validate(content).templates
    except ValidationError as error:
        raise ValueError(error.errors()[0]["msg"]) from None


def _entry(before: str, template: Template) -> str:
    """The entry, its dash below the other dashes."""
    node: Any = yaml.compose(before, Loader=yaml.SafeLoader)
    entries = next((value for key, value in node.value if key.value == "templates"), None)
    in_blocks = isinstance(entries, yaml.SequenceNode) and not entries.flow_style
    column = entries.start_mark.column if entries is not None and in_blocks else 2
    return textwrap.indent(as_yaml(template), " " * column)


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks."""


def _block(dumper: Any, text: str) -> Any:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _block)


def as_yaml(template: Template) -> str:
    """A template as an entry of the file, without indentation."""
    content = template.model_dump(exclude_defaults=True)
    return yaml.dump([content], Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)
