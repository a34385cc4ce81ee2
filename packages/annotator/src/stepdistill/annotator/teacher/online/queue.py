"""What to ask next: new requests in order, and those that failed once their time has come.

A request that is in the queue, in flight or on its way to the store is not drawn a second time:
rows that ask the same share one answer. What was settled is remembered until the next group comes,
whose requests were looked up in the store after that.
"""

import heapq
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count

from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.store.answer import Failure

Groups = AsyncIterator[Iterable[Request]]
_MOST_WAITING = 2048


@dataclass(slots=True, kw_only=True)
class PendingRequest:
    """A request on its way."""

    request: Request
    tokens: int  # that it counts toward the teacher's limit
    attempt: int = 1  # the number of the try that comes next, or is under way
    spared: int = 0  # tries so far that do not count: nobody has worked on it
    waited_s: float = 0.0  # spent between tries so far, but for those while nobody got through
    in_flight: int = 0  # when it was sent, itself among them
    failed_at_s: float = 0.0  # the last time
    no_answers: int = 0  # whole replies so far in which there was no answer
    failure: Failure | None = None  # why it is not even sent
    goes_to: int = 0  # of the teacher's addresses, by its place among them
    failed_at: int | None = None  # likewise, the last time; it goes elsewhere, if it can


class RequestQueue:
    """The requests at hand: one group of them, what waits for another try, and no more.

    groups: the requests in order, some at a time, so that drawing one costs no turn of the loop.
    weigh: how many tokens a request counts toward the teacher's limit.
    most_waiting: while as many wait for another try, no new one is drawn: a teacher that fails must
    not bring all rows into memory.
    """

    def __init__(
        self,
        groups: Groups,
        weigh: Callable[[Request], int],
        clock: Callable[[], float],
        most_waiting: int = _MOST_WAITING,
    ) -> None:
        self._groups, self._weigh, self._clock = groups, weigh, clock
        self._most_waiting = most_waiting
        self._at_hand: Iterator[Request] = iter(())
        self._later: list[tuple[float, int, PendingRequest]] = []  # a heap, by the time it is due
        self._order = count()  # between those that are due at the same time
        self._known: set[bytes] = set()  # keys that are not drawn
        self._settled: set[bytes] = set()  # of these, the ones that are over

    def draw(self) -> PendingRequest | None:
        """The next request: one whose wait is over, else a new one from the group at hand."""
        if self._later and self._later[0][0] <= self._clock():
            return heapq.heappop(self._later)[2]
        if self._is_full:
            return None
        for request in self._at_hand:
            if request.key not in self._known:
                self._known.add(request.key)
                return PendingRequest(request=request, tokens=self._weigh(request))
        return None

    async def refill(self) -> bool:
        """Take the next group in hand; False when there is none, or too much is waiting. For when
        draw gave nothing; one call at a time."""
        if self._is_full:
            return False
        stored, self._settled = self._settled, set()
        group = await anext(self._groups, None)
        self._known -= stored
        self._at_hand = iter(group or ())
        return group is not None

    def put_off(self, pending: PendingRequest, wait_s: float) -> None:
        """Draw this request again, no sooner than in wait_s seconds."""
        pending.attempt += 1
        heapq.heappush(self._later, (self._clock() + wait_s, next(self._order), pending))

    def settle(self, pending: PendingRequest) -> None:
        """Nothing more is to be done for this request."""
        self._settled.add(pending.request.key)

    @property
    def _is_full(self) -> bool:
        return len(self._later) >= self._most_waiting

    @property
    def next_in_s(self) -> float | None:
        """Seconds until the next request that was put off is due, None if there is none."""
        return max(0.0, self._later[0][0] - self._clock()) if self._later else None
