"""The lines of a file at the teacher's: a torn download is taken up where it broke."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable

import orjson

from stepdistill.annotator.errors import ConnectionLost, Transient
from stepdistill.annotator.teacher.batch.api import BatchApi
from stepdistill.annotator.teacher.online.retry import RetryPolicy


class CutOffError(ConnectionLost):
    """A download that looked complete ends too early."""


class Download:
    """One file, read once by `lines`. cut_off: it never came to its end, however often."""

    def __init__(self, api: BatchApi, file_id: str, retry: RetryPolicy) -> None:
        self._api, self._file_id, self._retry = api, file_id, retry
        self._offset = 0
        self.cut_off = False

    async def lines(self, tell: Callable[[str], None]) -> AsyncGenerator[bytes]:
        """Each line once. tell: hears of every break. Raises TeacherError when it stays broken."""
        size = await self._api.size_of(self._file_id)
        attempt, waited_s, reached = 1, 0.0, 0
        while True:
            try:
                async for line in self._from_offset(size):
                    yield line
                return
            except Transient as error:
                attempt = 1 if self._offset > reached else attempt
                reached = self._offset
                wait_s = self._retry.wait_s(attempt, waited_s, error)
                if wait_s is None:
                    self.cut_off = isinstance(error, CutOffError)
                    if self.cut_off:
                        return
                    raise
                tell(f"download of {self._file_id} broke at byte {reached:,} ({error}): going on")
                attempt, waited_s = attempt + 1, waited_s + wait_s
                await asyncio.sleep(wait_s)

    async def _from_offset(self, size: int | None) -> AsyncIterator[bytes]:
        rest = b""
        async with self._api.content(self._file_id, self._offset) as chunks:
            async for chunk in chunks:
                *whole, rest = (rest + chunk).split(b"\n")
                for line in whole:
                    self._offset += len(line) + 1
                    yield line
        got = self._offset + len(rest)
        if (size is not None and got < size) or not _is_whole(rest):
            raise CutOffError(f"it ends at byte {got:,}, within a line or before its end")
        if rest:
            self._offset = got
            yield rest


def _is_whole(line: bytes) -> bool:
    try:
        orjson.loads(line or b"{}")
    except orjson.JSONDecodeError:
        return False
    return True
