"""How much a provider takes: in a batch, and enqueued, by prompt tokens and by batches in an hour.

Prompt tokens of batches that have not ended count toward a pool of each model. Deciding is here,
waiting is for the engine.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from stepdistill.annotator.provider.profile import BatchProtocol
from stepdistill.annotator.settings.teacher import BatchSettings
from stepdistill.annotator.teacher.batch.part import ENDED, BatchPart

CREATIONS_PER_HOUR = 2_000
_HOUR_S = 3600.0
_FIRST_S, _CAP_S = 2.0, 600.0  # waits after refusals: they double


class BatchBounds(NamedTuple):
    """What one batch may hold."""

    requests: int
    bytes: int


# As their documents have it, with a margin of the bytes for what a protocol puts around requests.
# OpenAI's, 50,000 and 200 MB, are those of the options.
_BOUNDS: Mapping[BatchProtocol, BatchBounds] = {
    "anthropic": BatchBounds(100_000, 240_000_000),
    "gemini": BatchBounds(1_000_000, 1_900_000_000),  # a file; requests in the creation: 20 MB
    "openrouter": BatchBounds(5_000, 95_000_000),
    "together": BatchBounds(50_000, 95_000_000),
    "mistral": BatchBounds(1_000_000, 480_000_000),
}


def bounds_of(settings: BatchSettings, protocol: BatchProtocol | None) -> BatchBounds:
    """What a batch of a run may hold: as it asks for, and no more than the protocol takes."""
    wanted = BatchBounds(settings.max_requests, settings.max_bytes)
    most = _BOUNDS.get(protocol or "openai", wanted)
    return BatchBounds(min(wanted.requests, most.requests), min(wanted.bytes, most.bytes))


class Capacity:
    """What the server has room for. limit_tokens: of the user, None for none; the server may name a
    tighter one. clock: seconds since 1970, as in the ledger's stamps."""

    def __init__(self, limit_tokens: int | None, clock: Callable[[], float]) -> None:
        self.limit_tokens = limit_tokens
        self._clock = clock
        self._wait_s = _FIRST_S
        self._not_before = 0.0

    def has_room(self, part: BatchPart, parts: list[BatchPart]) -> bool:
        """Whether a batch for this part may be created now. parts: all that the ledger knows."""
        now = self._clock()
        if now < self._not_before or _created(parts, now) >= CREATIONS_PER_HOUR:
            return False
        if self.limit_tokens is None:
            return True
        return enqueued(part, parts) + part.tokens <= self.limit_tokens

    def refused(self, named: int | None, wait_s: float | None = None) -> None:
        """The teacher takes no more now: wait for longer each time, and for wait_s at least. named:
        the limit of its pool, where the teacher names it."""
        if named is not None:
            self.limit_tokens = min(named, self.limit_tokens or named)
        self._not_before = self._clock() + max(self._wait_s, wait_s or 0.0)
        self._wait_s = min(_CAP_S, 2 * self._wait_s)

    def freed(self) -> None:
        """A batch has ended: there is room, as far as one can tell."""
        self._wait_s, self._not_before = _FIRST_S, 0.0

    def is_too_large(self, part: BatchPart) -> bool:
        """Whether a part would not fit into an empty pool."""
        return self.limit_tokens is not None and part.tokens > self.limit_tokens


def enqueued(part: BatchPart, parts: Iterable[BatchPart]) -> int:
    """Tokens of the batches of the same model that have not ended."""
    return sum(
        other.tokens
        for other in parts
        if other.may_be_paid
        and other.remote not in ENDED
        and (other.model, other.endpoint) == (part.model, part.endpoint)
        and other.number != part.number
    )


def _created(parts: Iterable[BatchPart], now: float) -> int:
    """Batches created in the last hour, or tried to be, by whatever process."""
    stamps = (stamp for part in parts for stamp in part.history)
    return sum(stamp.state == "creating" and now - stamp.at < _HOUR_S for stamp in stamps)
