"""The Files and Batches protocol as plain functions: objects and pages written, orders read.

Each reader raises RefusedRequest with what OpenAI would say to a call that is not in order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TypeVar, cast, get_args

from stepdistill.annotator.simulator.batch.files import StoredFile
from stepdistill.annotator.simulator.batch.jobs import BatchState, SimulatedBatch, Status
from stepdistill.annotator.simulator.batch.rows import ENDPOINT, RESPONSES
from stepdistill.annotator.simulator.wire import invalid, missing, read_object

_STAMPED: tuple[Status, ...] = get_args(Status)[1:]  # validating is stamped as created_at
_MOST_PAIRS, _LONGEST_NAME, _LONGEST_VALUE = 16, 64, 512  # of metadata

T = TypeVar("T", StoredFile, SimulatedBatch)


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedBatch:
    """The body of a creation, found in order."""

    input_file_id: str
    endpoint: str
    metadata: Mapping[str, str] | None
    output_kept_s: float | None  # None: as long as usual


def file_object(file: StoredFile, epoch_s: float) -> dict[str, object]:
    """A file as the protocol shows it. epoch_s: the calendar's time when the clock was 0."""
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.size,
        "created_at": int(epoch_s + file.created_s),
        "expires_at": int(epoch_s + file.expires_s),
        "filename": file.filename,
        "purpose": file.purpose,
        "status": "processed",
        "status_details": None,
    }


def batch_object(batch: SimulatedBatch, state: BatchState, epoch_s: float) -> dict[str, object]:
    """A batch as the protocol shows it, with every field it has. epoch_s: as for a file."""
    timeline, stamps = batch.timeline, state.stamps
    errors = [asdict(error) for error in batch.errors or ()]
    blank = "" if timeline.plan.blank_error_file_id else None
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": RESPONSES if batch.order.spoken else ENDPOINT,
        "model": batch.scan.model if batch.scan and batch.scan.model else None,
        "errors": {"object": "list", "data": errors} if state.status == "failed" else None,
        "input_file_id": batch.order.input.id,
        "completion_window": "24h",
        "status": state.status,
        "output_file_id": batch.output.id if batch.output else None,
        "error_file_id": batch.error_file.id if batch.error_file else blank,
        "created_at": int(epoch_s + timeline.created_s),
        "expires_at": int(epoch_s + timeline.expires_s),
        **{
            f"{name}_at": int(epoch_s + stamps[name]) if name in stamps else None
            for name in _STAMPED
        },
        "request_counts": _counts(batch, state),
        "usage": _usage(batch),
        "metadata": batch.order.metadata,
    }


def _counts(batch: SimulatedBatch, state: BatchState) -> dict[str, int]:
    total = len(batch.scan.starts) if batch.scan else 0
    if state.status in ("validating", "failed") or not batch.scan:
        return {"total": 0, "completed": 0, "failed": 0}
    if batch.rows:
        return {"total": total, "completed": batch.rows.completed, "failed": batch.rows.failed}
    return {"total": total, "completed": int(total * state.share), "failed": 0}


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


def read_page(
    items: Sequence[T], query: Mapping[str, str], usual: int, most: int
) -> tuple[Sequence[T], bool]:
    """The items that a list call asks for, by `limit` and `after`, and whether more follow.

    usual: the limit where none is asked for. most: its upper bound.
    """
    limit = query.get("limit", str(usual))
    if not limit.isdecimal():
        raise invalid(f"Invalid 'limit': not an integer: '{limit}'.", "limit", "invalid_type")
    if not 1 <= int(limit) <= most:
        message = f"Invalid 'limit': expected a value from 1 to {most}, but got {limit} instead."
        raise invalid(message, "limit", "integer_out_of_range")
    start, after = 0, query.get("after")
    if after is not None:
        ids = [item.id for item in items]
        if after not in ids:
            raise invalid(f"Invalid 'after': no object with id '{after}'.", "after")
        start = ids.index(after) + 1
    end = start + int(limit)
    return items[start:end], len(items) > end


def list_object(objects: Sequence[Mapping[str, object]], *, more: bool) -> dict[str, object]:
    """A page as the protocol shows it."""
    return {
        "object": "list",
        "data": objects,
        "first_id": objects[0]["id"] if objects else None,
        "last_id": objects[-1]["id"] if objects else None,
        "has_more": more,
    }


def read_creation(raw: bytes) -> AskedBatch:
    """The creation in these bytes."""
    fields = read_object(raw)
    taken = {"endpoint": (ENDPOINT, RESPONSES), "completion_window": ("24h",)}
    for name, supported in taken.items():
        value = _text(fields, name)
        if value not in supported:
            listed = " and ".join(f"'{each}'" for each in supported)
            message = f"Invalid value: '{value}'. Supported values are: {listed}."
            raise invalid(message, name, "invalid_value")
    return AskedBatch(
        input_file_id=_text(fields, "input_file_id"),
        endpoint=_text(fields, "endpoint"),
        metadata=read_metadata(fields.get("metadata")),
        output_kept_s=read_kept_s(fields.get("output_expires_after"), "output_expires_after"),
    )


def read_kept_s(value: object, param: str) -> float | None:
    """Seconds in an expires_after object, None for none."""
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
        raise missing(name)
    if not isinstance(value, str):
        raise invalid(f"Invalid type for '{name}': expected a string.", name, "invalid_type")
    return value


def read_metadata(value: object) -> Mapping[str, str] | None:
    """The metadata of a creation, None for none."""
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
        param = f"metadata.{name}"
        if not isinstance(text, str):
            raise invalid(f"Invalid type for '{param}': expected a string.", param, "invalid_type")
        if len(name) > _LONGEST_NAME or len(text) > _LONGEST_VALUE:
            message = (
                f"Invalid '{param}': string too long: a key has at most {_LONGEST_NAME} "
                f"characters, a value {_LONGEST_VALUE}."
            )
            raise invalid(message, param, "string_above_max_length")
    return cast(dict[str, str], pairs)
