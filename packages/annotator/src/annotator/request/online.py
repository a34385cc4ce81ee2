"""The online teacher: chat completions over HTTP, many in flight, each stored before it counts.

A fixed pool of workers draws from one iterator of requests, so memory holds what is in flight and
not the dataset. A request that another worker has in flight is not asked twice.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Self

import aiohttp
import orjson

from annotator.errors import (
    ConnectionLost,
    Final,
    Overloaded,
    RunStopped,
    TeacherDown,
    TimedOut,
    Transient,
)
from annotator.request.answer import Answer, Failure
from annotator.request.committer import Committer
from annotator.request.key import Request, endpoint_of
from annotator.request.progress import Progress
from annotator.request.retry import RetryPolicy
from annotator.request.wire import error_of, read_answer

_LARGEST_REPLY = 8 << 20
_DOWN_AFTER = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """How the teacher is reached. key: the API key, None where none is needed."""

    base_url: str
    key: str | None
    concurrency: int
    timeout_s: float
    max_tokens: int
    limit_name: str


class OnlineTeacher:
    """Use as an async context manager; `ask_all` until the requests or the will to go on end."""

    def __init__(
        self,
        door: Door,
        committer: Committer,
        progress: Progress,
        *,
        retry: RetryPolicy | None = None,
    ) -> None:
        self._door, self._committer, self._progress = door, committer, progress
        self._retry = retry or RetryPolicy()
        self._flying: set[bytes] = set()
        self._draw = asyncio.Lock()
        self._stop = asyncio.Event()
        self._given_up_in_a_row = 0

    async def __aenter__(self) -> Self:
        headers = {"Content-Type": "application/json"}
        if self._door.key:
            headers["Authorization"] = f"Bearer {self._door.key}"
        self._session = aiohttp.ClientSession(
            headers=headers,
            connector=aiohttp.TCPConnector(limit=self._door.concurrency),
            timeout=aiohttp.ClientTimeout(total=self._door.timeout_s, sock_connect=10),
            # A proxy is for teachers elsewhere; it could not reach one on this machine.
            trust_env=endpoint_of(self._door.base_url).name != "localhost",
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    def stop(self) -> None:
        """Start no other request; those in flight still land in the store."""
        self._stop.set()

    async def ask_all(self, requests: AsyncIterator[Request]) -> None:
        """Ask each request and store what comes of it. Raises RunStopped and StoreError."""
        workers = [asyncio.create_task(self._work(requests)) for _ in range(self._door.concurrency)]
        results = await asyncio.gather(*workers, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _work(self, requests: AsyncIterator[Request]) -> None:
        try:
            while (request := await self._next(requests)) is not None:
                await self._settle(request)
        except BaseException:
            self.stop()
            raise

    async def _next(self, requests: AsyncIterator[Request]) -> Request | None:
        async with self._draw:
            while not self._stop.is_set():
                request = await anext(requests, None)
                if request is None or request.key not in self._flying:
                    return request
            return None

    async def _settle(self, request: Request) -> None:
        self._flying.add(request.key)
        self._progress.in_flight += 1
        try:
            outcome = await self._outcome(request)
            if outcome is not None:
                await self._committer.put(request.key, outcome)
                self._progress.count(outcome)
        finally:
            self._flying.discard(request.key)
            self._progress.in_flight -= 1

    async def _outcome(self, request: Request) -> Answer | Failure | None:
        """The answer, or why there is none; None when the run stops before it is known."""
        attempt, waited_s = 1, 0.0
        while True:
            try:
                answer = await self._ask(request)
                self._given_up_in_a_row = 0
                return answer
            except RunStopped:
                raise
            except Transient as error:
                wait_s = self._retry.wait_s(attempt, waited_s, error)
                if wait_s is None:
                    return self._given_up(error)
                self._progress.retry(type(error).__name__)
            except Final as error:
                return Failure(reason=error.reason, detail=str(error))
            if await self._stopped_within(wait_s):
                return None
            attempt, waited_s = attempt + 1, waited_s + wait_s

    def _given_up(self, error: Transient) -> Failure:
        self._given_up_in_a_row += 1
        if self._given_up_in_a_row >= _DOWN_AFTER:
            raise TeacherDown(
                f"{self._door.base_url} keeps failing ({error}): run this again later"
            )
        return Failure(reason=error.reason, detail=str(error))

    async def _stopped_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def _ask(self, request: Request) -> Answer:
        body = orjson.dumps({**request.body, self._door.limit_name: self._door.max_tokens})
        url = f"{self._door.base_url}/chat/completions"
        try:
            async with self._session.post(url, data=body, allow_redirects=False) as reply:
                content = b""  # it comes in pieces: one read would give the first of them
                while not reply.content.at_eof() and len(content) <= _LARGEST_REPLY:
                    content += await reply.content.readany()
                if not reply.content.at_eof():
                    raise Overloaded(f"the reply is larger than {_LARGEST_REPLY} bytes")
        except TimeoutError:
            raise TimedOut(f"no answer within {self._door.timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectionLost(f"{type(error).__name__}: {error}") from None
        if reply.status != 200:
            raise error_of(reply.status, content, reply.headers)
        said = reply.headers.get("x-request-id")
        return read_answer(content, limit=self._door.max_tokens, request_id=said)
