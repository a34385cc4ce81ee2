"""When to ask again: backoff with jitter, no sooner than the teacher said, within two budgets."""

import random
from dataclasses import dataclass

from stepdistill.annotator.errors import Transient


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """attempts: tries in all. longest_s: the budget for waiting, per request."""

    attempts: int = 8
    first_s: float = 0.5
    cap_s: float = 60.0
    longest_s: float = 600.0

    def wait_s(self, attempt: int, waited_s: float, error: Transient) -> float | None:
        """Seconds to wait after the attempt of this number (from 1), None to give up."""
        if attempt >= self.attempts:
            return None
        backoff = min(self.cap_s, self.first_s * 2 ** (attempt - 1)) * random.uniform(0.5, 1.0)
        asked = error.retry_after_s
        wait = (
            backoff
            if asked is None
            else max(backoff, asked + random.uniform(0, 0.1 * asked + 0.05))
        )
        return wait if waited_s + wait <= self.longest_s else None
