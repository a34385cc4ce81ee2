"""The log of the Batch API: every call, every batch, every row that was paid, server's side.

What happened is written as events, one after the other; the judgements are read off them. A row
is paid when it is answered, once, whatever is polled or downloaded how often afterwards.
"""

from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import orjson

from stepdistill.annotator.simulator.faults import Fault

_DIGEST_BYTES = 16


class CallKind(StrEnum):
    """The calls of the Files and Batches endpoints."""

    UPLOAD = "files.create"
    START = "files.start"  # where a file is to be sent; Gemini
    FILES = "files.list"
    FILE = "files.get"
    DELETE = "files.delete"
    DOWNLOAD = "files.content"
    CREATE = "batches.create"
    BATCHES = "batches.list"
    BATCH = "batches.get"
    CANCEL = "batches.cancel"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchCall:
    """One call, written down when its fate is decided, before its answer goes to the socket."""

    kind: CallKind
    ordinal: int  # its number among the calls of its kind, from 0
    target: str  # the file or batch that it made or asked for, empty for none
    key: str  # the API key's fingerprint
    start_s: float  # by the simulator's clock, as end_s
    end_s: float
    status: int  # HTTP status, 0 for no answer; of a LOST answer the one that nobody heard
    fault: Fault | None = None
    to_end: bool = False  # a download that was given its file's last byte


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploaded:
    """A file that a client sent."""

    file_id: str
    key: str  # the API key's fingerprint
    sha256: str  # in hex
    size: int  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """A batch that was created, whether or not its client heard of it."""

    batch_id: str
    key: str  # the API key's fingerprint
    input_file_id: str
    input_sha256: str
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidRow:
    """An answered row of a batch."""

    batch_id: str
    custom_id: str
    digest: bytes  # of its body, as online
    prompt_tokens: int  # as billed
    completion_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A batch that reached its last state."""

    batch_id: str
    status: str
    output_file_id: str  # empty where there is no such file
    error_file_id: str  # likewise


Event = BatchCall | Uploaded | Created | PaidRow | Ended
# By the names that they have in a log file.
_EVENTS: dict[str, type[Event]] = {
    "call": BatchCall,
    "uploaded": Uploaded,
    "created": Created,
    "paidrow": PaidRow,
    "ended": Ended,
}
_NAMES = {kind: name for name, kind in _EVENTS.items()}


@dataclass(slots=True)
class _PaidRows:
    """The paid rows of one batch, in columns: a hundred bytes a row, not a thousand."""

    custom_ids: bytearray = field(default_factory=bytearray)  # each ends in a zero byte
    digests: bytearray = field(default_factory=bytearray)
    prompt_tokens: "array[int]" = field(default_factory=lambda: array("I"))
    completion_tokens: "array[int]" = field(default_factory=lambda: array("I"))

    def add(self, row: PaidRow) -> None:
        self.custom_ids += row.custom_id.encode() + b"\0"
        self.digests += row.digest
        self.prompt_tokens.append(row.prompt_tokens)
        self.completion_tokens.append(row.completion_tokens)

    def rows(self, batch_id: str) -> Iterator[PaidRow]:
        names = bytes(self.custom_ids).split(b"\0")
        for number, name in enumerate(names[:-1]):
            start = number * _DIGEST_BYTES
            yield PaidRow(
                batch_id=batch_id,
                custom_id=name.decode(),
                digest=bytes(self.digests[start : start + _DIGEST_BYTES]),
                prompt_tokens=self.prompt_tokens[number],
                completion_tokens=self.completion_tokens[number],
            )


class BatchLog:
    """Events of the Batch API, and what they come to."""

    def __init__(self, write: Callable[[bytes], object] | None = None) -> None:
        self.calls: list[BatchCall] = []
        self.uploads: list[Uploaded] = []
        self.batches: list[Created] = []
        self.ended: list[Ended] = []
        # Told of every call before its answer is sent: the moment to kill a client whose call was
        # served and who has not heard.
        self.on_call: Callable[[BatchCall], object] | None = None
        self._paid: defaultdict[str, _PaidRows] = defaultdict(_PaidRows)  # by batch
        self._write = write

    def record(self, event: Event) -> None:
        """Take an event into the log, and write it down if that has a file."""
        match event:
            case BatchCall():
                self.calls.append(event)
            case Uploaded():
                self.uploads.append(event)
            case Created():
                self.batches.append(event)
            case PaidRow():
                self._paid[event.batch_id].add(event)
            case Ended():
                self.ended.append(event)
        if self._write:
            named = {"event": _NAMES[type(event)], **fields_of(event)}
            self._write(orjson.dumps(named, default=bytes.hex, option=orjson.OPT_APPEND_NEWLINE))
        if isinstance(event, BatchCall) and self.on_call:
            self.on_call(event)

    def read(self, fields: dict[str, Any]) -> None:
        """Take back an event that was written down."""
        kind = _EVENTS[fields.pop("event")]
        if kind is PaidRow:
            fields["digest"] = bytes.fromhex(fields["digest"])
        if kind is BatchCall:
            fields["kind"] = CallKind(fields["kind"])
            fields["fault"] = fields["fault"] and Fault(fields["fault"])
        self.record(kind(**fields))

    def paid_rows(self) -> Iterator[PaidRow]:
        """Every row that was paid, as often as it was."""
        for batch_id, rows in self._paid.items():
            yield from rows.rows(batch_id)

    def paid(self) -> Counter[str]:
        """custom_id -> how often it was paid."""
        return Counter(row.custom_id for row in self.paid_rows())

    def billed_tokens(self) -> tuple[int, int]:
        """(prompt, completion) tokens charged, at the batch price."""
        return (
            sum(sum(rows.prompt_tokens) for rows in self._paid.values()),
            sum(sum(rows.completion_tokens) for rows in self._paid.values()),
        )

    def created(self) -> Counter[str]:
        """sha256 of an input file's content -> batches that were created with it."""
        return Counter(batch.input_sha256 for batch in self.batches)

    def unused_files(self) -> list[str]:
        """Files that were uploaded, are in no batch and were not deleted."""
        used = {batch.input_file_id for batch in self.batches}
        used |= {
            call.target
            for call in self.calls
            if call.kind is CallKind.DELETE and call.status == 200
        }
        return [upload.file_id for upload in self.uploads if upload.file_id not in used]

    def orphans(self) -> list[str]:
        """Batches that nobody came back for: not ended, or a file of theirs not read to its end."""
        read = {call.target for call in self.calls if call.to_end}
        cared_for = {
            end.batch_id
            for end in self.ended
            if {end.output_file_id, end.error_file_id} - {""} <= read
        }
        return [batch.batch_id for batch in self.batches if batch.batch_id not in cared_for]


def fields_of(record: Any) -> dict[str, Any]:
    """The fields of a dataclass with slots, by name; asdict would copy what they hold."""
    return {name: getattr(record, name) for name in record.__slots__}
