"""Settings of what shows prompts."""

from dataclasses import KW_ONLY, dataclass
from typing import Annotated

from stepdistill.annotator.settings.rows import (
    DataSettings,
    SamplesSettings,
    SplitSettings,
    TaskSettings,
    TemplateSettings,
)
from stepdistill.annotator.settings.run import RunSettings, StoreSettings
from stepdistill.annotator.settings.teacher import SIMULATED, AnswerSettings, ServerSettings
from stepdistill.common.command_line import as_options, at_least, option_group, taken_from


@as_options
@dataclass(frozen=True)
class ShowSettings(TemplateSettings, TaskSettings):
    """One `annotate prompts show`."""


@as_options
@dataclass(frozen=True)
@option_group("Rows", 2)
class RenderSettings(
    SamplesSettings,
    SplitSettings,
    DataSettings,
    AnswerSettings,
    ServerSettings,
    StoreSettings,
    ShowSettings,
):
    """One `annotate prompts render`."""

    _: KW_ONLY
    row: Annotated[int, at_least(0)] = 0
    """The row's number in its split."""
    body: bool = False
    """Print the body's bytes alone."""
    teacher: str = SIMULATED
    """As in `annotate run`."""

    def asking(self) -> RunSettings:
        """The run whose requests these are."""
        return taken_from(self, RunSettings, splits=(self.split,))
