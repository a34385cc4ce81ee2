"""Checking an input file line by line, as OpenAI does while a batch is `validating`."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import orjson

from stepdistill.annotator.simulator.wire import ChatRequest, body_digest, read_body

ENDPOINT = "/v1/chat/completions"
_MOST_ERRORS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchError:
    """One of a failed batch's errors; line counts from 1, None where it is no line's fault."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InputScan:
    """What an input file holds: where its lines begin, in bytes, and what is wrong with it."""

    starts: "array[int]"
    model: str
    prompt_tokens: int
    errors: tuple[BatchError, ...]


def scan_input(path: Path, most_requests: int) -> InputScan:
    """Read a file through, a line at a time; raises OSError."""
    scanner = _Scanner()
    with path.open("rb") as file:
        for start, line in _lines(file):
            scanner.take(start, line)
    return scanner.verdict(most_requests)


def _lines(file: Any) -> Iterator[tuple[int, bytes]]:
    start = 0
    for line in file:
        if line.strip():
            yield start, line
        start += len(line)


class _Scanner:
    def __init__(self) -> None:
        self._starts: array[int] = array("Q")
        self._model = ""
        self._prompt_tokens = 0
        self._errors: list[BatchError] = []
        self._seen: set[bytes] = set()

    def take(self, start: int, line: bytes) -> None:
        self._starts.append(start)
        try:
            row: Any = orjson.loads(line)
        except orjson.JSONDecodeError:
            row = None
        if isinstance(row, dict):
            self._check(cast(dict[str, object], row))
        else:
            self._add("invalid_json_line", "This line is not parseable as valid JSON.")

    def verdict(self, most_requests: int) -> InputScan:
        count = len(self._starts)
        if not count:
            self._errors.append(BatchError(code="empty_file", message="The input file is empty."))
        if count > most_requests:
            message = f"The batch has {count} requests, the limit is {most_requests}."
            self._errors.insert(0, BatchError(code="too_many_tasks", message=message))
        return InputScan(
            starts=self._starts,
            model=self._model,
            prompt_tokens=self._prompt_tokens,
            errors=tuple(self._errors[:_MOST_ERRORS]),
        )

    def _check(self, row: dict[str, object]) -> None:
        name, body = row.get("custom_id"), row.get("body")
        if not isinstance(name, str) or not name:
            self._add("missing_required_parameter", "Missing: 'custom_id'.", "custom_id")
        elif (digest := body_digest(name.encode())) in self._seen:
            message = f"The custom_id '{name}' is a duplicate of another request."
            self._add("duplicate_custom_id", message, "custom_id")
        else:
            self._seen.add(digest)
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
            self._model = self._model or model
            if model != self._model:
                message = f"The model '{model}' is not that of the first request, '{self._model}'."
                self._add("model_mismatch", message, "body.model")
        # A body that is no chat request is its row's failure, not the file's.
        asked = read_body(body)
        self._prompt_tokens += asked.prompt_tokens if isinstance(asked, ChatRequest) else 0

    def _add(self, code: str, message: str, param: str | None = None) -> None:
        if len(self._errors) < _MOST_ERRORS:
            line = len(self._starts)
            self._errors.append(BatchError(code=code, message=message, line=line, param=param))
