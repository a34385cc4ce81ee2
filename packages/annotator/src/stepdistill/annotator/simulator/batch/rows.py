"""The rows of a batch: an input file checked line by line, and answered, as streams.

Lines come out in an order drawn by seed. Only where lines begin is held in memory, never a line
beyond the one at hand.
"""

import random
from array import array
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import Any, Self, cast

import orjson

from stepdistill.annotator.simulator.batch.files import FileWriter
from stepdistill.annotator.simulator.batch.log import PaidRow
from stepdistill.annotator.simulator.batch.settings import BatchPlan
from stepdistill.annotator.simulator.dialects.responses import SpokenResponses
from stepdistill.annotator.simulator.faults import Fault
from stepdistill.annotator.simulator.log import RequestOutcome
from stepdistill.annotator.simulator.reply import REFUSALS, AnswerSource, reply_with_answer
from stepdistill.annotator.simulator.wire import (
    ChatRequest,
    ErrorReply,
    RefusedRequest,
    body_digest,
    read_chat,
)
from stepdistill.common.uniform import uniform_of

ENDPOINT, RESPONSES = "/v1/chat/completions", "/v1/responses"
_MOST_ERRORS = 50  # that are told of one file
# The errors of rows that were never got to, by how their batch ended.
_EXPIRED = {
    "code": "batch_expired",
    "message": "This request could not be executed before the completion window expired.",
}
_CANCELLED = {
    "code": "batch_cancelled",
    "message": "This request was not executed: the batch was cancelled.",
}
_NO_ANSWER = {"code": "server_error", "message": "This request got no answer."}
_REPEATED_SOON = 0.5  # a row that comes twice waits for a few others in between


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchError:
    """One of a failed batch's errors."""

    code: str
    message: str
    line: int | None = None  # from 1; None where it is no line's fault
    param: str | None = None


@dataclass(slots=True)
class InputScan:
    """What an input file holds, and what is wrong with it."""

    starts: "array[int]" = field(default_factory=lambda: array("Q"))  # of its lines, in bytes
    model: str = ""  # of its first request that names one
    prompt_tokens: int = 0
    errors: list[BatchError] = field(default_factory=list[BatchError])

    @classmethod
    def of(cls, path: Path, most_requests: int) -> Self:
        """Read a file through, a line at a time; empty ones do not count. Raises OSError."""
        scan, start = cls(), 0
        seen: set[bytes] = set()  # digests of custom_ids, which may be long
        with path.open("rb") as file:
            for line in file:
                if line.strip():
                    scan.starts.append(start)
                    scan._check_line(line, seen)
                start += len(line)
        n_requests = len(scan.starts)
        if not n_requests:
            scan.errors.append(BatchError(code="empty_file", message="The input file is empty."))
        if n_requests > most_requests:
            message = f"The batch has {n_requests} requests, the limit is {most_requests}."
            scan.errors.insert(0, BatchError(code="too_many_tasks", message=message))
        del scan.errors[_MOST_ERRORS:]
        return scan

    def _check_line(self, line: bytes, seen: set[bytes]) -> None:
        try:
            row: Any = orjson.loads(line)
        except orjson.JSONDecodeError:
            row = None
        if isinstance(row, dict):
            self._check(cast(dict[str, object], row), seen)
        else:
            self._add("invalid_json_line", "This line is not parseable as valid JSON.")

    def _check(self, row: dict[str, object], seen: set[bytes]) -> None:
        name, body = row.get("custom_id"), row.get("body")
        if not isinstance(name, str) or not name:
            self._add("missing_required_parameter", "Missing: 'custom_id'.", "custom_id")
        elif (digest := body_digest(name.encode())) in seen:
            message = f"The custom_id '{name}' is a duplicate of another request."
            self._add("duplicate_custom_id", message, "custom_id")
        else:
            seen.add(digest)
        if row.get("method") != "POST":
            self._add("invalid_method", "The method must be POST.", "method")
        if row.get("url") != ENDPOINT:
            message = "The URL provided for this request does not match the batch's endpoint."
            self._add("url_mismatch", message, "url")
        if isinstance(body, dict):
            self._check_body(cast(dict[str, object], body))
        else:
            self._add("missing_required_parameter", "Missing: 'body'.", "body")

    def _check_body(self, body: dict[str, object]) -> None:
        model = body.get("model")
        if isinstance(model, str):
            self.model = self.model or model
            if model != self.model:
                message = f"The model '{model}' is not that of the first request, '{self.model}'."
                self._add("model_mismatch", message, "body.model")
        # A body that is no chat request is its row's failure, not the file's.
        with suppress(RefusedRequest):
            self.prompt_tokens += read_chat(body).prompt_tokens

    def _add(self, code: str, message: str, param: str | None = None) -> None:
        if len(self.errors) < _MOST_ERRORS:
            line = len(self.starts)
            self.errors.append(BatchError(code=code, message=message, line=line, param=param))


@dataclass(slots=True)
class AnsweredRows:
    """What came of a batch's rows."""

    output: FileWriter | None = None  # None: nothing was written to it
    errors: FileWriter | None = None  # likewise
    completed: int = 0
    failed: int = 0
    prompt_tokens: int = 0  # billed
    completion_tokens: int = 0  # billed


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    line: int  # of the input file, from 0
    name: str  # its custom_id
    digest: bytes  # of its body, as online
    body: dict[str, object]


