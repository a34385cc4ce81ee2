"""The simulator's books: every request it got, judged from the server's side.

An entry is made when a request's fate is decided, just before the answer goes to the socket: an
answer that its client did not live to read was still served, and paid for.
"""

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import orjson

from stepdistill.annotator.simulator.batch.books import BatchBooks
from stepdistill.annotator.simulator.faults import Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A request that has come and has no entry yet."""

    ordinal: int
    arrival_s: float
    digest: bytes
    attempt: int
    in_flight: int
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestOutcome:
    """What became of a request; status 0 means that nothing was answered."""

    status: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    limit_tokens: int = 0
    billed: bool = False
    fault: Fault | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One request in the books.

    ordinal: its number in order of arrival, from 0.
    arrival_s, end_s: by the simulator's clock.
    digest: blake2b of the body, 16 bytes; attempt: how often that body had come before.
    in_flight: requests in the house at its arrival, itself included.
    key: the first digits of the API key's sha256, empty for none; the key is nowhere.
    limit_tokens: what it counts toward tokens per minute, refused or not.
    """

    ordinal: int
    arrival_s: float
    end_s: float
    digest: bytes
    attempt: int
    in_flight: int
    key: str
    status: int
    prompt_tokens: int
    completion_tokens: int
    limit_tokens: int
    billed: bool
    fault: Fault | None

    @property
    def served(self) -> bool:
        """Whether a teacher's whole answer went out."""
        return self.status == 200 and self.billed and self.fault not in (Fault.TORN, Fault.LOST)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLoad:
    """The most that one window saw."""

    requests: int
    tokens: int


class RequestLog:
    """Entries in memory and, given a path, one JSON line each, written at once so that it stays."""

    def __init__(self, clock: Callable[[], float], path: Path | None = None) -> None:
        """Raises OSError when the path cannot be appended to."""
        self.entries: list[Entry] = []
        self.in_flight = 0
        self._clock = clock
        self._arrived = 0
        self._attempts: Counter[bytes] = Counter()
        self._file = path.open("ab", buffering=0) if path else None
        self.batch = BatchBooks(self._file.write if self._file else None)

    @classmethod
    def read(cls, path: Path) -> Self:
        """The books of a file; raises OSError. A last line cut by a kill is left out."""
        log = cls(clock=lambda: 0.0)
        for line in path.read_bytes().split(b"\n")[:-1]:
            fields = orjson.loads(line)
            if "event" in fields:
                log.batch.read(fields)
            else:
                log.entries.append(_entry(fields))
        return log

    def now(self) -> float:
        """The time by the simulator's clock, in seconds."""
        return self._clock()

    def arrive(self, digest: bytes, key: str, arrival_s: float) -> Visit:
        """A request has come."""
        self.in_flight += 1
        visit = Visit(
            ordinal=self._arrived,
            arrival_s=arrival_s,
            digest=digest,
            attempt=self._attempts[digest],
            in_flight=self.in_flight,
            key=key,
        )
        self._arrived += 1
        self._attempts[digest] += 1
        return visit

    def leave(self, visit: Visit, outcome: RequestOutcome) -> None:
        """Its fate is decided."""
        self.in_flight -= 1
        entry = Entry(
            ordinal=visit.ordinal,
            arrival_s=visit.arrival_s,
            end_s=self._clock(),
            digest=visit.digest,
            attempt=visit.attempt,
            in_flight=visit.in_flight,
            key=visit.key,
            status=outcome.status,
            prompt_tokens=outcome.prompt_tokens,
            completion_tokens=outcome.completion_tokens,
            limit_tokens=outcome.limit_tokens,
            billed=outcome.billed,
            fault=outcome.fault,
        )
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
        return sum(entry.billed for entry in self.entries)

    def paid(self) -> Counter[bytes]:
        """Body digest -> how often its answer was charged, online and in batches together."""
        paid = Counter(entry.digest for entry in self.entries if entry.billed)
        paid.update(row.digest for row in self.batch.paid_rows())
        return paid

    def statuses(self) -> Counter[int]:
        """HTTP status -> requests that ended with it; 0 for no answer."""
        return Counter(entry.status for entry in self.entries)

    def faults(self) -> Counter[Fault]:
        """Fault -> requests that met it."""
        return Counter(entry.fault for entry in self.entries if entry.fault)

    def peak_in_flight(self) -> int:
        """The most requests in the house at a time, of those that have ended."""
        return max((entry.in_flight for entry in self.entries), default=0)

    def billed_tokens(self) -> tuple[int, int]:
        """(prompt, completion) tokens charged."""
        billed = [entry for entry in self.entries if entry.billed]
        return (
            sum(entry.prompt_tokens for entry in billed),
            sum(entry.completion_tokens for entry in billed),
        )

    def busiest(self, window_s: float = 60.0) -> ServerLoad:
        """The most requests, and the most limit_tokens, that came within any window_s seconds."""
        entries = sorted(self.entries, key=lambda entry: entry.arrival_s)
        most_requests = most_tokens = tokens = oldest = 0
        for number, entry in enumerate(entries):
            tokens += entry.limit_tokens
            while entries[oldest].arrival_s <= entry.arrival_s - window_s:
                tokens -= entries[oldest].limit_tokens
                oldest += 1
            most_requests = max(most_requests, number - oldest + 1)
            most_tokens = max(most_tokens, tokens)
        return ServerLoad(requests=most_requests, tokens=most_tokens)


def fingerprint(authorization: str) -> str:
    """12 hex digits that tell API keys apart and give none away; empty without a bearer key."""
    scheme, _, key = authorization.partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        return ""
    return hashlib.sha256(key.strip().encode()).hexdigest()[:12]


def _line(entry: Entry) -> bytes:
    fields = {name: getattr(entry, name) for name in Entry.__slots__}
    return orjson.dumps({**fields, "digest": entry.digest.hex()}, option=orjson.OPT_APPEND_NEWLINE)


def _entry(fields: dict[str, Any]) -> Entry:
    fields["digest"] = bytes.fromhex(fields["digest"])
    fields["fault"] = Fault(fields["fault"]) if fields["fault"] else None
    return Entry(**fields)
