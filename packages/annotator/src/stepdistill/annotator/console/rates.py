"""How fast a run goes, what it costs and how long it takes: in words, from its progress."""

import time
from collections import deque
from collections.abc import Callable

from stepdistill.annotator.teacher.progress import Pause, Progress

_OVER_S = 30.0
_AT_LEAST_S = 1.0
CostMeter = Callable[[Progress], float | None]


class ProgressRates:
    """Rates over the last half minute. `look` takes them; the other methods put them in words.

    spent_usd: what a run's answers cost so far, None where nobody knows.
    """

    def __init__(
        self, progress: Progress, spent_usd: CostMeter, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.progress, self._spent_usd, self._clock = progress, spent_usd, clock
        self._seen: deque[tuple[float, tuple[int, ...]]] = deque()
        self._pause: Pause | None = None
        self._paused_at_s = 0.0
        self.look()

    def look(self) -> None:
        """Take the counts of now."""
        now, progress = self._clock(), self.progress
        tokens = progress.prompt_tokens + progress.completion_tokens
        sent = (progress.sent, progress.sent_tokens)
        counts = (*sent, progress.asked, tokens, progress.settled)
        self._seen.append((now, counts))
        while len(self._seen) > 2 and now - self._seen[1][0] >= _OVER_S:
            self._seen.popleft()
        if progress.pause is not self._pause:
            self._pause, self._paused_at_s = progress.pause, now

    def speed(self) -> list[str]:
        """Answers and tokens; what was sent, against its limits where there are any; what is in
        flight."""
        progress = self.progress
        sent, sent_tokens, asked, tokens, _ = self._per_s()
        told = [f"{asked:,.0f} answers/s" if asked >= 1 else f"{short(asked * 60)} answers/min"]
        if progress.requests_limit is not None:
            of = short(progress.requests_limit)
            told.append(f"{short(sent * 60)} of {of} requests/min")
        if progress.tokens_limit is None:
            told.append(f"{short(tokens * 60)} tokens/min")
        else:
            of = short(progress.tokens_limit)
            told.append(f"{short(sent_tokens * 60)} of {of} tokens/min")
        return [*told, f"{progress.in_flight:,} in flight"]

    def outcomes(self) -> list[str]:
        """What was stored before, what failed, what is tried again and why."""
        progress = self.progress
        told = [f"{progress.cached:,} stored before"] if progress.cached else []
        told += [f"{progress.failed:,} failed"] if progress.failed else []
        causes = [f"{n:,} x {cause}" for cause, n in sorted(progress.retries.items())]
        return [*told, f"tried again: {', '.join(causes)}"] if causes else told

    def money(self) -> list[str]:
        """What was spent, and what the whole run will cost at that rate."""
        spent = self._spent_usd(self.progress)
        if not spent:
            return []
        asked, left = self.progress.asked, self._n_left()
        if left is None:
            return [f"{spent:.4f} USD"]
        return [f"{spent:.4f} USD of about {spent * (1 + left / max(1, asked)):.4f}"]

    def trouble(self) -> list[str]:
        """Why the run is paused and when it looks again."""
        if self._pause is None:
            return []
        left_s = self._pause.seconds - (self._clock() - self._paused_at_s)
        when = f"one probe in {duration(left_s)}" if left_s > 0 else "one probe is on its way"
        vain = f", {self._pause.probes} in vain" if self._pause.probes else ""
        return [f"PAUSED: the teacher fails ({self._pause.cause}): {when}{vain}"]

    def left(self) -> list[str]:
        """How long what is left takes."""
        n_left, settled = self._n_left(), self._per_s()[-1]
        return [f"{duration(n_left / settled)} left"] if n_left and settled else []

    def line(self) -> str:
        """All of it in one line."""
        total = self.progress.total
        done = f"{self.progress.settled:,}{f' of {total:,}' if total is not None else ''} requests"
        told = [done, *self.speed(), *self.outcomes(), *self.money(), *self.left()]
        return ", ".join([*told, *self.trouble()])

    def _n_left(self) -> int | None:
        total = self.progress.total
        return None if total is None else max(0, total - self.progress.settled)

    def _per_s(self) -> tuple[float, ...]:
        (first_s, first), (last_s, last) = self._seen[0], self._seen[-1]
        elapsed_s = max(_AT_LEAST_S, last_s - first_s)
        return tuple((now - before) / elapsed_s for now, before in zip(last, first, strict=True))


def short(number: float) -> str:
    """A number as one reads it at a glance: 950, 58.2k, 30M."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= max(size, 10_000):
            return f"{number / size:,.1f}".removesuffix(".0") + unit
    return f"{number:,.0f}"


def duration(seconds: float) -> str:
    """Seconds in words: 8 s, 12 min 30 s, 3 h 05 min."""
    minutes, left_s = divmod(round(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {left_s:02} s" if minutes else f"{left_s} s"
