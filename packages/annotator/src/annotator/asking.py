"""Ask: what the store cannot answer goes to the teacher, and what comes back is stored.

Ctrl-C and SIGTERM end it early, without loss.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import AsyncExitStack, contextmanager

from annotator.config import RunConfig
from annotator.errors import Interrupted, RunStopped
from annotator.planning import make_door, uses_simulator
from annotator.request.committer import Committer
from annotator.request.key import Request
from annotator.request.online import OnlineTeacher
from annotator.request.plan import Plan
from annotator.request.progress import Progress
from annotator.request.store import ResponseStore
from annotator.screen import Screen
from annotator.simulator.rehearsal import rehearse
from annotator.simulator.server import Simulator

_PAUSE_EVERY = 256
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


async def ask(
    config: RunConfig, plans: list[Plan], store: ResponseStore, screen: Screen
) -> Progress:
    """Settle every request. Raises RunStopped, StoreError, Interrupted; answers are stored."""
    progress = Progress(total=_n_requests(plans))
    async with AsyncExitStack() as stack:
        simulator_url = None
        if uses_simulator(config):
            simulator = await stack.enter_async_context(Simulator(rehearse(plans)))
            simulator_url = simulator.base_url
        committer = await stack.enter_async_context(Committer(store))
        door = make_door(config, simulator_url)
        teacher = await stack.enter_async_context(OnlineTeacher(door, committer, progress))
        await stack.enter_async_context(screen.asking(progress))
        with _stopped_by_signals(teacher.stop) as received:
            try:
                await teacher.ask_all(_missing(plans, store, progress))
            except RunStopped as error:
                error.args = (f"{error}; {progress.asked} answers were stored by this run",)
                raise
        if received:
            raise Interrupted(
                f"stopped by {received[0].name}: {progress.asked} answers were stored by this run; "
                "the same command goes on from there"
            )
    return progress


async def _missing(
    plans: list[Plan], store: ResponseStore, progress: Progress
) -> AsyncIterator[Request]:
    seen = 0
    for plan in plans:
        for planned in plan.rows():
            for request in planned.requests:
                seen += 1
                if request.key in store:
                    progress.cached += 1
                else:
                    yield request
                if seen % _PAUSE_EVERY == 0:
                    # A long stretch of stored rows must not keep the loop from its sockets.
                    await asyncio.sleep(0)


def _n_requests(plans: list[Plan]) -> int | None:
    counts = [plan.n_rows for plan in plans]
    if any(plan.asks_twice for plan in plans) or None in counts:
        return None
    return sum(count for count in counts if count is not None)


@contextmanager
def _stopped_by_signals(stop: Callable[[], None]) -> Generator[list[signal.Signals]]:
    """The first signal stops gently, the second at once; yields the signals that came."""
    received: list[signal.Signals] = []
    loop = asyncio.get_running_loop()

    def on_signal(number: signal.Signals) -> None:
        if received:
            os._exit(130)
        received.append(number)
        stop()

    for number in _SIGNALS:
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield received
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
