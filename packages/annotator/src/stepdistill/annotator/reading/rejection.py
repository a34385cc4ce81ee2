"""A rejection: a row that gave no record, and why. A failed record is data."""

from dataclasses import asdict, dataclass
from typing import Literal

Stage = Literal["request", "response"]
DETAIL, ANSWER = 300, 200  # characters of each that are kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """One line of `rejects.jsonl`.

    reason: a short code, counted in the manifest. detail: for people; the teacher's own words where
    it has said something. key: of the request that it is about. answer: how the answer to it
    begins, None where there is none.
    """

    id: str
    split: str
    index: int
    stage: Stage
    reason: str
    detail: str = ""
    key: str | None = None
    answer: str | None = None

    @property
    def line(self) -> dict[str, object]:
        """Its fields, without those that are None."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def shortened(text: str, most: int) -> str:
    """The start of a text, as one line of at most so many characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 3]}..."
