"""Settings of `annotate gather` and `annotate store merge`: what several machines made, as one."""

from dataclasses import KW_ONLY
from pathlib import Path

from stepdistill.annotator.settings.run import StoreSettings
from stepdistill.common.command_line import Settings, options


@options("Store and output", 7, kw_only=False)
class GatherSettings(Settings):
    """One `annotate gather`."""

    parts: tuple[Path, ...]
    """What --out of each `annotate run --shard i/N` was, in any order."""
    _: KW_ONLY
    out: Path
    """Folder for the shards of all rows, one for each split in it."""


@options("Store and output", 7, kw_only=False)
class MergeSettings(StoreSettings):
    """One `annotate store merge`."""

    stores: tuple[Path, ...]
    """Stores whose answers, budgets and notes of runs are put together; they stay as they are."""
