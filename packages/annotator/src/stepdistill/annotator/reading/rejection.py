"""A rejection: a row that gave no record, and why. A failed record is data."""

from dataclasses import dataclass
from typing import Literal

Stage = Literal["request", "response"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """One line of `rejects.jsonl`.

    reason: a short code, counted in the manifest. detail: for people.
    """

    id: str
    split: str
    index: int
    stage: Stage
    reason: str
    detail: str = ""
