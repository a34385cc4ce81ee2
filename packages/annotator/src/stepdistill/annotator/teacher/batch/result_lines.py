"""A line of a batch's results: which request it is about, and what came of that."""

import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from stepdistill.annotator.errors import TeacherError, Unreadable
from stepdistill.annotator.store.answer import Answer
from stepdistill.annotator.store.value import KEY_BYTES
from stepdistill.annotator.teacher.body import clean, loaded, object_in
from stepdistill.annotator.teacher.dialects.dialect import Dialect
from stepdistill.annotator.teacher.dialects.registry import dialect_of
from stepdistill.annotator.teacher.error_body import error_in
from stepdistill.annotator.teacher.error_reply import error_of, error_without_reply
from stepdistill.annotator.teacher.reply import ReplyContext

_CUSTOM_ID = re.compile(rb'"(?:custom_id|key)"\s*:\s*"([0-9a-f]{64})"')  # a key, in hex


@dataclass(frozen=True, slots=True, kw_only=True)
class LineResult:
    """What one line of an output or error file says."""

    key: bytes | None  # of the request; None for a line that is about none
    outcome: Answer | TeacherError


class ResultForm(NamedTuple):
    """How lines are to be read."""

    dialect: Dialect  # of the replies in them
    as_openai: Callable[[Mapping[str, Any]], Mapping[str, Any]]  # of the protocol
    label_names: tuple[str, ...] = ()  # near which log-probabilities are kept


def _as_it_is(line: Mapping[str, Any]) -> Mapping[str, Any]:
    return line


OPENAI = ResultForm(dialect_of("chat"), _as_it_is)


def read_result(
    line: bytes, limit: int, model: str = "", form: ResultForm = OPENAI
) -> LineResult | None:
    """What a line says; None for one that cannot be read. limit, model: as they were asked for."""
    context = ReplyContext(limit, model, mode="batch", label_names=form.label_names)
    try:
        read = object_in(loaded(line))
        fields = read and form.as_openai(read)
    except ValueError:
        return _salvaged(line, context, form.dialect)
    if not fields or not isinstance(name := fields.get("custom_id"), str):
        return None
    try:
        key = bytes.fromhex(name) if len(name) == 2 * KEY_BYTES else None
    except ValueError:
        key = None
    try:
        return LineResult(key=key, outcome=_answer(fields, context, form.dialect))
    except TeacherError as error:
        return LineResult(key=key, outcome=error)


def _salvaged(line: bytes, context: ReplyContext, dialect: Dialect) -> LineResult | None:
    """The answer of a line that is no JSON as a whole, where one is whole in it."""
    named = _CUSTOM_ID.search(line)
    with suppress(TeacherError):
        answer = dialect.read(line, context)
        return named and LineResult(key=bytes.fromhex(named[1].decode()), outcome=answer)
    return None


def _answer(line: Mapping[str, Any], context: ReplyContext, dialect: Dialect) -> Answer:
    """Raises TeacherError."""
    reply = object_in(line.get("response"))
    if reply is None:
        raise error_without_reply(error_in(line.get("error")))
    body, status = reply.get("body"), reply.get("status_code")
    try:
        content = clean(body).encode() if isinstance(body, str) else json.dumps(body).encode()
    except RecursionError:
        raise Unreadable("the reply is JSON that is nested too deeply") from None
    if type(status) is int and not 200 <= status < 300:
        raise error_of(status, content, {})
    return dialect.read(content, context._replace(request_id=reply.get("request_id")))
