"""When to ask again: backoff with jitter, no sooner than the teacher allows, within two budgets."""

import random
from dataclasses import dataclass

from stepdistill.annotator.errors import Transient


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how soon one request is tried again."""

    attempts: int = 8  # tries in all, >= 1
    first_s: float = 0.5  # the longest first wait; it doubles
    cap_s: float = 60.0
    longest_s: float = 600.0  # of all waits of one request together

    def wait_s(self, attempt: int, waited_s: float, error: Transient) -> float | None:
        """Seconds to wait after the attempt of this number (from 1), None to give up."""
        if attempt >= self.attempts:
            return None
        # Jitter: those that failed together must not come back together.
        wait = min(self.cap_s, self.first_s * 2 ** (attempt - 1)) * random.uniform(0.5, 1.0)
        asked = error.retry_after_s
        if asked is not None:
            wait = max(wait, asked + random.uniform(0, 0.1 * asked + 0.05))
        return wait if waited_s + wait <= self.longest_s else None
