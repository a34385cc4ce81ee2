"""Settings: what a command shows."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from stepdistill.common.command_line import FILE_OR_SCREEN, Settings, options


@options("Output", 8)
class JsonSettings(Settings):
    """For whom the result is."""

    as_json: Annotated[bool, Parameter(name="--json")] = False
    """Print one JSON object, for programs."""
    config: Path | None = None
    """YAML file of any of these options by name; the command line goes before it."""

    @property
    def is_quiet(self) -> bool:
        """Whether only the result is shown."""
        return self.as_json


@options("Output", 8)
class CsvSettings(Settings):
    """Whether the result is written as CSV, too."""

    csv: Annotated[str | None, FILE_OR_SCREEN] = None
    """Write the table to this file or URL, as CSV; - is the screen."""


@options("Output", 8)
class HtmlSettings(Settings):
    """Whether the result is written as a page, too."""

    html: Annotated[str | None, FILE_OR_SCREEN] = None
    """Likewise, as one HTML page."""


@options("Output", 8)
class ConsoleSettings(JsonSettings):
    """What is shown on the way."""

    quiet: bool = False
    """No progress, only the result."""

    @property
    def is_quiet(self) -> bool:
        """Whether only the result is shown."""
        return self.quiet or self.as_json


JSON = JsonSettings()
CONSOLE = ConsoleSettings()
