"""What can be afforded, as the teachers ask it; who knows prices is further up, in `cost`."""

from typing import Protocol

from stepdistill.annotator.plan.key import Request


class OnlineReservations(Protocol):
    """Of a run with a ceiling. Amounts are the worst that a request can cost."""

    def reserve(self, request: Request) -> bool:
        """Promise a request its worst case; False where that cannot be, or not yet."""
        ...

    async def make_room(self, request: Request) -> bool:
        """Try to make it possible; False where something in flight has to come back first.

        Raises CeilingReached where nothing can.
        """
        ...
