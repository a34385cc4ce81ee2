"""The Files and Batches protocol as plain functions: objects and pages written, orders read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar, cast

import orjson

from stepdistill.annotator.simulator.batch.desk import SimulatedBatch
from stepdistill.annotator.simulator.batch.file_shelf import StoredFile
from stepdistill.annotator.simulator.batch.scan import ENDPOINT
from stepdistill.annotator.simulator.batch.timeline import Moment, Status
from stepdistill.annotator.simulator.reply import RefusedRequest
from stepdistill.annotator.simulator.wire import ErrorReply

T = TypeVar("T")
ToUnix = Callable[[float], int]

_STAMPS: tuple[Status, ...] = (
    "in_progress",
    "finalizing",
    "completed",
    "failed",
    "expired",
    "cancelling",
    "cancelled",
)
_MOST_PAIRS, _LONGEST_NAME, _LONGEST_VALUE = 16, 64, 512


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedBatch:
    """The body of a creation, found in order; output_kept_s None: as long as usual."""

    input_file_id: str
    metadata: Mapping[str, str] | None
    output_kept_s: float | None


def invalid(
    message: str, param: str | None = None, code: str | None = None, status: int = 400
) -> RefusedRequest:
    """A refusal as OpenAI words it."""
    error = ErrorReply(
        status=status, message=message, type="invalid_request_error", code=code, param=param
    )
    return RefusedRequest(error)


def file_object(file: StoredFile, unix: ToUnix) -> dict[str, object]:
    """A file as the protocol shows it."""
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.size,
        "created_at": unix(file.created_s),
        "expires_at": unix(file.expires_s),
        "filename": file.filename,
        "purpose": file.purpose,
        "status": "processed",
        "status_details": None,
    }


def batch_object(batch: SimulatedBatch, reached: Moment, unix: ToUnix) -> dict[str, object]:
    """A batch as the protocol shows it, with every field it has."""
    blank = "" if batch.plan.blank_error_file_id else None
    stamps = {
        f"{status}_at": unix(reached.stamps[status]) if status in reached.stamps else None
        for status in _STAMPS
    }
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": ENDPOINT,
        "model": batch.scan.model if batch.scan and batch.scan.model else None,
        "errors": _errors(batch, reached),
        "input_file_id": batch.order.input.id,
        "completion_window": "24h",
        "status": reached.status,
        "output_file_id": batch.output.id if batch.output else None,
        "error_file_id": batch.error_file.id if batch.error_file else blank,
        "created_at": unix(batch.created_s),
        "expires_at": unix(batch.life.expires_s),
        **stamps,
        "request_counts": _counts(batch, reached),
        "usage": _usage(batch),
        "metadata": batch.order.metadata,
    }


def _errors(batch: SimulatedBatch, reached: Moment) -> dict[str, object] | None:
    if reached.status != "failed":
        return None
    return {"object": "list", "data": [asdict(error) for error in batch.errors or ()]}


def _counts(batch: SimulatedBatch, reached: Moment) -> dict[str, int]:
    if batch.rows and reached.status != "failed":
        total = len(batch.scan.starts) if batch.scan else 0
        return {"total": total, "completed": batch.rows.completed, "failed": batch.rows.failed}
    if batch.scan is None or reached.status in ("validating", "failed"):
        return {"total": 0, "completed": 0, "failed": 0}
    total = len(batch.scan.starts)
    return {"total": total, "completed": int(total * reached.share), "failed": 0}


def _usage(batch: SimulatedBatch) -> dict[str, object] | None:
    rows = batch.rows
    if rows is None:
        return None
    return {
        "input_tokens": rows.prompt_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": rows.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": rows.prompt_tokens + rows.completion_tokens,
    }


def read_limit(query: Mapping[str, str], default: int, most: int) -> int:
    """`limit` of a list; raises Refused outside 1 to most."""
    word = query.get("limit", str(default))
    if not word.isdecimal():
        raise invalid(f"Invalid 'limit': not an integer: '{word}'.", "limit", "invalid_type")
    if not 1 <= int(word) <= most:
        message = f"Invalid 'limit': expected a value from 1 to {most}, but got {word} instead."
        raise invalid(message, "limit", "integer_out_of_range")
    return int(word)


def page(items: Sequence[T], ids: Sequence[str], query: Mapping[str, str], limit: int) -> list[T]:
    """The items after the cursor and one more than limit, if there are; raises Refused."""
    after = query.get("after")
    if after is not None and after not in ids:
        raise invalid(f"Invalid 'after': no object with id '{after}'.", "after")
    start = ids.index(after) + 1 if after else 0
    return list(items[start : start + limit + 1])


def list_object(objects: Sequence[Mapping[str, object]], *, more: bool) -> bytes:
    """A page as the protocol shows it."""
    body = {
        "object": "list",
        "data": objects,
        "first_id": objects[0]["id"] if objects else None,
        "last_id": objects[-1]["id"] if objects else None,
        "has_more": more,
    }
    return orjson.dumps(body)


def read_creation(raw: bytes) -> AskedBatch:
    """The creation in these bytes; raises Refused with what OpenAI would say to it."""
    try:
        body: Any = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise invalid("We could not parse the JSON body of your request.") from None
    if not isinstance(body, dict):
        raise invalid("The JSON body of your request must be an object.")
    fields = cast(dict[str, object], body)
    _only(fields, "endpoint", ENDPOINT)
    _only(fields, "completion_window", "24h")
    input_file_id = _text(fields, "input_file_id")
    return AskedBatch(
        input_file_id=input_file_id,
        metadata=_metadata(fields.get("metadata")),
        output_kept_s=read_kept_s(fields.get("output_expires_after"), "output_expires_after"),
    )


def read_kept_s(value: object, param: str) -> float | None:
    """Seconds in an expires_after object, None for none; raises Refused."""
    if value is None:
        return None
    fields = cast(dict[str, object], value) if isinstance(value, dict) else {}
    seconds = fields.get("seconds")
    if fields.get("anchor") != "created_at":
        raise invalid(f"Invalid '{param}.anchor': must be 'created_at'.", f"{param}.anchor")
    if not isinstance(seconds, int) or not 3_600 <= seconds <= 2_592_000:
        raise invalid(f"Invalid '{param}.seconds': 3600 to 2592000.", f"{param}.seconds")
    return float(seconds)


def _text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    if value is None:
        message = f"Missing required parameter: '{name}'."
        raise invalid(message, name, "missing_required_parameter")
    if not isinstance(value, str):
        raise invalid(f"Invalid type for '{name}': expected a string.", name, "invalid_type")
    return value


def _only(fields: Mapping[str, object], name: str, supported: str) -> None:
    value = _text(fields, name)
    if value != supported:
        message = f"Invalid value: '{value}'. Supported values are: '{supported}'."
        raise invalid(message, name, "invalid_value")


def _metadata(value: object) -> Mapping[str, str] | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        message = "Invalid type for 'metadata': expected an object."
        raise invalid(message, "metadata", "invalid_type")
    pairs = cast(dict[str, object], value)
    if len(pairs) > _MOST_PAIRS:
        message = f"Invalid 'metadata': {len(pairs)} pairs, at most {_MOST_PAIRS} are allowed."
        raise invalid(message, "metadata", "object_above_max_properties")
    for name, text in pairs.items():
        if not isinstance(text, str):
            message = f"Invalid type for 'metadata.{name}': expected a string."
            raise invalid(message, f"metadata.{name}", "invalid_type")
        if len(name) > _LONGEST_NAME or len(text) > _LONGEST_VALUE:
            message = (
                f"Invalid 'metadata.{name}': string too long: a key has at most {_LONGEST_NAME} "
                f"characters, a value {_LONGEST_VALUE}."
            )
            raise invalid(message, f"metadata.{name}", "string_above_max_length")
    return cast(dict[str, str], pairs)
