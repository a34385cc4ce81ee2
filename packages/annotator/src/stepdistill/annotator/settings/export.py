"""Settings of `annotate export`."""

import re
from dataclasses import KW_ONLY
from pathlib import Path

from stepdistill.annotator.settings.rows import PROMPTS, DataSettings
from stepdistill.annotator.settings.run import StoreSettings
from stepdistill.common.command_line import options
from stepdistill.common.errors import ConfigError
from stepdistill.common.tables.table_file import CELLS, ending_of
from stepdistill.common.urls import place_of, shown

_HUB = "hub:"
# What the hub takes for a name: `reviews`, `my-team/reviews_2`.
_HUB_NAME = re.compile(r"(?:[\w.-]{1,96}/)?[\w.-]{1,96}", re.ASCII)


@options("Output", 8, kw_only=False)
class ExportSettings(StoreSettings, DataSettings):
    """One `annotate export`."""

    run: str
    """The folder of a run's shards, also as a URL, or a task: runs/TASK."""
    _: KW_ONLY
    to: str
    """A file (.csv, .tsv, .jsonl, also .gz and .zst; .parquet), its URL, or hub:NAME."""
    prompts: Path = PROMPTS
    """Folder of tasks. A task that it does not have is looked for where the run had it."""
    escape_formulas: bool = False
    """In a CSV, put ' before texts that a spreadsheet takes for formulas."""
    public: bool = False
    """Let everybody see hub:NAME; else only you do, or your organisation."""

    def check(self) -> None:
        super().check()
        if self.hub_name is None:
            ending = ending_of(Path(place_of(self.to).name))
            if self.escape_formulas and not ending.startswith(CELLS):
                raise ConfigError(
                    f"--escape-formulas: --to {shown(self.to)} is no CSV, and has none"
                )
        elif not _HUB_NAME.fullmatch(self.hub_name):
            raise ConfigError(f"--to {self.to}: not a name on the hub, as hub:my-team/reviews")
        if self.public and self.hub_name is None:
            raise ConfigError("--public goes with --to hub:NAME")

    @property
    def hub_name(self) -> str | None:
        """The dataset on the hub; None for a file."""
        return self.to.removeprefix(_HUB) if self.to.startswith(_HUB) else None
