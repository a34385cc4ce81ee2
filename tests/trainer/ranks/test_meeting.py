"""Ranks meet, or are told in one line why not: rank 0 and the others, each in a thread."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from socket import AF_INET, socket

import pytest

from stepdistill.common.errors import DistillError
from stepdistill.trainer.ranks.coordinator import Coordinator, listening
from stepdistill.trainer.ranks.member import RankMember, connected
from stepdistill.trainer.ranks.place import RankPlace
from stepdistill.trainer.ranks.wire import Message

VERSIONS = {"torch": "2.13.0", "deepspeed": "0.19.8"}
Outcome = int | str


@pytest.fixture
def listener() -> Iterator[socket]:
    with closing(listening([(AF_INET, "127.0.0.1")], 0)) as found:
        yield found


def _place(listener: socket, rank: int, size: int) -> RankPlace:
    return RankPlace(
        rank=rank,
        size=size,
        local_rank=0,
        address="127.0.0.1",
        port=listener.getsockname()[1],
        several_hosts=True,
    )


def _hello(rank: int, size: int, **more: object) -> Message:
    return {"rank": rank, "size": size, "host": f"host{rank}", "versions": VERSIONS, **more}


def _outcome(meet: Callable[[], int]) -> Outcome:
    try:
        return meet()
    except DistillError as error:
        return str(error)


def _meet(listener: socket, hellos: list[Message], outputs: list[Path]) -> list[Outcome]:
    """What comes of it for each, rank 0 first: the port where torch's ranks meet, or a line."""
    size = 3
    first = Coordinator(_place(listener, 0, size), listener)

    def join(hello: Message, output: Path) -> Outcome:
        there = _place(listener, int(hello["rank"]), size)
        member = RankMember(there, connected(there, lambda: there.port, 5))
        found = _outcome(lambda: member.meet(hello, output))
        member.leave()
        return found

    with ThreadPoolExecutor() as pool:
        own = pool.submit(_outcome, lambda: first.meet(_hello(0, size), outputs[0]))
        others = [pool.submit(join, *each) for each in zip(hellos, outputs[1:], strict=True)]
        found = [each.result(60) for each in (own, *others)]
    first.leave()
    return found


def test_all_learn_one_port(listener: socket, tmp_path: Path) -> None:
    with socket() as scanner:  # whoever looks at ports is no rank
        scanner.connect(listener.getsockname())
        scanner.sendall(b"GET / HTTP/1.1\n")
        found = _meet(listener, [_hello(1, 3), _hello(2, 3)], [tmp_path] * 3)
    assert isinstance(found[0], int) and len(set(found)) == 1
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("second", "said"),
    [
        (_hello(2, 3, versions={**VERSIONS, "torch": "2.12.1"}), "torch is 2.13.0 for rank 0 and"),
        (_hello(2, 4), "counts 4 ranks, and rank 0 3"),
        (_hello(1, 3), "two processes say that they are rank 1"),
        (_hello(2, 3, refused="--train x: not there"), "rank 2 on host2 (127.0.0.1): --train x"),
    ],
)
def test_one_that_does_not_fit_is_named_to_all(
    listener: socket, tmp_path: Path, second: Message, said: str
) -> None:
    for line in _meet(listener, [_hello(1, 3), second], [tmp_path] * 3)[:2]:
        assert isinstance(line, str)
        assert said in line or "another process is rank 1" in line


def test_who_stands_at_the_door_as_another_is_refused_is_told_too(
    listener: socket, tmp_path: Path
) -> None:
    places, port = [_place(listener, rank, 3) for rank in (2, 1)], listener.getsockname()[1]
    # Both are connected before rank 0 looks; the first of them is why there is no run.
    misfit, other = (RankMember(there, connected(there, lambda: port, 5)) for there in places)
    with ThreadPoolExecutor() as pool:
        told = [
            pool.submit(_outcome, lambda: misfit.meet(_hello(2, 4), tmp_path)),
            pool.submit(_outcome, lambda: other.meet(_hello(1, 3), tmp_path)),
        ]
        first = Coordinator(_place(listener, 0, 3), listener)
        own = _outcome(lambda: first.meet(_hello(0, 3), tmp_path))
        assert {own, *(each.result(30) for each in told)} == {own}
    assert "counts 4 ranks, and rank 0 3" in str(own)


def test_a_folder_that_one_does_not_see_is_named_to_all(listener: socket, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    hellos = [_hello(1, 3), _hello(2, 3)]
    found = _meet(listener, hellos, [tmp_path, tmp_path, elsewhere])
    assert len(set(found)) == 1
    assert "rank 2 on host2 (127.0.0.1) does not see what rank 0 writes there" in str(found[0])
