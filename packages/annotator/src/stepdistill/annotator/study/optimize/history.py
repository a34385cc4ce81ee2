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


class HistoryLine(BaseModel):
    """One template of the start, or one proposal."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    iteration: int  # 0: the templates of the start
    candidate: int  # number in its iteration, from 0
    # Asked every row, stopped by the race, or refused before it cost anything.
    state: Literal["scored", "stopped", "refused"]
    template: str | None = None  # id; None: refused
    reason: str | None = None  # why it was refused
    detail: str | None = None
    rows: int = 0  # that were asked
    correct: int = 0  # rows
    expected: float | None = None  # share of right rows; of rows that were not asked, expected ones
    best: str | None = None  # the best template so far, after this iteration
    best_score: float | None = None  # its share of right rows
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
        wrong = error.errors()[0]["msg"]
        raise ConfigError(f"{path}: not a history of annotate optimize ({wrong})") from None
