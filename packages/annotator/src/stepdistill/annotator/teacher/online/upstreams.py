"""All upstreams of a teacher: which one a request goes to, and whether any is left."""

import asyncio
import math
import time
from collections.abc import Callable, Iterable

from stepdistill.annotator.errors import TeacherError
from stepdistill.annotator.teacher.online.queue import PendingRequest
from stepdistill.annotator.teacher.online.upstream import Upstream

_LOOK_EVERY_S = 0.5


class Upstreams:
    """One or more. The one with the least load goes first."""

    def __init__(self, all_: Iterable[Upstream]) -> None:
        self.all = tuple(all_)
        self._only = self.all[0] if len(self.all) == 1 else None

    @property
    def level(self) -> int:
        """Requests that may be in flight now, together."""
        if self._only is not None:
            return self._only.window.level
        return sum(each.window.level for each in self.all)

    @property
    def tokens_limit(self) -> float | None:
        """The most tokens that may be sent in a minute to one of them; None: no limit."""
        if self._only is not None:
            return self._only.limiter.tokens.per_minute
        limits = [each.limiter.tokens.per_minute for each in self.all]
        return None if None in limits else max(filter(None, limits))

    @property
    def answered_at_s(self) -> float:
        """When any has answered, the last time."""
        return max(each.breaker.answered_at_s for each in self.all)

    @property
    def are_all_out(self) -> bool:
        """Whether none is in service."""
        return all(each.is_out for each in self.all)

    async def watch(self, leave_out: Callable[[Upstream, TeacherError, float], None]) -> None:
        """Take those out of service from which nothing comes any more, while others are there."""
        while self._only is None:
            await asyncio.sleep(_LOOK_EVERY_S)
            usual_s = max(each.usual_s for each in self.all)
            is_last = not any(each.in_flight for each in self.all if not each.is_out)
            for each in self.all:
                if each.is_out and is_last and self.has_others(each):
                    each.end_look()
                error = None if each.is_out else each.silence(usual_s)
                if error is not None and self.has_others(each):
                    each.give_up()
                    leave_out(each, error, time.monotonic())

    def free_for(self, pending: PendingRequest) -> Upstream | None:
        """Where this request may go now, None if it has to wait. Raises ConfigError if it never
        may."""
        if self._only is not None:  # as many workers as its window is wide: it has room
            return None if self._only.wait_s(pending.tokens) else self._only
        free = [each for each in self._open_to(pending) if not each.wait_s(pending.tokens)]
        # Rather not where it has failed: but where nobody else has room, others would wait for it.
        failed_at = pending.failed_at
        return min(free, key=lambda each: (each.place == failed_at, each.load), default=None)

    def wait_s(self, pending: PendingRequest) -> float:
        """Seconds until it may, infinite until a reply comes."""
        if self._only is not None:
            return self._only.wait_s(pending.tokens)
        waits = (each.wait_s(pending.tokens) for each in self._open_to(pending))
        return min(waits, default=math.inf)

    def _open_to(self, pending: PendingRequest) -> list[Upstream]:
        """Those with room for it; not where it has failed, if that is out of service or has never
        answered, as long as another is in service."""
        tokens, largest = pending.tokens, self.tokens_limit
        failed_at = None if pending.failed_at is None else self.all[pending.failed_at]
        shunned = None
        if failed_at is not None and (failed_at.is_out or not failed_at.has_answered):
            shunned = failed_at if self.has_others(failed_at) else None
        found: list[Upstream] = []
        for each in self.all:
            limit = each.limiter.tokens.per_minute
            fits = limit is None or tokens <= limit or limit == largest
            if each is not shunned and each.has_room and fits:
                found.append(each)
        return found

    def has_others(self, upstream: Upstream) -> bool:
        """Whether another is in service."""
        return any(not each.is_out for each in self.all if each is not upstream)

    def doubts(self, upstream: Upstream) -> bool:
        """Whether what it refuses is worth asking another: it has never answered."""
        return not upstream.has_answered and self.has_others(upstream)

    def can_do_without(self, upstream: Upstream) -> bool:
        """Whether another is there, or may come back: else what fails there ends the run."""
        return any(each.stop is None for each in self.all if each is not upstream)
