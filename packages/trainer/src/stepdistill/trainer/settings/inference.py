"""Settings of what uses a trained student: predict, evaluate, serve."""

from dataclasses import KW_ONLY
from pathlib import Path
from typing import Annotated

from stepdistill.common.command_line import Settings, at_least, options


@options("Student", 1, kw_only=False)
class StudentSettings(Settings):
    """A trained student."""

    model: Path
    """The folder `model` of a finished run."""


@options("Student", 1)
class RowsAtOnceSettings(Settings):
    """How the student works."""

    batch_size: Annotated[int, at_least(1)] = 64
    """Rows at once."""


@options("Output", 3)
class QuietSettings(Settings):
    """What is shown."""

    quiet: bool = False
    """No progress."""


@options("Rows and answers", 2, kw_only=False)
class PredictSettings(RowsAtOnceSettings, QuietSettings, StudentSettings):
    """Rows to label."""

    input: Path
    """Rows as JSON lines."""
    _: KW_ONLY
    output: Path | None = None
    """A file for the lines, instead of the screen."""
    explain: bool = False
    """Add the student's rationale."""
    abstain_below: float = 0.0
    """No label that is less likely."""


@options("Rows and answers", 2, kw_only=False)
class CompareSettings(QuietSettings, StudentSettings):
    """A student, and rows that its teacher labelled, too."""

    folders: tuple[Path, ...]
    """Folders of shards."""
    _: KW_ONLY
    usd_per_hour: float | None = None
    """What this machine costs."""
    json: Path | None = None
    """A file for all figures."""


@options("Address", 2, kw_only=False)
class ServeSettings(RowsAtOnceSettings, StudentSettings):
    """Where a student is served."""

    _: KW_ONLY
    host: str = "127.0.0.1"
    """0.0.0.0: for other machines, too."""
    port: int = 8080
    """0: a free one."""
