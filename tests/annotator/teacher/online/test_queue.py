"""The agenda: order, another try in its time, and no request twice."""

from collections.abc import AsyncIterator

from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.teacher.online.queue import PendingRequest, RequestQueue
from tests.annotator.made import a_request
from tests.annotator.teacher.online.test_rate_limiter import Clock


async def groups_of(*groups: str) -> AsyncIterator[list[Request]]:
    """A letter for each request, a word for each group."""
    for group in groups:
        yield [a_request(letter) for letter in group]


def agenda(clock: Clock, *groups: str) -> RequestQueue:
    return RequestQueue(groups_of(*groups), lambda request: 7, clock, most_waiting=3)


def question(ticket: PendingRequest | None) -> str:
    assert ticket is not None
    return ticket.request.messages[-1]["content"]


async def test_requests_come_in_order_group_by_group_and_then_nothing():
    todo = agenda(Clock(), "ab", "", "c")
    assert todo.draw() is None, "no group is in hand yet"
    assert await todo.refill()
    first = todo.draw()
    assert first and first.tokens == 7
    assert [question(first), question(todo.draw()), todo.draw()] == ["a", "b", None]
    assert await todo.refill()
    assert todo.draw() is None
    assert await todo.refill()
    assert question(todo.draw()) == "c"
    assert not await todo.refill()
    assert todo.draw() is None


async def test_a_ticket_put_off_comes_back_in_its_time_and_before_new_ones():
    clock = Clock()
    todo = agenda(clock, "abc")
    await todo.refill()
    ticket = todo.draw()
    assert ticket
    todo.put_off(ticket, 5)
    assert todo.next_in_s == 5
    assert question(todo.draw()) == "b"
    clock.now_s += 5
    again = todo.draw()
    assert again and again is ticket
    assert (again.attempt, again.waited_s) == (2, 5)
    assert todo.next_in_s is None


async def test_a_request_on_its_way_is_not_drawn_again():
    todo = agenda(Clock(), "aab", "a")
    await todo.refill()
    assert [question(todo.draw()), question(todo.draw())] == ["a", "b"]
    await todo.refill()
    assert todo.draw() is None


async def test_nor_is_one_that_was_settled_after_its_twin_was_looked_up():
    todo = agenda(Clock(), "aba", "a", "a")
    await todo.refill()
    first = todo.draw()
    assert first
    todo.settle(first)
    assert question(todo.draw()) == "b"
    assert todo.draw() is None, "in the same group"
    await todo.refill()
    assert question(todo.draw()) == "a", "the store was asked after it was settled"


async def test_while_many_wait_for_another_try_no_new_one_is_drawn_and_none_is_lost():
    clock = Clock()
    todo = agenda(clock, "abcd", "e")
    await todo.refill()
    for wait_s in (5, 6, 7):
        ticket = todo.draw()
        assert ticket
        todo.put_off(ticket, wait_s)
    assert todo.draw() is None
    assert not await todo.refill()
    clock.now_s += 5
    assert [question(todo.draw()), question(todo.draw()), todo.draw()] == ["a", "d", None]
    assert await todo.refill()
    assert question(todo.draw()) == "e"