@dataclass(slots=True, kw_only=True)
class RowAnswerer:
    """The answering of a share of an input file's rows, once; made to run in a thread."""

    batch_id: str
    ordinal: int  # of the batch
    status: str  # with which the batch ends
    share: float  # of its rows that are answered, 0 to 1
    input_path: Path
    scan: InputScan
    plan: BatchPlan
    seed: int
    teacher: AnswerSource
    failed_before: Counter[bytes]  # body digest -> faults that such a row has met; is written to
    log_paid: Callable[[PaidRow], object]  # is told of every answered row, from the thread
    new_file: Callable[[], FileWriter]
    one_file: bool = False  # errors stand among the answers
    spoken: SpokenResponses | None = None  # what answers are said in; None: chat
    _done: AnsweredRows = field(default_factory=AnsweredRows)
    _repeats: deque[tuple[int, Fault | None]] = field(
        default_factory=deque[tuple[int, Fault | None]]
    )

    def run(self) -> AnsweredRows:
        """Answer the rows and write the files; raises OSError."""
        # Its own source of numbers: every line's turn depends on those before it.
        draws = random.Random(f"{self.seed} {self.ordinal}")
        order = list(range(len(self.scan.starts)))
        draws.shuffle(order)
        # A hair is added: 0.29 of 100 rows are 29, though the product falls short of it.
        n_finished = int(len(order) * self.share + 1e-9)
        with self.input_path.open("rb") as file:
            for line in order[:n_finished]:
                self._answer(self._read(file, line))
                if self._repeats and draws.random() < _REPEATED_SOON:
                    self._write_again(file)
            while self._repeats:
                self._write_again(file)
            for line in order[n_finished:] if self.plan.unfinished_listed else ():
                error = _CANCELLED if self.status == "cancelled" else _EXPIRED
                self._fail(self._read(file, line).name, error)
            for number in range(self.plan.strangers if n_finished else 0):
                row = self._read(file, order[0])
                with suppress(RefusedRequest):  # a row that is no chat request has no answer
                    name = f"stranger-{number}"
                    self._write_answer(name, row.digest, read_chat(row.body), None)
        return self._done

    def _read(self, file: BufferedReader, line: int) -> _Row:
        file.seek(self.scan.starts[line])
        row: dict[str, Any] = orjson.loads(file.readline())
        digest = body_digest(orjson.dumps(row["body"]))
        return _Row(line=line, name=row["custom_id"], digest=digest, body=row["body"])

    def _answer(self, row: _Row) -> None:
        if self._drawn(b"left out", row, self.plan.left_out):
            return
        try:
            chat = read_chat(row.body)
        except RefusedRequest as refused:
            self._fail(row.name, refused.error)
            return
        fault = self.plan.rows.fault(row.line, row.digest, self.failed_before[row.digest])
        if fault and (fault is Fault.DROPPED or fault in REFUSALS):
            self.failed_before[row.digest] += 1
            self._fail(row.name, REFUSALS.get(fault, _NO_ANSWER))
            return
        try:
            outcome = self._write_answer(row.name, row.digest, chat, fault)
        except RefusedRequest as refused:
            self._fail(row.name, refused.error)
            return
        self._bill(row, outcome)
        if self._drawn(b"repeated", row, self.plan.repeated):
            self._repeats.append((row.line, fault))

    def _write_again(self, file: BufferedReader) -> None:
        line, fault = self._repeats.popleft()
        row = self._read(file, line)
        self._write_answer(row.name, row.digest, read_chat(row.body), fault)

    def _bill(self, row: _Row, outcome: RequestOutcome) -> None:
        self._done.completed += 1
        self._done.prompt_tokens += outcome.prompt_tokens
        self._done.completion_tokens += outcome.completion_tokens
        self.log_paid(
            PaidRow(
                batch_id=self.batch_id,
                custom_id=row.name,
                digest=row.digest,
                prompt_tokens=outcome.prompt_tokens,
                completion_tokens=outcome.completion_tokens,
            )
        )

    def _write_answer(
        self, name: str, digest: bytes, chat: ChatRequest, fault: Fault | None
    ) -> RequestOutcome:
        reply = reply_with_answer(chat, self.teacher, digest.hex(), fault)
        self._done.output = self._done.output or self.new_file()
        body = reply.body
        if self.spoken is not None:
            body = orjson.dumps(self.spoken.answer(orjson.loads(body), chat.body))
        self._done.output.write(_line(name, response=(200, body)))
        return reply.outcome

    def _fail(self, name: str, failure: ErrorReply | dict[str, str]) -> None:
        """Write a row to the error file: the refusal that it got, or why it has no response."""
        self._done.failed += 1
        if isinstance(failure, ErrorReply):
            line = _line(name, response=(failure.status, failure.body()))
        else:
            line = _line(name, error=failure)
        if self.one_file:
            self._done.output = self._done.output or self.new_file()
            self._done.output.write(line)
        else:
            self._done.errors = self._done.errors or self.new_file()
            self._done.errors.write(line)

    def _drawn(self, what: bytes, row: _Row, share: float) -> bool:
        where = f"{self.ordinal} {row.line}".encode()
        return bool(share) and uniform_of(self.seed, what, where) < share


def _line(
    name: str,
    *,
    response: tuple[int, bytes] | None = None,  # HTTP status and body
    error: dict[str, str] | None = None,
) -> bytes:
    ident = body_digest(name.encode()).hex()
    line = {
        "id": f"batch_req_{ident}",
        "custom_id": name,
        "response": response
        and {
            "status_code": response[0],
            "request_id": f"req_{ident}",
            "body": orjson.Fragment(response[1]),
        },
        "error": error,
    }
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
