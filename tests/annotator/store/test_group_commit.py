"""A put that has returned is on the disk; a put that cannot be is told to whoever waits."""

import asyncio
import threading
from pathlib import Path

import pytest

from stepdistill.annotator.store.answer import Answer, Failure
from stepdistill.annotator.store.group_commit import GroupCommit
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.common.errors import StoreError
from tests.annotator.made import FAILURE, a_key, an_answer, on_disk


def opened(folder: Path, map_bytes: int = 1 << 24) -> ResponseStore:
    return ResponseStore.open(folder / "store", write=True, map_bytes=map_bytes)


async def put(group_commit: GroupCommit, key: bytes, outcome: Answer | Failure) -> None:
    """Submit an outcome, and return once it is durable."""
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def landed(error: BaseException | None) -> None:
        if not done.done():
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)

    await group_commit.submit(key, outcome, landed)
    await done


async def test_each_put_is_on_the_disk_when_it_returns(tmp_path: Path):
    with opened(tmp_path) as store:
        async with GroupCommit(store) as group_commit:
            for number in range(3):
                await put(group_commit, a_key(number), an_answer(str(number)))
                with on_disk(store, tmp_path / f"copy-{number}") as copy, copy.reading() as stored:
                    assert stored.answer(a_key(number)) == an_answer(str(number))


async def test_a_failure_is_kept_as_one(tmp_path: Path):
    with opened(tmp_path) as store:
        async with GroupCommit(store) as group_commit:
            await put(group_commit, a_key(1), FAILURE)
        with store.reading() as stored:
            assert (stored.answer(a_key(1)), stored.failure(a_key(1))) == (None, FAILURE)


async def test_a_thousand_puts_at_once_all_land(tmp_path: Path):
    with opened(tmp_path) as store:
        async with GroupCommit(store) as group_commit:
            puts = [put(group_commit, a_key(n), an_answer(str(n))) for n in range(1500)]
            await asyncio.gather(*puts)
            with on_disk(store, tmp_path / "copy") as copy, copy.reading() as stored:
                texts = [stored.answer(a_key(n)) for n in range(1500)]

    assert texts == [an_answer(str(n)) for n in range(1500)]


async def test_no_more_than_the_backlog_is_on_its_way(tmp_path: Path):
    most = landed = submitted = 0

    def count(error: BaseException | None) -> None:
        nonlocal landed
        assert error is None
        landed += 1

    with opened(tmp_path) as store:
        async with GroupCommit(store, backlog=8) as group_commit:
            for n in range(100):
                await group_commit.submit(a_key(n), an_answer(), count)
                submitted += 1
                most = max(most, submitted - landed)
            await group_commit.flush()
        assert landed == len(store) == 100
    assert most == 8


async def test_leaving_waits_for_what_is_on_its_way(tmp_path: Path):
    with opened(tmp_path) as store:
        async with GroupCommit(store) as group_commit:
            puts = [
                asyncio.create_task(put(group_commit, a_key(n), an_answer())) for n in range(700)
            ]
            await asyncio.sleep(0)
        await asyncio.gather(*puts)

        assert len(store) == 700


async def test_a_store_that_grows_under_many_puts_loses_none(tmp_path: Path):
    text = "x" * 500
    with opened(tmp_path, map_bytes=1 << 16) as store:
        async with GroupCommit(store) as group_commit:
            for start in range(0, 600, 200):
                keys = [a_key(n) for n in range(start, start + 200)]
                await asyncio.gather(*(put(group_commit, key, an_answer(text)) for key in keys))
        assert len(store) == 600


async def test_whoever_looks_things_up_meanwhile_does_not_notice_that_the_store_grows(
    tmp_path: Path,
):
    answer = an_answer("x" * 2000)
    with opened(tmp_path, map_bytes=1 << 17) as store:
        async with GroupCommit(store) as group_commit:
            waiting = {
                asyncio.create_task(put(group_commit, a_key(n), answer)) for n in range(1000)
            }
            while waiting:
                _, waiting = await asyncio.wait(waiting, timeout=0)
                assert sum(a_key(n) in store for n in range(200)) <= 200
        assert len(store) == 1000


async def test_who_gives_up_waiting_does_not_disturb_the_others(tmp_path: Path):
    with opened(tmp_path) as store:
        async with GroupCommit(store) as group_commit:
            puts = [
                asyncio.create_task(put(group_commit, a_key(n), an_answer())) for n in range(20)
            ]
            await asyncio.sleep(0)
            puts[3].cancel()
            results = await asyncio.gather(*puts, return_exceptions=True)

        assert isinstance(results[3], asyncio.CancelledError)
        assert [result for n, result in enumerate(results) if n != 3] == [None] * 19
        assert len(store) == 20


async def test_a_store_error_reaches_everybody_who_waits(tmp_path: Path):
    store = opened(tmp_path)
    async with GroupCommit(store) as group_commit:
        store.close()
        puts = [put(group_commit, a_key(n), an_answer()) for n in range(3)]
        results = await asyncio.gather(*puts, return_exceptions=True)

        for result in results:
            assert isinstance(result, StoreError)
            assert "all that was stored before is safe" in str(result)


async def test_after_an_error_it_still_ends(tmp_path: Path):
    store = opened(tmp_path)
    async with asyncio.timeout(5):
        async with GroupCommit(store) as group_commit:
            store.close()
            with pytest.raises(StoreError):
                await put(group_commit, a_key(1), an_answer())


async def test_the_loop_goes_on_where_the_store_takes_long(tmp_path: Path):
    """It stands still for what is put, but not for whoever else writes the store."""
    is_held, may_end = threading.Event(), threading.Event()

    def hold(_: object) -> None:
        is_held.set()
        may_end.wait(10)

    with opened(tmp_path) as store:
        other = threading.Thread(target=store.write, args=(hold,))
        other.start()
        is_held.wait(10)
        async with GroupCommit(store, backlog=2) as group_commit:
            waits = asyncio.create_task(put(group_commit, a_key(1), an_answer()))
            for _ in range(20):  # turns of the loop
                await asyncio.sleep(0.005)
            assert not waits.done()
            may_end.set()
            await waits
        other.join(10)
        with store.reading() as stored:
            assert stored.answer(a_key(1)) == an_answer()
