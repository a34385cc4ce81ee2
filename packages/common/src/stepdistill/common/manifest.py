"""The manifest of one split's shards: what they hold and what they came from. Written last."""

from pydantic import BaseModel, ConfigDict, Field

from stepdistill.common.task import LabelSpec, StudentSpec

SCHEMA_VERSION = 1
MANIFEST_NAME = "manifest.json"
REJECTS_NAME = "rejects.jsonl"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Counts(_Part):
    """rows = records + the sum of rejected: every row ends in exactly one state."""

    rows: int
    records: int
    rejected: dict[str, int]


class ShardEntry(_Part):
    """One shard file, relative to the manifest's folder."""

    file: str
    rows: int
    bytes: int
    sha256: str


class Hashes(_Part):
    """sha256 of what the shards were made from."""

    task: str
    prompts: str
    data: str


class TeacherEntry(_Part):
    """Who was asked: the model's name and the host it is served from."""

    model: str
    endpoint: str


class ReaderEntry(_Part):
    """Which reader turned answers into labels and rationales."""

    name: str
    version: int


class Rationales(_Part):
    """records: how many have one. asked_rate: the share of records that was asked for.

    dropped: reason -> rationales that a filter, or the rate, took from their records.
    """

    records: int
    asked_rate: float = 1.0
    dropped: dict[str, int] = {}


class TokenTotals(_Part):
    """Summed over the answers of all rows; rows that share an answer count it each."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0


class CostEntry(_Part):
    """What those answers cost. usd is None when the model has no known price."""

    usd: float | None
    price: str


class Manifest(_Part):
    """Holds no time and no path of a machine: same inputs, same bytes."""

    schema_version: int = Field(default=SCHEMA_VERSION)
    task: str
    split: str
    counts: Counts
    shards: list[ShardEntry]
    hashes: Hashes
    fingerprint: str
    teacher: TeacherEntry
    reader: ReaderEntry
    rationales: Rationales | None = None
    answers: int
    tokens: TokenTotals
    cost: CostEntry
    label: LabelSpec
    student: StudentSpec
