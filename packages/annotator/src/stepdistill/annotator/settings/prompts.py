"""Settings of what shows prompts."""

from dataclasses import KW_ONLY
from typing import Annotated

from stepdistill.annotator.settings.rows import (
    DataSettings,
    SamplesSettings,
    TaskSettings,
    TemplateSettings,
)
from stepdistill.annotator.settings.run import SplitSettings, StoreSettings
from stepdistill.annotator.settings.teacher import SIMULATED, AnswerSettings, ServerSettings
from stepdistill.common.command_line import at_least, options


@options(kw_only=False)
class ShowSettings(TemplateSettings, TaskSettings):
    """One `annotate prompts show`."""


@options("Rows", 2, kw_only=False)
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
