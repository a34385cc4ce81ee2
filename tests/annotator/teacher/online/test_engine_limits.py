"""Teachers with limits that they do not name, live: every row is answered, and few in vain."""

import asyncio
import random
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from stepdistill.annotator.store.answer import Failure
from stepdistill.annotator.teacher.online.retry import RetryPolicy
from tests.annotator.teacher.asking import ONCE, Asking, several
from tests.annotator.teacher.raw_teacher import completion, reply

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
Handler = Callable[[bytes], Awaitable[int]]  # a request's body -> the status of the reply


@dataclass
class OddTeacher:
    """A teacher on loopback that replies as its handler says. statuses: of its replies, in order.
    in_flight: for each request, how many others were in flight as it came."""

    handler: Handler
    statuses: list[int] = field(default_factory=list[int])
    in_flight: list[int] = field(default_factory=list[int])
    base_url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                assert length
                body = await reader.readexactly(int(length[1]))
                self.in_flight.append(len(self.in_flight) - len(self.statuses))
                status = await self.handler(body)
                self.statuses.append(status)
                text = completion() if status == 200 else b'{"error": {"message": "no"}}'
                writer.write(reply(text, status=f"{status} X"))
        writer.close()


@asynccontextmanager
async def odd_teacher(handler: Handler) -> AsyncGenerator[OddTeacher]:
    teacher = OddTeacher(handler)
    server = await asyncio.start_server(teacher.serve, "127.0.0.1", 0)
    teacher.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    async with server:
        yield teacher
        server.close()


def limiter(per_s: float, burst: int, status: int) -> Handler:
    free_s = 0.0

    async def handle(body: bytes) -> int:
        nonlocal free_s
        now = time.monotonic()
        free_s = max(free_s, now)
        if (free_s - now) * per_s > burst:
            return status
        free_s += 1 / per_s
        return 200

    return handle


def slots(n: int, answer_s: float) -> Handler:
    free = asyncio.Semaphore(n)

    async def handle(body: bytes) -> int:
        async with free:
            await asyncio.sleep(answer_s)
        return 200

    return handle


@pytest.mark.parametrize("status", [429, 503])
async def test_a_row_that_was_refused_has_not_been_tried(
    a_run: Asking, tmp_path: Path, status: int
):
    async with (
        odd_teacher(limiter(100, 3, status)) as teacher,
        a_run(tmp_path, teacher.base_url, concurrency=64, retry=RetryPolicy(attempts=1)) as run,
    ):
        await run.ask(several(200))

        assert (run.progress.asked, run.progress.failed) == (200, 0)
    assert 1 <= teacher.statuses.count(status) <= 100


async def test_but_one_row_that_never_gets_in_costs_itself_alone(a_run: Asking, tmp_path: Path):
    async def all_but_one(body: bytes) -> int:
        await asyncio.sleep(0.01)
        return 429 if b"question 7" in body and b"question 7 " not in body else 200

    async with (
        odd_teacher(all_but_one) as teacher,
        a_run(
            tmp_path,
            teacher.base_url,
            concurrency=4,
            retry=RetryPolicy(attempts=2, first_s=0.1, longest_s=0.3),
        ) as run,
    ):
        requests = [each for each in several(300) if "question 7" not in each.user] + [
            several(8)[7]
        ]
        await run.ask([requests[-1], *requests[:-1]])

        assert isinstance(run.outcome(requests[-1]), Failure)
        assert (run.progress.asked, run.progress.failed) == (len(requests) - 1, 1)


async def test_two_slots_are_not_flooded(a_run: Asking, tmp_path: Path):
    async with (
        odd_teacher(slots(2, 0.05)) as teacher,
        a_run(
            tmp_path,
            teacher.base_url,
            concurrency=1024,
            first_concurrency=None,
            timeout_s=30,
            retry=ONCE,
        ) as run,
    ):
        await run.ask(several(60))

        assert (run.progress.asked, run.progress.failed) == (60, 0)
    assert teacher.statuses == [200] * 60
    assert max(teacher.in_flight) <= 30


async def test_until_the_first_answer_requests_go_one_at_a_time(a_run: Asking, tmp_path: Path):
    began = False

    async def starting(body: bytes) -> int:
        nonlocal began
        await asyncio.sleep(0.002)
        began = began or len(teacher.statuses) >= 4
        return 200 if began else 500

    async with (
        odd_teacher(starting) as teacher,
        a_run(
            tmp_path, teacher.base_url, concurrency=64, retry=RetryPolicy(attempts=9, first_s=0.01)
        ) as run,
    ):
        await run.ask(several(30))

        assert run.progress.asked == 30
    assert teacher.statuses[:5] == [500, 500, 500, 500, 200]
    assert teacher.in_flight[:5] == [0] * 5


def at_random(share: float) -> Handler:
    """A gateway that refuses a share of the requests, whatever comes in a second."""
    chance = random.Random(5)

    async def handle(body: bytes) -> int:
        if chance.random() < share:
            return chance.choice((429, 498, 503, 529))
        await asyncio.sleep(0.05)
        return 200

    return handle


async def test_what_is_refused_at_random_does_not_bring_a_run_to_a_standstill(
    a_run: Asking, tmp_path: Path
):
    async with (
        odd_teacher(at_random(0.25)) as teacher,
        a_run(tmp_path, teacher.base_url, concurrency=64, first_concurrency=None) as run,
    ):
        await run.ask(several(800))  # a standstill takes longer than a test may

        assert (run.progress.asked, run.progress.failed) == (800, 0)


def so_many_at_once(n: int) -> Handler:
    """A server that lets n in together and refuses the next."""
    busy = 0

    async def handle(body: bytes) -> int:
        nonlocal busy
        if busy >= n:
            return 503
        busy += 1
        await asyncio.sleep(0.1)
        busy -= 1
        return 200

    return handle


async def test_where_so_many_are_let_in_at_once_the_number_is_found_and_kept(
    a_run: Asking, tmp_path: Path
):
    async with (
        odd_teacher(so_many_at_once(64)) as teacher,
        a_run(tmp_path, teacher.base_url, concurrency=512, first_concurrency=None) as run,
    ):
        await run.ask(several(800))

        assert (run.progress.asked, run.progress.failed) == (800, 0)
    assert teacher.statuses.count(503) <= 400
