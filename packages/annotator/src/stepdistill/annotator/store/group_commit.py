"""Group commit: answers of many requests are written to the store together, soon, and durably.

One task gathers what arrives within a few milliseconds, or a few hundred outcomes if they come
sooner, and writes them in one transaction, in a thread so that the loop goes on while the disk is
waited for. An outcome counts only once it is on the disk; nobody's slot is held until then.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from stepdistill.annotator.store.answer import Answer, Failure
from stepdistill.annotator.store.response_store import ResponseStore

Landed = Callable[[BaseException | None], None]
_Outcome = tuple[bytes, Answer | Failure, Landed]
_LARGEST = 1024  # outcomes in one transaction
_BACKLOG = 4 * _LARGEST  # unless it is told another
# A commit costs a thread and a sync, whatever it holds: wait for company, but not long.
_ENOUGH = 256
_GATHER_S = 0.02
# The loop does not stand still for longer, where pages have to be read before they are written.
_STILL_S = 0.005


class GroupCommit:
    """The only writer of a running store; use it as an async context manager. backlog: outcomes
    that may be on their way to the disk; what a kill of the process can cost."""

    def __init__(self, store: ResponseStore, backlog: int = _BACKLOG) -> None:
        self._store, self._backlog = store, backlog
        # Is told every answer that is on the disk, where somebody wants to know.
        self.heard: Callable[[bytes, Answer], None] | None = None
        self._enough = min(_ENOUGH, max(1, backlog // 2))
        self._waiting: list[_Outcome] = []
        self._n_committing = 0  # outcomes of the transaction that is being written
        self._arrived, self._full, self._landed = (asyncio.Event() for _ in range(3))
        self._is_leaving = False

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._work())
        self._task.add_done_callback(lambda _: self._landed.set())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_leaving = True
        self._arrived.set()
        self._full.set()
        await self._task

    async def submit(self, key: bytes, outcome: Answer | Failure, landed: Landed) -> None:
        """Queue an outcome; landed(None) is called once it is durable, landed(error) if it is not.
        Returns at once, unless the disk is so far behind that the backlog is full."""
        while len(self._waiting) + self._n_committing >= self._backlog:
            await self._next_landing()
        self._waiting.append((key, outcome, landed))
        self._arrived.set()
        if len(self._waiting) >= self._enough:
            self._full.set()

    async def flush(self) -> None:
        """Return once all that was submitted has landed."""
        while self._waiting or self._n_committing:
            await self._next_landing()

    async def _next_landing(self) -> None:
        """Wait for the group that is on its way, or for the error that ended the work early."""
        if not self._task.done():
            self._landed.clear()
            await self._landed.wait()
        if self._task.done():
            self._task.result()

    async def _work(self) -> None:
        while self._waiting or not self._is_leaving:
            if not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
            if len(self._waiting) < self._enough and not self._is_leaving:
                await self._gather()
            group, self._waiting = self._waiting[:_LARGEST], self._waiting[_LARGEST:]
            self._n_committing = len(group)
            await self._commit(group)
            self._n_committing = 0
            self._landed.set()

    async def _gather(self) -> None:
        """Wait for company: a few milliseconds, or until there is enough."""
        self._full.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(_GATHER_S):
                await self._full.wait()

    async def _commit(self, group: list[_Outcome]) -> None:
        answers = [(key, outcome) for key, outcome, _ in group if isinstance(outcome, Answer)]
        failures = [(key, outcome) for key, outcome, _ in group if isinstance(outcome, Failure)]
        failed: BaseException | None = None
        try:
            await self._put(answers, failures)
        except Exception as error:  # noqa: BLE001  # every waiter must hear of it, whatever it was
            failed = error
        for _, _, landed in group:
            landed(failed)
        for key, answer in answers:
            if self.heard is None or failed is not None:
                break
            self.heard(key, answer)

    async def _put(
        self, answers: list[tuple[bytes, Answer]], failures: list[tuple[bytes, Failure]]
    ) -> None:
        """Commit in a thread. The loop stands still until all is put and only the disk is waited
        for, some 0.4 ms for 128 answers: each call of LMDB lets go of the interpreter, and a busy
        loop and the thread would wake each other for every one."""
        is_put = threading.Event()

        def put() -> None:
            try:
                self._store.put(answers, failures, is_put=is_put.set)
            finally:
                is_put.set()

        done = asyncio.get_running_loop().run_in_executor(None, put)
        is_put.wait(_STILL_S)
        await done
