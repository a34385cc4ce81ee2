"""Requests and tokens per minute: spread evenly, on short windows, at the teacher's own count.

Each limit is a bucket that starts empty, fills steadily and holds half a second's worth at most, so
that no minute sees more than its allowance: providers enforce shorter windows than they name. The
engine asks for one request at a time and in order, so a long prompt waits its turn and then goes;
it never starves behind short ones. Deciding is here, waiting is the engine's.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from stepdistill.annotator.teacher.spec import RateLimits
from stepdistill.common.errors import ConfigError

_BURST_S = 0.5
# A little below the limit: two clocks never agree, and a 429 costs more than a hundredth.
_SHARE = 0.99
# As OpenAI, Anthropic and Mistral name them. Anthropic's of all tokens is that of prompts and that
# of answers together; where only the one of prompts is told, it bounds what one request counts.
_REQUESTS = (
    "x-ratelimit-limit-requests",
    "anthropic-ratelimit-requests-limit",
    "x-ratelimit-limit-req-minute",
)
_TOKENS = (
    "x-ratelimit-limit-tokens",
    "anthropic-ratelimit-tokens-limit",
    "anthropic-ratelimit-input-tokens-limit",
    "x-ratelimit-limit-tokens-minute",
)
Clock = Callable[[], float]


class TokenBucket:
    """One limit: `per_minute` flows in steadily, up to half a second's worth (or burst_s).

    A demand larger than that goes once the bucket is full and leaves a debt, which later demands
    wait out: no minute sees more than its allowance and one such demand; nothing waits for ever.
    """

    def __init__(
        self, per_minute: float | None, clock: Clock, *, burst_s: float = _BURST_S
    ) -> None:
        self._clock, self._burst_s = clock, burst_s
        self._at_s = clock()
        self._per_s = self._room = self._level = 0.0
        self.per_minute: float | None = None  # None: no limit
        if per_minute is not None:
            self.resize(per_minute)

    def resize(self, per_minute: float) -> None:
        """Take a new limit, e.g. as the teacher's headers name it."""
        self._fill()
        self.per_minute = per_minute
        self._per_s = per_minute / 60 * _SHARE
        self._room = max(1.0, self._per_s * self._burst_s)
        self._level = min(self._level, self._room)

    def wait_s(self, amount: float) -> float:
        """Seconds until this amount may go; 0 if it may go now."""
        if self.per_minute is None:
            return 0.0
        self._fill()
        missing = min(amount, self._room) - self._level
        return missing / self._per_s if missing > 1e-9 else 0.0  # less is the float's own error

    def take(self, amount: float) -> None:
        """Spend an amount."""
        if self.per_minute is not None:
            self._level -= amount

    def drain(self) -> None:
        """Let what has flowed in go to waste."""
        self._level = min(self._level, 0.0)

    def _fill(self) -> None:
        now = self._clock()
        self._level = min(self._room, self._level + (now - self._at_s) * self._per_s)
        self._at_s = now


class RateLimiter:
    """Both limits of one model at one teacher."""

    def __init__(self, limits: RateLimits, clock: Clock) -> None:
        self._own = limits
        self._heard: tuple[str | None, str | None] = (None, None)
        self.requests = TokenBucket(limits.shared(limits.requests_per_minute), clock)
        self.tokens = TokenBucket(limits.shared(limits.tokens_per_minute), clock)

    def wait_s(self, tokens: int) -> float:
        """Seconds until a request of this many tokens may go. Raises ConfigError: it never may."""
        limit = self.tokens.per_minute
        if limit is not None and tokens > limit:
            raise ConfigError(
                f"one request counts {tokens:,} tokens and the limit is {limit:,.0f} per minute: "
                "lower --max-tokens or raise --tokens-per-minute"
            )
        return max(self.requests.wait_s(1), self.tokens.wait_s(tokens))

    def take(self, tokens: int) -> None:
        """A request of this many tokens goes now."""
        self.requests.take(1)
        self.tokens.take(tokens)

    def settle(self, reserved: int, used: int) -> None:
        """The prompt was longer than estimated: the teacher counted all of it, so do we."""
        if used > reserved:
            self.tokens.take(used - reserved)

    def take_share(self, share: float) -> None:
        """Have another part of the limits from now on, as others come and go."""
        self._own = replace(self._own, share=share)
        self._resize()

    @property
    def is_named(self) -> bool:
        """Whether there is a limit: the user's, or one that the teacher has named."""
        return (self.requests.per_minute or self.tokens.per_minute) is not None

    def heed(self, headers: Mapping[str, str]) -> bool:
        """Take the limits that the teacher names, where they are tighter than the user's own. True
        when that changed something."""
        requests, tokens = self._heard  # of a reply that names none, as errors, the last holds
        named = (_first(headers, _REQUESTS) or requests, _first(headers, _TOKENS) or tokens)
        if named == self._heard:
            return False
        self._heard = named
        self._resize()
        return True

    def _resize(self) -> None:
        """Have our part of the tighter of each limit: the user's own, and what was heard last."""
        own, (requests, tokens) = self._own, self._heard
        _tighten(self.requests, own.shared(_tighter(requests, own.requests_per_minute)))
        _tighten(self.tokens, own.shared(_tighter(tokens, own.tokens_per_minute)))


def _first(headers: Mapping[str, str], names: Iterable[str]) -> str | None:
    return next(filter(None, map(headers.get, names)), None)


def _tighter(named: str | None, own: float | None) -> float | None:
    """Of what the teacher names and the user's own; None where there is neither."""
    try:
        return min(float(named or ""), own or math.inf)
    except ValueError:  # none is named, or nothing that is a number
        return own


def _tighten(bucket: TokenBucket, limit: float | None) -> None:
    if limit is not None and limit > 0 and limit != bucket.per_minute:
        bucket.resize(limit)
