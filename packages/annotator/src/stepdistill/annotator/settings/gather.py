"""Settings of `annotate gather` and `annotate store merge`: what several machines made, as one."""

from dataclasses import KW_ONLY
from pathlib import Path
from typing import Annotated

from stepdistill.annotator.settings.run import StoreSettings
from stepdistill.common.command_line import PLACE, PLACES, Settings, options
from stepdistill.common.urls import Place


@options("Store and output", 7, kw_only=False)
class GatherSettings(Settings):
    """One `annotate gather`."""

    parts: Annotated[tuple[Place, ...], PLACES]
    """What --out of each `annotate run --shard i/N` was, here or at a URL, in any order."""
    _: KW_ONLY
    out: Annotated[Place, PLACE]
    """Folder for the shards of all rows, one for each split in it; also a URL."""


@options("Store and output", 7, kw_only=False)
class MergeSettings(StoreSettings):
    """One `annotate store merge`."""

    stores: tuple[Path, ...]
    """Stores whose answers, budgets and notes of runs are put together; they stay as they are."""
