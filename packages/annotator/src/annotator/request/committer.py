"""Group commit: answers of many requests are written to the store together, soon, and durably.

One task collects what arrives while the last commit was being synced and writes it in one
transaction, in a thread so that the loop goes on. `put` returns once its answer is on the disk.
"""

import asyncio
from typing import Self

from annotator.request.answer import Answer, Failure
from annotator.request.store import ResponseStore

_Pending = tuple[bytes, Answer | Failure, "asyncio.Future[None]"]
_LARGEST = 512


class Committer:
    """The only writer of a running store; use it as an async context manager."""

    def __init__(self, store: ResponseStore) -> None:
        self._store = store
        self._queue: asyncio.Queue[_Pending | None] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._work())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._queue.put_nowait(None)
        await self._task

    async def put(self, key: bytes, outcome: Answer | Failure) -> None:
        """Return once the outcome is durable. Raises StoreError."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait((key, outcome, done))
        await done

    async def _work(self) -> None:
        while True:
            batch = [await self._queue.get()]
            while not self._queue.empty() and len(batch) < _LARGEST:
                batch.append(self._queue.get_nowait())
            group = [pending for pending in batch if pending is not None]
            if group:
                await self._commit(group)
            if len(group) < len(batch):
                return

    async def _commit(self, group: list[_Pending]) -> None:
        answers = [(key, outcome) for key, outcome, _ in group if isinstance(outcome, Answer)]
        failures = [(key, outcome) for key, outcome, _ in group if isinstance(outcome, Failure)]
        try:
            await asyncio.to_thread(self._store.put, answers, failures)
        except Exception as error:  # noqa: BLE001  # every waiter must hear of it, whatever it was
            for _, _, done in group:
                if not done.done():
                    done.set_exception(error)
            return
        for _, _, done in group:
            if not done.done():
                done.set_result(None)
