"""Settings of `stepdistill rationales`: what a teacher's reasons do for a student."""

from collections.abc import Sequence
from dataclasses import KW_ONLY
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, Token

from stepdistill.common.command_line import PLACES, Settings, at_least, comma_separated, options
from stepdistill.common.errors import ConfigError
from stepdistill.common.urls import Place
from stepdistill.trainer.settings.inference import QuietSettings
from stepdistill.trainer.settings.train import TrainSettings


def _rates(kind: object, tokens: Sequence[Token]) -> tuple[float, ...]:
    words = comma_separated(kind, tokens)
    try:
        rates = tuple(sorted({float(word) for word in words}))
    except ValueError:
        rates = (-1.0,)
    if not all(0 <= rate <= 1 for rate in rates):
        raise ConfigError(f"--rates {','.join(words)}: shares from 0 to 1, as 0,0.5,1")
    return rates


@options("Students", 2)
class LearningSettings(Settings):
    """Students that are trained to find something out, and then thrown away."""

    model: str = "micro"
    """A folder, a hub id, or `micro`, `tiny`, `mini`: from scratch."""
    steps: Annotated[int, at_least(1)] = 800
    """Optimizer steps of each."""

    def training(self, train: tuple[Place, ...], valid: tuple[Place, ...]) -> TrainSettings:
        """The settings by which they are trained on these folders, with the first seed."""
        return TrainSettings(
            train=train,
            valid=valid,
            test=valid or train,  # which nobody looks at
            model=self.model,
            steps=self.steps,
            eval_every=self.steps,  # no choice between checkpoints: it would flatter all of them
            select_by="label",
            output=Path("unused"),
            quiet=True,
        )


@options("Students", 2)
class SeedsSettings(Settings):
    """How many students."""

    seeds: Annotated[int, at_least(2)] = 5
    """Students of each rate: one says little, as another seed makes some points."""


@options("Rows", 1, kw_only=False)
class CompareRationalesSettings(SeedsSettings, LearningSettings, QuietSettings):
    """One `stepdistill rationales compare`."""

    train: Annotated[tuple[Place, ...], PLACES]
    """Folders of shards to learn from, also URLs."""
    _: KW_ONLY
    valid: Annotated[tuple[Place, ...], PLACES] = ()
    """Folders to be judged on; without any, a tenth of the rows."""
    rates: Annotated[tuple[float, ...], Parameter(converter=_rates)] = (0.0, 1.0)
    """Shares of the reasons that are there; the rows of a lower one are among a higher one's."""
    keep: Path | None = None
    """File of what students had right: those that are in it are not trained again."""
    json: bool = False
    """Print one JSON object."""


@options("Rows", 1, kw_only=False)
class ChooseRationalesSettings(LearningSettings, QuietSettings):
    """One `stepdistill rationales choose`."""

    folders: Annotated[tuple[Place, ...], PLACES]
    """Folders of shards, also URLs; the reasons of a row in several of them come together."""
    _: KW_ONLY
    out: Path
    """Folder for shards of the same rows with the chosen reasons."""
    keep: Annotated[int, at_least(1)] = 1
    """Reasons of a row that are kept at most; near-duplicates are not."""
    helping: bool = False
    """Keep those alone that make the label likelier: rows may be left without any."""
    force: bool = False
    """Replace the shards that are there."""
    json: bool = False
    """Print one JSON object."""
