"""The queue: order, another try in its time, and no request twice."""

from collections.abc import AsyncIterator

from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.teacher.online.queue import PendingRequest, RequestQueue
from tests.annotator.made import a_request
from tests.annotator.teacher.online.test_rate_limiter import Clock


async def groups_of(*groups: str) -> AsyncIterator[list[Request]]:
    """A letter for each request, a word for each group."""
    for group in groups:
        yield [a_request(letter) for letter in group]


def a_queue(clock: Clock, *groups: str) -> RequestQueue:
    return RequestQueue(groups_of(*groups), lambda request: 7, clock, most_waiting=3)


def question(pending: PendingRequest | None) -> str:
    assert pending is not None
    return pending.request.messages[-1]["content"]


async def test_requests_come_in_order_group_by_group_and_then_nothing():
    queue = a_queue(Clock(), "ab", "", "c")
    assert queue.draw() is None, "no group is in hand yet"
    assert await queue.refill()
    first = queue.draw()
    assert first and first.tokens == 7
    assert [question(first), question(queue.draw()), queue.draw()] == ["a", "b", None]
    assert await queue.refill()
    assert queue.draw() is None
    assert await queue.refill()
    assert question(queue.draw()) == "c"
    assert not await queue.refill()
    assert queue.draw() is None


async def test_a_request_put_off_comes_back_in_its_time_and_before_new_ones():
    clock = Clock()
    queue = a_queue(clock, "abc")
    await queue.refill()
    pending = queue.draw()
    assert pending
    queue.put_off(pending, 5)
    assert queue.next_in_s == 5
    assert question(queue.draw()) == "b"
    clock.now_s += 5
    again = queue.draw()
    assert again and again is pending
    assert again.attempt == 2
    assert queue.next_in_s is None


async def test_a_request_on_its_way_is_not_drawn_again():
    queue = a_queue(Clock(), "aab", "a")
    await queue.refill()
    assert [question(queue.draw()), question(queue.draw())] == ["a", "b"]
    await queue.refill()
    assert queue.draw() is None


async def test_nor_is_one_that_was_settled_after_its_twin_was_looked_up():
    queue = a_queue(Clock(), "aba", "a", "a")
    await queue.refill()
    first = queue.draw()
    assert first
    queue.settle(first)
    assert question(queue.draw()) == "b"
    assert queue.draw() is None, "in the same group"
    await queue.refill()
    assert question(queue.draw()) == "a", "the store was asked after it was settled"


async def test_while_many_wait_for_another_try_no_new_one_is_drawn_and_none_is_lost():
    clock = Clock()
    queue = a_queue(clock, "abcd", "e")
    await queue.refill()
    for wait_s in (5, 6, 7):
        pending = queue.draw()
        assert pending
        queue.put_off(pending, wait_s)
    assert queue.draw() is None
    assert not await queue.refill()
    clock.now_s += 5
    assert [question(queue.draw()), question(queue.draw()), queue.draw()] == ["a", "d", None]
    assert await queue.refill()
    assert question(queue.draw()) == "e"
