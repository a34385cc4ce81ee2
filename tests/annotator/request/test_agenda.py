"""The agenda: order, another try in its time, and no request twice."""

from collections.abc import AsyncIterator

from annotator.request.agenda import Agenda
from annotator.request.key import Request
from tests.annotator.request.made import a_request
from tests.annotator.request.test_limits import Clock


async def drawn_from(*questions: str) -> AsyncIterator[Request]:
    for question in questions:
        yield a_request(question)


def agenda(clock: Clock, *questions: str) -> Agenda:
    return Agenda(drawn_from(*questions), lambda request: 7, clock)


def question(request: Request) -> str:
    return request.messages[-1]["content"]


async def test_requests_come_in_order_and_then_nothing():
    todo = agenda(Clock(), "a", "b")
    first, second = await todo.draw(), await todo.draw()
    assert first and second
    assert [question(first.request), question(second.request)] == ["a", "b"]
    assert first.tokens == 7
    assert await todo.draw() is None


async def test_a_ticket_put_off_comes_back_in_its_time_and_before_new_ones():
    clock = Clock()
    todo = agenda(clock, "a", "b", "c")
    ticket = await todo.draw()
    assert ticket
    todo.put_off(ticket, 5)
    assert todo.next_in_s == 5
    other = await todo.draw()
    assert other and question(other.request) == "b"
    clock.now_s += 5
    again = await todo.draw()
    assert again and again is ticket
    assert (again.attempt, again.waited_s) == (2, 5)
    assert todo.next_in_s is None


async def test_a_request_on_its_way_is_not_drawn_again():
    todo = agenda(Clock(), "a", "a", "b", "a")
    first = await todo.draw()
    second = await todo.draw()
    assert first and second and question(second.request) == "b"
    assert await todo.draw() is None


async def test_once_settled_it_may_be_drawn_again():
    todo = agenda(Clock(), "a", "a")
    first = await todo.draw()
    assert first
    todo.settle(first)
    assert await todo.draw()
