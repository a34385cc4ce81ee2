"""Answering the rows of a batch: an input file in, an output and an error file out, as streams.

Lines come out in an order drawn by seed. Only where lines begin is held in memory, never a line
beyond the one at hand.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, cast

import orjson

from annotator.simulator.batch_books import PaidRow
from annotator.simulator.batch_plan import BatchPlan
from annotator.simulator.batch_scan import InputScan
from annotator.simulator.chance import chance
from annotator.simulator.faults import Fault
from annotator.simulator.file_shelf import Sink
from annotator.simulator.refusals import REFUSALS
from annotator.simulator.reply import Teacher, reply_with_answer
from annotator.simulator.wire import ErrorReply, body_digest, read_body

_NEVER_RUN = {
    "expired": (
        "batch_expired",
        "This request could not be executed before the completion window expired.",
    ),
    "cancelled": ("batch_cancelled", "This request was not executed: the batch was cancelled."),
}
_NO_ANSWER = {"code": "server_error", "message": "This request got no answer."}


@dataclass(frozen=True, slots=True, kw_only=True)
class RowJob:
    """What is to be answered: so large a share of this file's rows, for a batch that ends so.

    failed_before: body digest -> faults that such a row has met; it is written to.
    pay: is told of every answered row, from the thread.
    """

    batch_id: str
    status: str
    input_path: Path
    scan: InputScan
    plan: BatchPlan
    seed: int
    share: float
    teacher: Teacher
    failed_before: Counter[bytes]
    pay: Callable[[PaidRow], object]


@dataclass(slots=True)
class RowsDone:
    """What came of it; a sink is None where nothing was written to it. Tokens are those billed."""

    output: Sink | None = None
    errors: Sink | None = None
    completed: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


def answer_rows(job: RowJob, new_sink: Callable[[], Sink]) -> RowsDone:
    """Answer the rows and write the files; raises OSError. Made to run in a thread."""
    return _Answering(job, new_sink).run()


class _Answering:
    def __init__(self, job: RowJob, new_sink: Callable[[], Sink]) -> None:
        self._job = job
        self._new_sink = new_sink
        self._done = RowsDone()
        self._random = random.Random(f"{job.seed} {job.scan.model} {len(job.scan.starts)}")

    def run(self) -> RowsDone:
        finished, rest = self._order()
        with self._job.input_path.open("rb") as file:
            for number, is_first in self._repeating(finished):
                self._answer(number, self._read(file, number), is_first=is_first)
            for number in rest if self._job.plan.unfinished_listed else ():
                self._leave(self._read(file, number))
        for number in range(self._job.plan.strangers if finished else 0):
            self._write_output(f"stranger-{number}", 200, {"choices": []})
        return self._done

    def _order(self) -> tuple[list[int], list[int]]:
        """Line numbers in the order of answering, and those that are never got to."""
        order = list(range(len(self._job.scan.starts)))
        self._random.shuffle(order)
        count = int(len(order) * self._job.share + 1e-9)
        return order[:count], order[count:]

    def _repeating(self, order: list[int]) -> Iterator[tuple[int, bool]]:
        """The same with some of them a second time, later; True for a first time."""
        waiting: list[int] = []
        for number in order:
            yield number, True
            if self._drawn(b"repeated", number, self._job.plan.repeated):
                waiting.append(number)
            if waiting and self._random.random() < 0.5:
                yield waiting.pop(0), False
        for number in waiting:
            yield number, False

    def _read(self, file: BufferedReader, number: int) -> dict[str, Any]:
        file.seek(self._job.scan.starts[number])
        return cast(dict[str, Any], orjson.loads(file.readline()))

    def _answer(self, number: int, row: dict[str, Any], *, is_first: bool) -> None:
        if self._drawn(b"left out", number, self._job.plan.left_out):
            return
        name, digest = row["custom_id"], body_digest(orjson.dumps(row["body"]))
        asked = read_body(row["body"])
        if isinstance(asked, ErrorReply):
            self._fail(name, asked, is_first=is_first)
            return
        fault = self._fault(number, digest)
        if fault and (fault is Fault.DROPPED or fault in REFUSALS):
            self._job.failed_before[digest] += is_first
            self._fail(name, REFUSALS.get(fault), is_first=is_first)
            return
        reply = reply_with_answer(asked, self._job.teacher, digest.hex(), fault)
        self._write_output(name, 200, orjson.Fragment(reply.body))
        if is_first:
            self._pay(
                PaidRow(
                    batch_id=self._job.batch_id,
                    custom_id=name,
                    digest=digest,
                    prompt_tokens=reply.outcome.prompt_tokens,
                    completion_tokens=reply.outcome.completion_tokens,
                )
            )

    def _fault(self, number: int, digest: bytes) -> Fault | None:
        return self._job.plan.rows.fault(number, digest, self._job.failed_before[digest])

    def _pay(self, row: PaidRow) -> None:
        self._done.completed += 1
        self._done.prompt_tokens += row.prompt_tokens
        self._done.completion_tokens += row.completion_tokens
        self._job.pay(row)

    def _fail(self, name: str, refusal: ErrorReply | None, *, is_first: bool) -> None:
        self._done.failed += is_first
        if refusal is None:
            self._write_error(name, None, _NO_ANSWER)
        else:
            response = _response(name, refusal.status, orjson.Fragment(refusal.body()))
            self._write_error(name, response, None)

    def _leave(self, row: dict[str, Any]) -> None:
        code, message = _NEVER_RUN.get(self._job.status, _NEVER_RUN["expired"])
        self._done.failed += 1
        self._write_error(row["custom_id"], None, {"code": code, "message": message})

    def _write_output(self, name: str, status: int, body: object) -> None:
        self._done.output = self._done.output or self._new_sink()
        self._done.output.write(_line(name, _response(name, status, body), None))

    def _write_error(self, name: str, response: object, error: object) -> None:
        self._done.errors = self._done.errors or self._new_sink()
        self._done.errors.write(_line(name, response, error))

    def _drawn(self, what: bytes, number: int, share: float) -> bool:
        return bool(share) and chance(self._job.seed, what, str(number).encode()) < share


def _response(name: str, status: int, body: object) -> dict[str, object]:
    return {"status_code": status, "request_id": f"req_{_ident(name)}", "body": body}


def _line(name: str, response: object, error: object) -> bytes:
    line = {
        "id": f"batch_req_{_ident(name)}",
        "custom_id": name,
        "response": response,
        "error": error,
    }
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def _ident(name: str) -> str:
    return body_digest(name.encode()).hex()
