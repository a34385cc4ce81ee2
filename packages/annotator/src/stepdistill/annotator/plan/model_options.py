"""What differs from model to model, as data: `models.yaml`.

models:
  o-large:                       # as given to --teacher
    limit_name: max_completion_tokens
    leave_out: [temperature]     # body fields of templates that this model refuses
    body: {reasoning_effort: low}
"""

from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, JsonValue

from stepdistill.annotator.prompt.yaml_file import read_yaml

LimitName = Literal["max_tokens", "max_completion_tokens"]
LIMIT_NAMES: tuple[LimitName, ...] = get_args(LimitName)


class ModelOptions(BaseModel):
    """What one model wants otherwise than most."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit_name: LimitName | None = None  # of the limit on the answer's length; None for the usual
    # These two change what is asked, so they are part of a request's key.
    leave_out: list[str] = []  # body fields of templates that it refuses
    body: dict[str, JsonValue] = {}  # body fields of its own

    def apply(self, options: dict[str, JsonValue]) -> dict[str, JsonValue]:
        """A template's extra body fields as this model takes them."""
        kept = {name: value for name, value in options.items() if name not in self.leave_out}
        return {**kept, **self.body}


class ModelsFile(BaseModel):
    """The content of `models.yaml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: dict[str, ModelOptions]


def load_options(path: Path | None, model: str) -> ModelOptions:
    """The options of a model, the usual ones where the file has none. Raises PromptError."""
    if path is None:
        return ModelOptions()
    return read_yaml(path, ModelsFile).models.get(model, ModelOptions())
