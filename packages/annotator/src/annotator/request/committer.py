"""Group commit: answers of many requests are written to the store together, soon, and durably.

One task gathers what arrives within a few milliseconds, or a few hundred outcomes if they come
sooner, and writes them in one transaction, in a thread so that the loop goes on. An outcome counts
only once it is on the disk; nobody's slot is held until then.
"""

import asyncio
from collections.abc import Callable
from typing import Self

from annotator.request.answer import Answer, Failure
from annotator.request.store import ResponseStore

Landed = Callable[[BaseException | None], None]
_Pending = tuple[bytes, Answer | Failure, Landed]
_LARGEST = 1024
_BACKLOG = 4 * _LARGEST
# A commit costs a thread and a sync, whatever it holds: wait for company, but not long.
_ENOUGH = 256
_GATHER_S = 0.02


class Committer:
    """The only writer of a running store; use it as an async context manager."""

    def __init__(self, store: ResponseStore) -> None:
        self._store = store
        self._queue: asyncio.Queue[_Pending | None] = asyncio.Queue(_BACKLOG)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._work())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.flush()
        self._queue.put_nowait(None)
        await self._task

    async def submit(self, key: bytes, outcome: Answer | Failure, landed: Landed) -> None:
        """Queue an outcome; landed(None) is called once it is durable, landed(error) if it is not.

        Returns at once, unless the disk is so far behind that the backlog is full.
        """
        if self._task.done():
            self._task.result()
        await self._queue.put((key, outcome, landed))

    async def put(self, key: bytes, outcome: Answer | Failure) -> None:
        """Return once the outcome is durable. Raises StoreError."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def landed(error: BaseException | None) -> None:
            if done.done():
                return
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)

        await self.submit(key, outcome, landed)
        await done

    async def flush(self) -> None:
        """Return once all that was submitted has landed."""
        joined = asyncio.ensure_future(self._queue.join())
        await asyncio.wait({joined, self._task}, return_when=asyncio.FIRST_COMPLETED)
        if not joined.done():
            joined.cancel()
            self._task.result()  # it ended early, by an error that must not pass for success

    async def _work(self) -> None:
        while True:
            taken = [await self._queue.get()]
            if taken[0] is not None and self._queue.qsize() < _ENOUGH:
                await asyncio.sleep(_GATHER_S)
            while not self._queue.empty() and len(taken) < _LARGEST:
                taken.append(self._queue.get_nowait())
            group = [pending for pending in taken if pending is not None]
            if group:
                await self._commit(group)
            for _ in taken:
                self._queue.task_done()
            if len(group) < len(taken):
                return

    async def _commit(self, group: list[_Pending]) -> None:
        answers = [(key, outcome) for key, outcome, _ in group if isinstance(outcome, Answer)]
        failures = [(key, outcome) for key, outcome, _ in group if isinstance(outcome, Failure)]
        failed: BaseException | None = None
        try:
            await asyncio.to_thread(self._store.put, answers, failures)
        except Exception as error:  # noqa: BLE001  # every waiter must hear of it, whatever it was
            failed = error
        for _, _, landed in group:
            landed(failed)
