"""The manifest of one split's shards: what they hold and what they came from. Written last.

It is the public format of a folder of shards, with the records (`record.py`). It holds no time and
no path of a machine, so the same inputs give the same bytes. A sha256 is 64 hex digits.
"""

from pydantic import BaseModel, ConfigDict, Field

from stepdistill.common.task import ColumnSpec, LabelSpec, StudentSpec

SCHEMA_VERSION = 1  # raised when a reader of an older version would misread the fields
MANIFEST_NAME = "manifest.json"
REJECTS_NAME = "rejects.jsonl"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Counts(_Part):
    """How many rows ended how: every row is a record or rejected for one reason."""

    rows: int  # of the split that were to be done; records + the sum of rejected
    records: int  # lines of all shards
    rejected: dict[str, int]  # reason -> lines of rejects.jsonl, e.g. {"no_answer": 3}


class ShardEntry(_Part):
    """One shard file."""

    file: str  # its name in the manifest's folder, e.g. shard-00000.jsonl
    rows: int  # records, one a line
    bytes: int
    sha256: str  # of the file


class Hashes(_Part):
    """What the shards were made from, as sha256."""

    task: str  # of task.yaml's content
    prompts: str  # of the mix, the templates it uses and the model's own body fields
    data: str  # of the file of rows; of a hub dataset's or the generator's name and split


class TeacherEntry(_Part):
    """Who was asked."""

    model: str  # as given to --teacher
    endpoint: str  # host, and port but for this machine's own (`localhost`)


class ReaderEntry(_Part):
    """Which reader turned answers into labels and rationales."""

    name: str  # `verdict` or `original`
    version: int  # raised when it reads some answer in another way


class Rationales(_Part):
    """Which records have the teacher's reasons."""

    records: int  # that have some
    asked_rate: float = 1.0  # 0..1, the share of all records that was to have some
    dropped: dict[str, int] = {}  # reason -> rationales taken from a record: a filter, or the rate


class TokenTotals(_Part):
    """Tokens as the teacher counted them, summed over `Manifest.answers`; 0 where it did not."""

    prompt: int = 0
    completion: int = 0  # reasoning included
    cached: int = 0  # of the prompt's: read from the teacher's cache
    # Answers whose tokens the teacher did not say, or not believably; left out where there is none.
    uncounted: int = Field(default=0, exclude_if=lambda answers: answers == 0)


class CutOff(_Part):
    """Answers that were cut off: more room (`--max-tokens`) would have let them go on."""

    answers: int
    limit: int | None  # the least that one of them was cut off at, in tokens; None: not known
    completion: int  # tokens of these answers
    reasoning: int  # that went into thoughts, of these tokens


class JudgementsEntry(_Part):
    """People's judgements that records were made with."""

    sha256: str  # of the file
    golds: int  # records whose gold label is a person's


class CostEntry(_Part):
    """What `Manifest.answers` cost, on the days on which they were asked."""

    usd: float | None  # >= 0, rounded to 1e-6; None where the model has no known price
    price: str  # where the price is from; why there is none
    # What the provider says in its replies; left out unless it says so of every answer.
    reported_usd: float | None = Field(default=None, ge=0, exclude_if=lambda usd: usd is None)


class RowShardEntry(_Part):
    """Which of the rows these are, where several runs shared them, and what joining takes: all that
    cannot be added up from the other fields."""

    number: int  # from 0, in the order of the rows
    of: int  # how many there are
    whole: str  # the fingerprint of the shards of all rows
    rows_per_shard: int
    # Reasons are kept by rate once all rows are there: until then none is taken from a record. The
    # lowest numbers between 0 and 1 keep theirs, drawn by this seed and the row's id.
    seed: int
    asked_below: float  # reasons with a template of their own: of rows below this number
    usd: str | None  # as `CostEntry.usd`, not rounded
    reported: int  # of the answers, with what the provider says that they cost
    reported_usd: float  # what it says of these, together


class Manifest(_Part):
    """The content of `manifest.json`. Its existence proves that the folder is complete."""

    schema_version: int = SCHEMA_VERSION
    task: str  # its name
    split: str  # e.g. train
    counts: Counts
    shards: list[ShardEntry]  # in row order, which is the dataset's
    hashes: Hashes
    fingerprint: str  # sha256 of all that decides what the shards hold, the answers excepted
    teacher: TeacherEntry
    reader: ReaderEntry
    rationales: Rationales | None = None  # None in shards from before it was counted
    answers: int  # that the rows were read from; one that several rows share counts for each
    tokens: TokenTotals
    cut_off: CutOff | None = None  # of these answers; left out where none was
    cost: CostEntry
    label: LabelSpec  # what the trainer needs of task.yaml,
    student: StudentSpec  # so that it does without the prompts folder
    # Left out where rows have what the student reads under the placeholders' own names.
    columns: ColumnSpec | None = Field(default=None, exclude_if=lambda found: found is None)
    # Left out where these are all rows.
    row_shard: RowShardEntry | None = Field(default=None, exclude_if=lambda found: found is None)
    # Left out where none were asked for.
    judgements: JudgementsEntry | None = Field(default=None, exclude_if=lambda found: found is None)
