"""What differs from model to model, as data: `models.yaml`.

models:
  o-large:                       # as given to --teacher
    limit_name: max_completion_tokens
    leave_out: [temperature]     # body fields of templates that this model refuses
    body: {reasoning_effort: low}
"""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, JsonValue

from stepdistill.annotator.prompt.yaml_file import read_yaml
from stepdistill.annotator.settings.teacher import LimitName

LOGPROBS = ("logprobs", "top_logprobs")  # body fields: whether, and how many alternatives


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

    def with_logprobs(self, most: int) -> Self:
        """The same, and so many alternatives to each token of an answer are told."""
        told: dict[str, JsonValue] = dict(zip(LOGPROBS, (True, most), strict=True))
        return self.model_copy(update={"body": {**self.body, **told}})


class ModelsFile(BaseModel):
    """The content of `models.yaml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: dict[str, ModelOptions]


def load_options(path: Path | None, *names: str) -> ModelOptions:
    """The options of a model by the first of its names that the file has; the usual ones where it
    has none. Raises PromptError."""
    if path is None:
        return ModelOptions()
    models = read_yaml(path, ModelsFile).models
    return next((models[name] for name in names if name in models), ModelOptions())
