"""A finished run's results.json, as far as a study looks at it."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from stepdistill.common.errors import ConfigError
from stepdistill.trainer.settings.train import RESULTS_NAME, TrainSettings


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class ResultScore(_Part):
    """Share of n rows that were right."""

    accuracy: float
    n: int


class ResultTest(_Part):
    """Scores on the test rows."""

    student: ResultScore
    teacher: ResultScore


class Valid(_Part):
    """The best exam on the validation rows."""

    accuracy: float


class ResultCost(_Part):
    """Seconds of training without exams; ranks of one device each."""

    seconds: float
    ranks: int


class Folder(_Part):
    """A folder of shards. cost_usd: what its answers cost, None where no price is known."""

    folder: str
    fingerprint: str
    task: str | None = None
    teacher: str | None = None
    cost_usd: float | None = None


class ResultSplit(_Part):
    """What was read. used: rows learnt from, or judged on.

    rationale_words: mean words of a rationale learnt from. templates: that the rationales are of.
    """

    folders: list[Folder]
    used: int
    without_rationale: int = 0
    rationale_words: float | None = None
    templates: list[str] = []


class Splits(_Part):
    """The three splits."""

    train: ResultSplit
    valid: ResultSplit
    test: ResultSplit


class Results(_Part):
    """One results.json."""

    fingerprint: str
    config: TrainSettings
    data: Splits
    valid: Valid
    steps: int
    test: ResultTest
    cost: ResultCost


def read_results(folder: Path) -> Results:
    """The results in a run's folder. Raises ConfigError."""
    path = folder / RESULTS_NAME
    try:
        return Results.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise ConfigError(
            f"{path}: no results of a training run: {where}: {first['msg']}"
        ) from None
