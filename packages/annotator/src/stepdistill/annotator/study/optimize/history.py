"""What a search has tried, line by line: `history.jsonl`.

The file follows from the store, so it is written whole, after every iteration, and a kill leaves
the one before. What a replay has not reached again yet stays in it.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from stepdistill.common.errors import ConfigError
from stepdistill.common.whole_file import write_whole

HISTORY_NAME = "history.jsonl"
State = Literal["scored", "stopped", "refused"]


class HistoryLine(BaseModel):
    """One template of the start (iteration 0), or one proposal.

    state: `scored` on all rows, `stopped` by the race, or `refused` before it cost anything, and
    why. expected: the share of right rows, where some were not asked what is to be expected.
    best, best_score: the best so far, after this iteration, and its share of right rows.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    iteration: int
    candidate: int
    state: State
    template: str | None = None
    reason: str | None = None
    detail: str | None = None
    rows: int = 0
    correct: int = 0
    expected: float | None = None
    best: str | None = None
    best_score: float | None = None
    text: str = ""


def write_history(path: Path, lines: Iterable[HistoryLine], *, final: bool = False) -> None:
    """Replace the file, unless it says the same and more; final: even then."""
    content = "".join(f"{line.model_dump_json(exclude_none=True)}\n" for line in lines).encode()
    if not final and path.is_file() and path.read_bytes().startswith(content):
        return
    write_whole(path, content)


def read_history(path: Path) -> list[HistoryLine]:
    """The lines of a file. Raises ConfigError."""
    try:
        return [HistoryLine.model_validate_json(line) for line in path.read_bytes().splitlines()]
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except ValidationError as error:
        said = error.errors()[0]["msg"]
        raise ConfigError(f"{path}: not a history of annotate optimize ({said})") from None
