"""Settings of `annotate what-if`: whose answers, and which choices are weighed by them."""

from collections.abc import Sequence
from dataclasses import KW_ONLY
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, Token

from stepdistill.annotator.settings.estimate import rates_of
from stepdistill.annotator.settings.money import PriceSettings
from stepdistill.annotator.settings.rows import OUT, DataSettings, TaskSettings
from stepdistill.annotator.settings.run import RunSettings, StoreSettings
from stepdistill.annotator.settings.shards import ShardSettings
from stepdistill.annotator.settings.teacher import ServerSettings
from stepdistill.common.command_line import NAMES, comma_separated, options, taken_from
from stepdistill.common.errors import ConfigError

MOST_VOTES = 5
_LONGEST = 10**9


def _whole_numbers(option: str, most: int) -> Parameter:
    """Numbers from 1, with commas."""

    def convert(kind: object, tokens: Sequence[Token]) -> tuple[int, ...]:
        words = comma_separated(kind, tokens)
        bad = [word for word in words if not word.isdecimal() or not 1 <= int(word) <= most]
        if bad:
            raise ConfigError(f"{option} {bad[0]}: whole numbers from 1 to {most:,}, as 1,3")
        return tuple(dict.fromkeys(int(word) for word in words))

    return Parameter(converter=convert, consume_multiple=False)


@options("What if", 2, kw_only=False)
class WhatIfSettings(PriceSettings, ServerSettings, DataSettings, StoreSettings, TaskSettings):
    """One `annotate what-if`."""

    _: KW_ONLY
    votes: Annotated[tuple[int, ...], _whole_numbers("--votes", MOST_VOTES)] = (1, 2, 3, 4, 5)
    """Votes for each label, with commas."""
    templates: Annotated[tuple[str, ...], NAMES] = ()
    """Templates by id, with commas; default: all that have answers."""
    mixes: Annotated[tuple[str, ...], NAMES] = ()
    """Mixes by name or file, or shares as a:0.5+b:0.5; with commas; default: the task's."""
    rationale_rates: Annotated[
        tuple[float, ...], Parameter(converter=rates_of, consume_multiple=False)
    ] = ()
    """Rationale rates, as 0,0.3,1; default: these where reasons have a template of their own."""
    rows: Annotated[tuple[int, ...], _whole_numbers("--rows", _LONGEST)] = ()
    """Only the first so many rows of each split, as 500,5000; default: all."""
    out: Path | None = None
    """The folder of the run that is weighed; default: the task's latest on the store."""
    run: str | None = None
    """One of several runs, by the start of its name."""
    teacher: str = ""
    """Whose answers, of this teacher's latest run or without any; default: the latest run's."""
    splits: Annotated[tuple[str, ...], NAMES, Parameter(name=("--split", "--splits"))] = ()
    """The rows' splits, with commas; default: the run's, else train."""
    reader: str | None = None
    """How answers are read: verdict, or original; default: as the run's, else verdict."""
    plot: Path | None = None
    """Draw accuracy against dollars, as this file and its like in PNG and SVG."""

    def check(self) -> None:
        super().check()
        if self.plot is not None and self.plot.suffix not in ("", ".png", ".svg"):
            raise ConfigError(f"--plot {self.plot}: a name for a PNG and an SVG, as what-if.png")

    def asking(self) -> RunSettings:
        """The run whose answers are looked up, where no run that the store remembers is."""
        return taken_from(
            self,
            RunSettings,
            out=self.out or OUT / self.task,
            splits=self.splits or ("train",),
            votes=1,
            offline=True,
            shards=ShardSettings(reader=self.reader or "verdict"),
        )
