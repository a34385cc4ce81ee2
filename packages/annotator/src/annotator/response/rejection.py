"""A rejection: a row that gave no record, and why. A failed record is data."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Stage = Literal["request", "response"]


class Rejection(BaseModel):
    """One line of `rejects.jsonl`.

    reason: a short code, counted in the manifest. detail: for people.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    split: str
    index: int
    stage: Stage
    reason: str
    detail: str = ""
