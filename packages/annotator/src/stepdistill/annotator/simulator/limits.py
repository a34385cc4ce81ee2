"""Requests and tokens per minute as a teacher keeps them: sliding windows, told in headers."""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from stepdistill.common.errors import ConfigError

_MINUTE_S = 60.0
_LEAST_S = 1e-6  # a wait that is told is never 0, which would mean now


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedLimits:
    """Limits per minute, all above 0; None means no limit."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    window_s: float = _MINUTE_S  # over how long they are enforced: 1 makes 60 a minute 1 a second
    refused_count: bool = True  # a refused request counts as a request, as it does at OpenAI

    def __post_init__(self) -> None:
        """Raises ConfigError unless every limit and the window are above zero."""
        for value in (self.requests_per_minute, self.tokens_per_minute, self.window_s):
            if value is not None and value <= 0:
                raise ConfigError("limits: every limit and window_s must be above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Whether a request may pass, and what its reply tells of the limits."""

    headers: dict[str, str]
    over: str | None = None  # the limit that it broke, `requests` or `tokens`
    retry_after_s: float = 0.0  # the least to wait; 0 when it passes


class Limiter:
    """The limiter of one account: a window for each of its limits."""

    def __init__(self, limits: SimulatedLimits, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._refused_count = limits.refused_count
        named = {"requests": limits.requests_per_minute, "tokens": limits.tokens_per_minute}
        self._windows = {
            name: SlidingWindow(limit, limits.window_s) for name, limit in named.items() if limit
        }

    def admit(self, tokens: int) -> Admission:
        """Let a request of so many tokens pass, or say which limit it would break."""
        if not self._windows:
            return Admission(headers={})
        now = self._clock()
        costs = {name: 1 if name == "requests" else tokens for name in self._windows}
        waits = {name: window.wait_s(costs[name], now) for name, window in self._windows.items()}
        over = next((name for name, wait in waits.items() if wait > 0), None)
        for name, window in self._windows.items():
            # A refused request was no work: it may count as a request, never by its tokens.
            if over is None or (name == "requests" and self._refused_count):
                window.spend(costs[name], now)
        return Admission(headers=self._headers(now), over=over, retry_after_s=max(waits.values()))

    def _headers(self, now: float) -> dict[str, str]:
        headers: dict[str, str] = {}
        for name, window in self._windows.items():
            headers[f"x-ratelimit-limit-{name}"] = str(window.per_minute)
            headers[f"x-ratelimit-remaining-{name}"] = str(window.remaining(now))
            headers[f"x-ratelimit-reset-{name}"] = reset_text(window.reset_s(now))
        return headers


class SlidingWindow:
    """What was spent in the last window_s seconds; never more than the limit's share of it."""

    def __init__(self, per_minute: int, window_s: float) -> None:
        self.per_minute = per_minute
        self._window_s = window_s
        # At least one: a limit of 1 a minute over a second would let nothing through for ever.
        self._capacity = max(1, math.floor(per_minute * window_s / _MINUTE_S))
        self._spent: deque[tuple[float, int]] = deque()  # (when, how much), oldest first
        self._total = 0

    def wait_s(self, cost: int, now: float) -> float:
        """Seconds until so much may be spent, 0 for now; a whole window when it never may."""
        self._forget(now)
        # Larger than a short window holds, yet within the minute: it passes when nothing else did.
        alone = not self._spent and cost <= self.per_minute
        if alone or self._total + cost <= self._capacity:
            return 0.0
        excess = self._total + cost - self._capacity
        for time, amount in self._spent:
            excess -= amount
            if excess <= 0:
                # This one must leave first; whatever the rounding, it is still in the window.
                return max(_LEAST_S, time + self._window_s - now)
        return self._last_leaves_s(now)

    def spend(self, cost: int, now: float) -> None:
        """Count so much at this time."""
        self._spent.append((now, cost))
        self._total += cost

    def remaining(self, now: float) -> int:
        """What may still be spent now."""
        self._forget(now)
        return max(0, self._capacity - self._total)

    def reset_s(self, now: float) -> float:
        """Seconds until everything may be spent again."""
        return self._last_leaves_s(now) if self._spent else 0.0

    def _last_leaves_s(self, now: float) -> float:
        last = self._spent[-1][0] if self._spent else now
        return last + self._window_s - now

    def _forget(self, now: float) -> None:
        while self._spent and self._spent[0][0] <= now - self._window_s:
            self._total -= self._spent.popleft()[1]


def reset_text(seconds: float) -> str:
    """Seconds as OpenAI's reset headers write them: `120ms`, `1s`, `6m0s`."""
    milliseconds = math.ceil(round(seconds * 1000, 3))  # a difference of times is off by a hair
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds / 1000, 60)
    text = f"{rest:.3f}".rstrip("0").rstrip(".") + "s"
    return f"{int(minutes)}m{text}" if minutes else text
