"""The log: complete, readable after a kill, and without secrets."""

from pathlib import Path

from stepdistill.annotator.simulator.faults import Fault
from stepdistill.annotator.simulator.log import RequestLog, RequestOutcome, fingerprint

ONE, TWO = b"1" * 16, b"2" * 16
ANSWERED = RequestOutcome(
    status=200, prompt_tokens=10, completion_tokens=5, limit_tokens=12, billed=True
)
TORN = RequestOutcome(
    status=200, prompt_tokens=10, completion_tokens=5, billed=True, fault=Fault.TORN
)
REFUSED = RequestOutcome(status=429, limit_tokens=12, fault=Fault.RATE_LIMITED)


class Time:
    """A clock that goes on by a second at every look."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 1.0
        return self.now_s


def fill(log: RequestLog) -> None:
    first = log.arrive(ONE, "k", log.now())
    second = log.arrive(TWO, "k", log.now())
    log.leave(second, ANSWERED)
    log.leave(first, REFUSED)
    for outcome in (TORN, ANSWERED, ANSWERED):
        log.leave(log.arrive(ONE, "k", log.now()), outcome)


def check(log: RequestLog) -> None:
    assert log.served() == {ONE: 2, TWO: 1}
    assert log.served_count() == 3
    assert log.billed_count() == 4
    assert log.billed_tokens() == (40, 20)
    assert log.statuses() == {200: 4, 429: 1}
    assert log.faults() == {Fault.RATE_LIMITED: 1, Fault.TORN: 1}
    assert log.peak_in_flight() == 2
    assert [entry.attempt for entry in log.entries] == [0, 0, 1, 2, 3]
    assert [entry.ordinal for entry in log.entries] == [1, 0, 2, 3, 4]


def test_the_log_adds_up():
    log = RequestLog(Time())

    fill(log)

    check(log)
    assert log.in_flight == 0


def test_an_empty_log_answers_too():
    log = RequestLog(Time())

    assert (log.served_count(), log.peak_in_flight(), log.billed_tokens()) == (0, 0, (0, 0))


def test_every_line_is_on_disk_before_anything_is_closed(tmp_path: Path):
    path = tmp_path / "requests.jsonl"
    log = RequestLog(Time(), path)

    fill(log)

    read = RequestLog.read(path)
    check(read)
    assert read.entries == log.entries
    log.close()


def test_a_line_cut_by_a_kill_is_left_out(tmp_path: Path):
    path = tmp_path / "requests.jsonl"
    log = RequestLog(Time(), path)
    fill(log)
    log.close()
    path.write_bytes(path.read_bytes()[:-20])

    assert len(RequestLog.read(path).entries) == 4


def test_a_second_simulator_appends(tmp_path: Path):
    path = tmp_path / "requests.jsonl"
    for _ in range(2):
        log = RequestLog(Time(), path)
        fill(log)
        log.close()

    assert RequestLog.read(path).served() == {ONE: 4, TWO: 2}


def test_keys_are_told_apart_and_not_told():
    one, other = fingerprint("Bearer sk-one"), fingerprint("bearer sk-other")

    assert one != other
    assert len(one) == len(other) == 12
    assert "sk-" not in one + other
    assert fingerprint("") == fingerprint("Basic abc") == fingerprint("Bearer ") == ""
