"""The simulator's log: every request it got, judged from the server's side.

An entry is made when a request's fate is decided, just before the answer goes to the socket: an
answer that its client did not live to read was still served, and paid for.
"""

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import orjson

from stepdistill.annotator.simulator.batch.log import BatchLog, fields_of
from stepdistill.annotator.simulator.faults import Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestOutcome:
    """What became of a request."""

    status: int = 0  # HTTP status; 0: nothing was answered
    prompt_tokens: int = 0
    completion_tokens: int = 0
    limit_tokens: int = 0  # what it counts toward tokens per minute, refused or not
    billed: bool = False
    fault: Fault | None = None


@dataclass(slots=True, kw_only=True)
class LogEntry:
    """One request; its end and its outcome are known once it leaves."""

    ordinal: int  # its number in order of arrival, from 0
    arrival_s: float  # by the simulator's clock, as end_s
    end_s: float = 0.0
    digest: bytes  # blake2b of the body, 16 bytes
    attempt: int  # how often that body had come before
    in_flight: int  # requests that were being served at its arrival, itself included
    key: str  # the API key's fingerprint, empty for none; the key itself is nowhere
    outcome: RequestOutcome = field(default_factory=RequestOutcome)

    @property
    def served(self) -> bool:
        """Whether a teacher's whole answer went out."""
        spoiled = self.outcome.fault in (Fault.TORN, Fault.LOST)
        return self.outcome.status == 200 and self.outcome.billed and not spoiled


class RequestLog:
    """Entries in memory and, given a path, one JSON line each, written at once so that it stays."""

    def __init__(self, clock: Callable[[], float], path: Path | None = None) -> None:
        """Raises OSError when the path cannot be appended to."""
        self.entries: list[LogEntry] = []
        self.in_flight = 0
        self.now = clock  # the simulator's clock, in seconds
        self._arrived = 0
        self._attempts: Counter[bytes] = Counter()
        self._file = path.open("ab", buffering=0) if path else None
        self.batch = BatchLog(self._file.write if self._file else None)

    @classmethod
    def read(cls, path: Path) -> Self:
        """The log in a file; raises OSError. A last line cut by a kill is left out."""
        log = cls(clock=lambda: 0.0)
        for line in path.read_bytes().split(b"\n")[:-1]:
            fields = orjson.loads(line)
            if "event" in fields:
                log.batch.read(fields)
            else:
                log.entries.append(_entry(fields))
        return log

    def arrive(self, digest: bytes, key: str, arrival_s: float) -> LogEntry:
        """A request has come."""
        self.in_flight += 1
        entry = LogEntry(
            ordinal=self._arrived,
            arrival_s=arrival_s,
            digest=digest,
            attempt=self._attempts[digest],
            in_flight=self.in_flight,
            key=key,
        )
        self._arrived += 1
        self._attempts[digest] += 1
        return entry

    def leave(self, entry: LogEntry, outcome: RequestOutcome) -> None:
        """Its fate is decided."""
        self.in_flight -= 1
        entry.end_s, entry.outcome = self.now(), outcome
        self.entries.append(entry)
        if self._file:
            self._file.write(_line(entry))

    def close(self) -> None:
        """Close the file; the entries stay."""
        if self._file:
            self._file.close()
            self._file = None

    def served(self) -> Counter[bytes]:
        """Body digest -> whole answers sent for it."""
        return Counter(entry.digest for entry in self.entries if entry.served)

    def served_count(self) -> int:
        """Whole answers sent."""
        return sum(entry.served for entry in self.entries)

    def billed_count(self) -> int:
        """Answers made online and charged, whether or not they went out whole."""
        return sum(entry.outcome.billed for entry in self.entries)

    def paid(self) -> Counter[bytes]:
        """Body digest -> how often its answer was charged, online and in batches together."""
        paid = Counter(entry.digest for entry in self.entries if entry.outcome.billed)
        paid.update(row.digest for row in self.batch.paid_rows())
        return paid

    def statuses(self) -> Counter[int]:
        """HTTP status -> requests that ended with it; 0 for no answer."""
        return Counter(entry.outcome.status for entry in self.entries)

    def faults(self) -> Counter[Fault]:
        """Fault -> requests that met it."""
        return Counter(fault for entry in self.entries if (fault := entry.outcome.fault))

    def peak_in_flight(self) -> int:
        """The most requests that were served at a time, of those that have ended."""
        return max((entry.in_flight for entry in self.entries), default=0)

    def billed_tokens(self) -> tuple[int, int]:
        """(prompt, completion) tokens charged."""
        billed = [entry.outcome for entry in self.entries if entry.outcome.billed]
        prompt_tokens = sum(outcome.prompt_tokens for outcome in billed)
        return prompt_tokens, sum(outcome.completion_tokens for outcome in billed)


def fingerprint(authorization: str) -> str:
    """12 hex digits that tell API keys apart and give none away; empty without a bearer key."""
    scheme, _, key = authorization.partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        return ""
    return hashlib.sha256(key.strip().encode()).hexdigest()[:12]


def _line(entry: LogEntry) -> bytes:
    # One flat object, so that a line can be read without knowing what is an outcome's field.
    fields = fields_of(entry)
    fields |= fields_of(fields.pop("outcome"))
    return orjson.dumps(fields, default=bytes.hex, option=orjson.OPT_APPEND_NEWLINE)


def _entry(fields: dict[str, Any]) -> LogEntry:
    outcome = {name: fields.pop(name) for name in RequestOutcome.__slots__}
    outcome["fault"] = outcome["fault"] and Fault(outcome["fault"])
    fields["digest"] = bytes.fromhex(fields["digest"])
    return LogEntry(**fields, outcome=RequestOutcome(**outcome))
