"""An answer as it is kept in the store, and a failure beside it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Mode = Literal["online", "batch", "import"]


class Usage(BaseModel):
    """Tokens as the provider counted them. cached is inside prompt, reasoning inside completion."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    reasoning: int = 0


class Answer(BaseModel):
    """What the teacher said.

    asked_at: seconds since 1970, UTC. limit: the longest answer asked for, in tokens.
    finish: `stop` is a good answer; `length` and `content_filter` are kept and paid for too.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str
    finish: str
    model: str
    usage: Usage
    mode: Mode
    asked_at: int
    limit: int | None = None
    request_id: str | None = None


class Failure(BaseModel):
    """Why a request has no answer: the reason that its row is rejected with, and the detail."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: str
    detail: str
