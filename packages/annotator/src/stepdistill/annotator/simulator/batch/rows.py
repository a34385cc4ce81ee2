"""Answering the rows of a batch: an input file in, an output and an error file out, as streams.

Lines come out in an order drawn by seed. Only where lines begin is held in memory, never a line
beyond the one at hand.
"""

import random
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BufferedReader
from pathlib import Path
from typing import Any, cast

import orjson

from stepdistill.annotator.simulator.batch.books import PaidRow
from stepdistill.annotator.simulator.batch.file_shelf import Sink
from stepdistill.annotator.simulator.batch.plan import BatchPlan
from stepdistill.annotator.simulator.batch.scan import InputScan
from stepdistill.annotator.simulator.faults import Fault
from stepdistill.annotator.simulator.log import RequestOutcome
from stepdistill.annotator.simulator.refusals import REFUSALS
from stepdistill.annotator.simulator.reply import AnswerSource, reply_with_answer
from stepdistill.annotator.simulator.uniform import uniform
from stepdistill.annotator.simulator.wire import ChatRequest, ErrorReply, body_digest, read_body

_NEVER_RUN = {
    "expired": (
        "batch_expired",
        "This request could not be executed before the completion window expired.",
    ),
    "cancelled": ("batch_cancelled", "This request was not executed: the batch was cancelled."),
}
_NO_ANSWER = {"code": "server_error", "message": "This request got no answer."}
_REPEATED_SOON = 0.5  # a row that comes twice waits for a few others in between


@dataclass(frozen=True, slots=True, kw_only=True)
class RowJob:
    """What is to be answered: so large a share of this file's rows, for a batch that ends so.

    failed_before: body digest -> faults that such a row has met; it is written to.
    pay: is told of every answered row, from the thread.
    """

    batch_id: str
    ordinal: int
    status: str
    input_path: Path
    scan: InputScan
    plan: BatchPlan
    seed: int
    share: float
    teacher: AnswerSource
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    number: int
    name: str
    digest: bytes
    asked: ChatRequest | ErrorReply


class _Answering:
    def __init__(self, job: RowJob, new_sink: Callable[[], Sink]) -> None:
        self._job = job
        self._new_sink = new_sink
        self._done = RowsDone()
        self._again: deque[tuple[int, Fault | None]] = deque()
        self._random = random.Random(f"{job.seed} {job.ordinal}")

    def run(self) -> RowsDone:
        finished, rest = self._order()
        with self._job.input_path.open("rb") as file:
            for number in finished:
                self._answer(self._read(file, number))
                if self._again and self._random.random() < _REPEATED_SOON:
                    self._repeat(file)
            while self._again:
                self._repeat(file)
            for number in rest if self._job.plan.unfinished_listed else ():
                self._leave(self._read(file, number))
            self._add_strangers(file, finished)
        return self._done

    def _order(self) -> tuple[list[int], list[int]]:
        """Line numbers in the order of answering, and those that are never got to."""
        order = list(range(len(self._job.scan.starts)))
        self._random.shuffle(order)
        count = int(len(order) * self._job.share + 1e-9)
        return order[:count], order[count:]

    def _read(self, file: BufferedReader, number: int) -> _Row:
        file.seek(self._job.scan.starts[number])
        line = cast(dict[str, Any], orjson.loads(file.readline()))
        return _Row(
            number=number,
            name=line["custom_id"],
            digest=body_digest(orjson.dumps(line["body"])),
            asked=read_body(line["body"]),
        )

    def _answer(self, row: _Row) -> None:
        if self._drawn(b"left out", row, self._job.plan.left_out):
            return
        if isinstance(row.asked, ErrorReply):
            self._fail(row.name, row.asked)
            return
        fault = self._job.plan.rows.fault(
            row.number, row.digest, self._job.failed_before[row.digest]
        )
        if fault and (fault is Fault.DROPPED or fault in REFUSALS):
            self._job.failed_before[row.digest] += 1
            self._fail(row.name, REFUSALS.get(fault))
            return
        self._pay(row, self._write_output(row, row.asked, fault))
        if self._drawn(b"repeated", row, self._job.plan.repeated):
            self._again.append((row.number, fault))

    def _repeat(self, file: BufferedReader) -> None:
        number, fault = self._again.popleft()
        row = self._read(file, number)
        if isinstance(row.asked, ChatRequest):
            self._write_output(row, row.asked, fault)

    def _add_strangers(self, file: BufferedReader, finished: list[int]) -> None:
        for number in range(self._job.plan.strangers if finished else 0):
            row = replace(self._read(file, finished[0]), name=f"stranger-{number}")
            if isinstance(row.asked, ChatRequest):
                self._write_output(row, row.asked, None)

    def _pay(self, row: _Row, outcome: RequestOutcome) -> None:
        paid = PaidRow(
            batch_id=self._job.batch_id,
            custom_id=row.name,
            digest=row.digest,
            prompt_tokens=outcome.prompt_tokens,
            completion_tokens=outcome.completion_tokens,
        )
        self._done.completed += 1
        self._done.prompt_tokens += paid.prompt_tokens
        self._done.completion_tokens += paid.completion_tokens
        self._job.pay(paid)

    def _fail(self, name: str, refusal: ErrorReply | None) -> None:
        self._done.failed += 1
        if refusal is None:
            self._write_error(name, None, _NO_ANSWER)
        else:
            self._write_error(name, _response(name, refusal.status, refusal.body()), None)

    def _leave(self, row: _Row) -> None:
        code, message = _NEVER_RUN.get(self._job.status, _NEVER_RUN["expired"])
        self._done.failed += 1
        self._write_error(row.name, None, {"code": code, "message": message})

    def _write_output(self, row: _Row, asked: ChatRequest, fault: Fault | None) -> RequestOutcome:
        reply = reply_with_answer(asked, self._job.teacher, row.digest.hex(), fault)
        self._done.output = self._done.output or self._new_sink()
        self._done.output.write(_line(row.name, _response(row.name, 200, reply.body), None))
        return reply.outcome

    def _write_error(self, name: str, response: object, error: object) -> None:
        self._done.errors = self._done.errors or self._new_sink()
        self._done.errors.write(_line(name, response, error))

    def _drawn(self, what: bytes, row: _Row, share: float) -> bool:
        where = f"{self._job.ordinal} {row.number}".encode()
        return bool(share) and uniform(self._job.seed, what, where) < share


def _response(name: str, status: int, body: bytes) -> dict[str, object]:
    written = orjson.Fragment(body)
    return {"status_code": status, "request_id": f"req_{_ident(name)}", "body": written}


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
