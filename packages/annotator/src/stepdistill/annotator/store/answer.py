"""An answer as it is kept in the store, and a failure beside it."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

Mode = Literal["online", "batch", "import"]


class Usage(NamedTuple):
    """Tokens as the provider counted them.

    cached (found in its cache) and written (put there) are inside prompt, reasoning inside
    completion.
    """

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    reasoning: int = 0
    written: int = 0


class Answer(NamedTuple):
    """What the teacher said.

    asked_at: seconds since 1970, UTC. limit: the longest answer asked for, in tokens.
    finish: `stop` is a good answer; `length` and `content_filter` are kept and paid for too.
    """

    text: str
    finish: str
    model: str
    usage: Usage
    mode: Mode
    asked_at: int
    limit: int | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a request has no answer: the reason that its row is rejected with, and the detail."""

    reason: str
    detail: str
