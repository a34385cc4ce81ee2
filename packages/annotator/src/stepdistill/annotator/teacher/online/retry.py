"""When to ask again: backoff with jitter, no sooner than the teacher allows, within two budgets.

A request that was refused, or that found nobody listening, has not been tried: it waits like the
others, and only the time for which it waits while others get through counts.
"""

import random
from dataclasses import dataclass

from stepdistill.annotator.errors import Transient, Trouble


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how soon one request is tried again."""

    attempts: int = 8  # tries in all, >= 1
    first_s: float = 0.5  # the longest first wait; it doubles
    cap_s: float = 60.0
    longest_s: float = 600.0  # of all waits of one request together

    def wait_s(
        self,
        attempt: int,
        waited_s: float,
        error: Transient,
        *,
        spared: int = 0,
        is_usual: bool = False,
    ) -> float | None:
        """Seconds to wait after the attempt of this number (from 1), None to give up. spared: how
        many of these attempts, this one included, do not count. is_usual: some are refused at any
        time, and it is no reason to wait for longer each time."""
        if not is_spared(error) and attempt - spared >= self.attempts:
            return None
        # Jitter: those that failed together must not come back together.
        doubled = 1 if is_usual and error.trouble is Trouble.REFUSED else min(attempt - 1, 32)
        longest_s = min(self.cap_s, self.first_s * 2**doubled)
        wait = longest_s * random.uniform(0.5, 1.0)
        asked = error.retry_after_s
        if asked is not None:
            wait = max(wait, asked + random.uniform(0, 0.1 * asked + 0.05))
        return wait if waited_s + wait <= self.longest_s else None


def is_spared(error: Transient) -> bool:
    """Whether a failure is no try of its row: nobody has worked on it."""
    return error.trouble in (Trouble.REFUSED, Trouble.UNREACHED)
