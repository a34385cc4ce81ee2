"""Settings of what looks at rows: `annotate view`, and `annotate audit`, where they are judged."""

import getpass
from dataclasses import KW_ONLY
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from stepdistill.annotator.settings.money import PriceSettings
from stepdistill.annotator.settings.rows import PROMPTS, DataSettings, TemplateSettings
from stepdistill.annotator.settings.run import StoreSettings
from stepdistill.annotator.settings.shards import JudgementsSettings
from stepdistill.annotator.settings.teacher import ServerSettings
from stepdistill.common.command_line import NAMES, at_least, between, options
from stepdistill.common.errors import ConfigError

_LONGEST_NAME = 200


@options("Page", 8, kw_only=False)
class ViewSettings(PriceSettings, StoreSettings, ServerSettings, DataSettings, TemplateSettings):
    """One `annotate view`."""

    target: str | None = None
    """The folder of a run, also as a URL, a task, or a store; default: the run in ./runs that was
    written last."""
    _: KW_ONLY
    port: Annotated[int, between(0, 65535)] = 0
    """Of 127.0.0.1, where the page is served; 0 takes a free one."""
    browser: Annotated[bool, Parameter(negative="--no-browser")] = True
    """Open the page in a browser."""
    predictions: Path | None = None
    """What a student says of the same rows: a file of `stepdistill predict`."""
    prompts: Path = PROMPTS
    """Folder of tasks. A task that it does not have is looked for where the run had it."""
    teacher: str | None = None
    """Whose answers, of a task; default: of whoever was asked last."""
    splits: Annotated[tuple[str, ...], NAMES, Parameter(name=("--split", "--splits"))] = ()
    """Of a task, with commas; default: those that the run had, else all."""
    index: Path | None = None
    """Folder for what is known of the rows, so that the next time begins at once; default:
    stepdistill/view in the folder for caches."""


@options("Audit", 3, kw_only=False)
class AuditSettings(JudgementsSettings, ViewSettings):
    """One `annotate audit`."""

    _: KW_ONLY
    human: Annotated[int, at_least(1)] = 100
    """How many rows people judge; more of them later are these and others."""
    seed: int = 0
    """Draws the rows; keep it from one call to the next."""
    judge: bool = False
    """Open the page on which the rows are judged, one at a time."""
    name: str | None = None
    """Who judges; default: the name of this machine's user."""

    def check(self) -> None:
        super().check()
        if self.name is not None and not 0 < len(self.name.strip()) <= _LONGEST_NAME:
            raise ConfigError(f"--name: 1 to {_LONGEST_NAME} letters, such as `ann`")

    @property
    def judge_name(self) -> str:
        """Who judges."""
        try:
            name = self.name or getpass.getuser()
        except (KeyError, OSError):  # a container's user without a name
            name = "somebody"
        # What is no UTF-8 on a command line is none in a file.
        return name.strip().encode(errors="replace").decode()
