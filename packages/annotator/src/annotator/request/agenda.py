"""What to ask next: new requests in order, and those that failed once their time has come.

A request that is on the agenda, in flight or on its way to the store is not drawn a second time:
rows that ask the same share one answer.
"""

import heapq
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from itertools import count

from annotator.request.key import Request


@dataclass(slots=True, kw_only=True)
class Ticket:
    """A request on its way. attempt: from 1. waited_s: spent between tries so far."""

    request: Request
    tokens: int
    attempt: int = 1
    waited_s: float = 0.0


class Agenda:
    """Draws lazily from the requests; holds only what waits for another try.

    weigh: how many tokens a request counts toward the teacher's limit.
    """

    def __init__(
        self,
        requests: AsyncIterator[Request],
        weigh: Callable[[Request], int],
        clock: Callable[[], float],
    ) -> None:
        self._requests, self._weigh, self._clock = requests, weigh, clock
        self._later: list[tuple[float, int, Ticket]] = []
        self._order = count()
        self._known: set[bytes] = set()
        self._exhausted = False

    async def draw(self) -> Ticket | None:
        """The next ticket: one whose wait is over, else a new one; None when there is neither."""
        if self._later and self._later[0][0] <= self._clock():
            return heapq.heappop(self._later)[2]
        while not self._exhausted:
            request = await anext(self._requests, None)
            if request is None:
                self._exhausted = True
            elif request.key not in self._known:
                self._known.add(request.key)
                return Ticket(request=request, tokens=self._weigh(request))
        return None

    def put_off(self, ticket: Ticket, wait_s: float) -> None:
        """Draw this ticket again, no sooner than in wait_s seconds."""
        ticket.attempt += 1
        ticket.waited_s += wait_s
        heapq.heappush(self._later, (self._clock() + wait_s, next(self._order), ticket))

    def settle(self, ticket: Ticket) -> None:
        """Nothing more is to be done for this ticket's request."""
        self._known.discard(ticket.request.key)

    @property
    def next_in_s(self) -> float | None:
        """Seconds until the next put-off ticket is due, None if there is none."""
        return max(0.0, self._later[0][0] - self._clock()) if self._later else None
