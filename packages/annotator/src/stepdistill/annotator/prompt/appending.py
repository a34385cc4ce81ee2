"""Adding a template to a task's `templates.yaml`, whose words and comments all stay as they are.

The new text is put behind what is there and read back before it takes the file's place, so a file
that is written in another way is left alone rather than damaged.
"""

import textwrap
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from stepdistill.annotator.prompt.template import Template, TemplateFile
from stepdistill.common.errors import PromptError
from stepdistill.common.whole_file import write_whole

_NAME = "templates.yaml"


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks."""


def _block(dumper: Any, text: str) -> Any:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _block)


def append_template(prompts: Path, task: str, template: Template) -> Path:
    """The file, with the template in it; one that is there already is not added again.

    Raises PromptError: the file cannot be read or added to; then it is as it was.
    """
    path = prompts / task / _NAME
    try:
        before = path.read_text(encoding="utf-8") if path.is_file() else "templates:\n"
        known = _read(before)
        if template in known:
            return path
        after = before + ("" if before.endswith("\n") else "\n") + _entry(before, template)
        if _read(after) != [*known, template]:
            raise ValueError("its templates are not the last thing in it, or not one to a dash")
        write_whole(path, after.encode())
    except (OSError, ValueError, yaml.YAMLError) as error:
        said = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
        raise PromptError(
            f"{path}: template {template.id} cannot be added ({said}): copy it from the report"
        ) from None
    return path


def as_yaml(template: Template) -> str:
    """A template as an entry of the file, without indentation."""
    said = template.model_dump(exclude_defaults=True)
    return yaml.dump([said], Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)


def _read(text: str) -> list[Template]:
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
