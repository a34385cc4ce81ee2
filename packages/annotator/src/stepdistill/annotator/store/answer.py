"""An answer as it is kept in the store, and a failure beside it."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

Mode = Literal["online", "batch", "import"]


class Usage(NamedTuple):
    """Tokens of one answer as the provider counted them, each >= 0; 0 where it counts none."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0  # found in the provider's cache: inside prompt
    reasoning: int = 0  # inside completion
    written: int = 0  # put into the provider's cache: inside prompt


class Answer(NamedTuple):
    """The teacher's answer to one request. The order of the fields is the order on the disk."""

    text: str
    finish: str  # `stop` is a good answer; `length`, `content_filter` are kept and paid for too
    model: str  # as the teacher names it
    usage: Usage
    mode: Mode  # how it was asked; it decides the price
    asked_at: int  # seconds since 1970, UTC
    limit: int | None = None  # the longest answer asked for, in tokens
    request_id: str | None = None  # the provider's own
    thoughts: str | None = None  # what the provider keeps apart as `reasoning_content`


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a request has no answer."""

    reason: str  # that its row is rejected with, e.g. `bad_request`
    detail: str
