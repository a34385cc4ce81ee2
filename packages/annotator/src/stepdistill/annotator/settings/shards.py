"""Settings: how answers become shards."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from stepdistill.common.command_line import Settings, at_least, between, options

# The reader gives a word that is only mentioned 0.6, and the least verdict that is stated 0.7.
SURE_ENOUGH = 0.7


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

    rationale_rate: Annotated[float, between(0, 1)] = 1.0
    """Share of the records that has reasons, exactly."""


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
    min_sureness: Annotated[float, between(0, 1)] = 0.0
    """Reject labels that the teacher is less sure of, by --logprobs or --votes."""
    max_student_tokens: Annotated[int | None, at_least(1)] = None
    """Reject longer inputs, drop longer reasons; in tokens of the student."""
    student_tokenizer: Path | None = None
    """tokenizer.json to count with; default: words x 1.4."""
