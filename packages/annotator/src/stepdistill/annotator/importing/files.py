"""The original's files as they lie in its folder: templates and recorded answers."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from stepdistill.annotator.prompt.template import OriginalParse, Template
from stepdistill.common.errors import PromptError


class OriginalTemplate(BaseModel):
    """One template; label_parse and explanation_parse are regexes, the latter first if swap."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: int
    system_message: str = ""
    user_message: str
    label_parse: str
    explanation_parse: str
    swap: bool = False


class QueryResult(BaseModel):
    """One recorded answer. complete_prompt: system message, separator, user message."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    split: str
    idx: int
    prompt_template_id: int
    prompt_values: dict[str, str | int | float | None] = {}
    complete_prompt: str
    response: str

    @property
    def fields(self) -> dict[str, str]:
        """The row's texts by placeholder."""
        return {name: str(value) for name, value in self.prompt_values.items()}


def folder_of(src: Path, name: str) -> Path:
    """A folder of the original's, with underscores or hyphens in its name."""
    underscored = src / name.replace("-", "_")
    return underscored if underscored.is_dir() else src / name


def read_any_yaml(path: Path) -> Any:
    """What a YAML file holds. Raises PromptError."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise PromptError(f"{path}: cannot be read ({' '.join(str(error).split())})") from None


def read_templates(path: Path) -> dict[int, OriginalTemplate]:
    """The templates of a task by id. Raises PromptError."""
    content = read_any_yaml(path)
    try:
        found = content["templates"].items()
        return {key: OriginalTemplate.model_validate(template) for key, template in found}
    except (ValidationError, KeyError, TypeError, AttributeError) as error:
        raise PromptError(
            f"{path}: not the original's templates ({str(error).splitlines()[0]})"
        ) from None


def as_template(original: OriginalTemplate) -> Template:
    """A template of ours with the same words and regexes."""
    return Template(
        id=str(original.id),
        system=original.system_message,
        user=original.user_message,
        original=OriginalParse(
            label_parse=original.label_parse,
            explanation_parse=original.explanation_parse,
            swap=original.swap,
        ),
    )
