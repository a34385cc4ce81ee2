"""One line of an output or error file: which request it is about, and what became of it. Pure."""

from dataclasses import dataclass

import orjson
from pydantic import ValidationError

from stepdistill.annotator.errors import NotFound, Overloaded, TeacherError
from stepdistill.annotator.store.answer import Answer
from stepdistill.annotator.teacher.batch.protocol import BatchProblem, LineResponse, ResultLine
from stepdistill.annotator.teacher.reply import error_of, read_answer

_HEX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class LineResult:
    """key: of the request, None for a line that is about none. outcome: what was made of it."""

    key: bytes | None
    outcome: Answer | TeacherError


def read_result(line: bytes, limit: int) -> LineResult | None:
    """What a line says; None for one that cannot be read. limit: tokens that were asked for."""
    try:
        said = ResultLine.model_validate_json(line)
    except ValidationError:
        return None
    return LineResult(key=_key(said.custom_id), outcome=_outcome(said, limit))


def problem_of(problem: BatchProblem) -> TeacherError:
    """What a reason for which a whole batch failed means."""
    error = {"code": problem.code, "message": problem.message}
    if problem.code == "file_not_found":
        return NotFound(f"{problem.code}: {problem.message}")
    return error_of(400, orjson.dumps({"error": error}), {})


def _outcome(said: ResultLine, limit: int) -> Answer | TeacherError:
    reply = said.response
    if reply is None:
        code = (said.error and said.error.code) or "no response"
        text = (said.error and said.error.message) or ""
        return Overloaded(f"{code}: {text}" if text else code)
    body = orjson.dumps(reply.body)
    if reply.status_code == 200:
        return _answer(body, reply, limit)
    return error_of(reply.status_code, body, {})


def _answer(body: bytes, reply: LineResponse, limit: int) -> Answer | TeacherError:
    try:
        return read_answer(body, limit=limit, request_id=reply.request_id, mode="batch")
    except TeacherError as error:
        return error


def _key(custom_id: str) -> bytes | None:
    try:
        return bytes.fromhex(custom_id) if len(custom_id) == _HEX else None
    except ValueError:
        return None
