"""Settings: how answers become shards."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from stepdistill.common.command_line import Settings, at_least, between, options, read_by
from stepdistill.common.errors import ConfigError

# The reader gives a word that is only mentioned 0.6, and the least verdict that is stated 0.7.
SURE_ENOUGH = 0.7


class AutoRate(float):
    """A rate that is found by what reasons do for small students; until it is, that of all."""


AUTO = AutoRate(1.0)


def _rate(text: str) -> float:
    if text == "auto":
        return AUTO
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"--rationale-rate {text}: a share from 0 to 1, or auto") from None


@options("Task", 1)
class ReaderSettings(Settings):
    """Who reads the answers."""

    reader: str = "verdict"
    """How answers are read: verdict, or original (imported templates)."""


@options("Task", 1)
class ReadingSettings(Settings):
    """What of an answer counts: the same for a run's records and for scores of templates."""

    rationale_from: Literal["answer", "thinking"] = "answer"
    """Where reasons are taken from: the answer, or what a teacher thought before it."""
    min_confidence: Annotated[float, between(0, 1)] = SURE_ENOUGH
    """Reject labels that the reader is less sure of: a mere hint has 0.6, a stated verdict more."""


@options("Shards", 6)
class JudgementsSettings(Settings):
    """What people say of labels."""

    judgements: Path | None = None
    """File of what people judged: `run` takes their labels for gold ones; default: none, of
    `audit` judgements.jsonl in the run's folder."""


@options("Shards", 6)
class RateOfRationalesSettings(Settings):
    """How many records have reasons."""

    rationale_rate: Annotated[float, read_by(_rate), between(0, 1)] = 1.0
    """Share of the records that has reasons, exactly; `run` takes auto, too: as many as small
    students show to be worth it."""

    @property
    def is_rate_found(self) -> bool:
        """Whether the rate is still to be found."""
        return isinstance(self.rationale_rate, AutoRate)


@options("Shards", 6)
class RateTrialSettings(Settings):
    """How a rate of reasons is found."""

    rationale_student: str = "micro"
    """--rationale-rate auto: whom reasons are tried on: `micro`, `tiny`, `mini`, or any --model of
    the trainer."""
    rationale_seeds: Annotated[int, at_least(2)] = 5
    """--rationale-rate auto: students of each rate."""
    rationale_steps: Annotated[int, at_least(1)] = 800
    """--rationale-rate auto: optimizer steps of each student."""


@options("Shards", 6)
class ShardSettings(JudgementsSettings, RateOfRationalesSettings, ReadingSettings, ReaderSettings):
    """How answers become shards."""

    rows_per_shard: Annotated[int, at_least(1)] = 10_000
    """Records in one shard."""
    filters: Annotated[frozenset[str], Parameter(name="--filter", consume_multiple=False)] = (
        frozenset()
    )
    """contradiction: reject rows whose reasons argue for another label; repetition: drop reasons
    that repeat the row; judged_wrong: reject labels that people judged wrong. May be repeated."""
    keep_rationales: Annotated[int, at_least(1)] = 1
    """Reasons that a record keeps at most, of different --votes for its label; the first is that of
    a run without it."""
    min_sureness: Annotated[float, between(0, 1)] = 0.0
    """Reject labels that the teacher is less sure of, by --logprobs or --votes."""
    max_student_tokens: Annotated[int | None, at_least(1)] = None
    """Reject longer inputs, drop longer reasons; in tokens of the student."""
    student_tokenizer: Path | None = None
    """tokenizer.json to count with; default: words x 1.4."""
