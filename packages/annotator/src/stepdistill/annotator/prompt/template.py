"""Templates: the words that a row is asked with. `templates.yaml` holds the task's own, and
`templates-<origin>.yaml` beside it those that were imported."""

import hashlib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from stepdistill.annotator.prompt.yaml_file import read_yaml
from stepdistill.common.errors import PromptError


class OriginalParse(BaseModel):
    """How the original read this template's answers: two regexes and their order."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    label_parse: str
    explanation_parse: str
    swap: bool = False


class Template(BaseModel):
    """One zero-shot prompt.

    options: extra fields of the request body, e.g. {temperature: 0}. structured: the answer is to
    be a JSON object of rationale and label.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    about: str = ""
    system: str = ""
    user: str = Field(min_length=1)
    options: dict[str, JsonValue] = {}
    structured: bool = False
    original: OriginalParse | None = None

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
    return found
