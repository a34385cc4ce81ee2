"""The write-ahead ledger, in the response store: what is meant, before it is done.

    batches   part-NUMBER -> BatchPart;  keys-NUMBER -> its request keys, 32 bytes each
    claims    request key -> the part that asks it (4 bytes), and how often it was asked (1 byte)

A claim of part 0 is free: its request was asked in vain and may be asked again. Each method that
changes something is one transaction, on the disk when it returns.
"""

import time
from collections.abc import Callable, Iterable, Mapping

from lmdb import Transaction

from stepdistill.annotator.store.entries import SealedEntries
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.store.value import KEY_BYTES
from stepdistill.annotator.teacher.batch.part import BatchPart, Stamp, State

_FREE = 0
_PART = b"part-"
_KEYS = b"keys-"


class Ledger:
    """The ledger of one store; it changes nothing where the store is open for reading. clock:
    seconds since 1970."""

    def __init__(self, store: ResponseStore, clock: Callable[[], float] = time.time) -> None:
        self._store, self.now = store, clock
        self._entries, self._claims = SealedEntries(store, "batches"), store.database("claims")
        self.folder = store.path / "batches"

    def parts(self) -> list[BatchPart]:
        """Every part, in the order in which they were made. Raises StoreError: damaged."""
        return [BatchPart.model_validate_json(body) for body in self._entries.starting_with(_PART)]

    def part(self, number: int) -> BatchPart:
        """One part."""
        return next(part for part in self.parts() if part.number == number)

    def open_parts(self) -> list[BatchPart]:
        """The parts whose requests wait for them."""
        return [part for part in self.parts() if part.is_open]

    def keys(self, number: int) -> list[bytes]:
        """The requests of a part, in the order of its lines."""
        keys = self._entries.get(_name(_KEYS, number)) or b""
        return [keys[i : i + KEY_BYTES] for i in range(0, len(keys), KEY_BYTES)]

    def claims(self, keys: Iterable[bytes]) -> list[int]:
        """For each request the open part that asks it, 0 for none."""
        return [part for part, _ in self._read_claims(keys)]

    def tries(self, keys: Iterable[bytes]) -> list[int]:
        """For each request how often it was asked in batches, this time included."""
        return [tries for _, tries in self._read_claims(keys)]

    def add(self, part: BatchPart, keys: list[bytes]) -> BatchPart:
        """A new part, with a number of its own, claims its requests: the intent."""
        part = part.model_copy(update={"history": (Stamp(state=part.state, at=self.now()),)})

        def work(txn: Transaction) -> None:
            self._put(txn, part)
            self._entries.put(txn, _name(_KEYS, part.number), b"".join(keys))
            for key in sorted(keys):  # in their order a commit touches its pages one by one
                _, tries = _claim_in(txn.get(key, db=self._claims))
                txn.put(key, _claim(part.number, tries + 1), db=self._claims)

        self._store.write(work)
        return part

    def next_number(self) -> int:
        """The number of the next part."""
        return max((part.number for part in self.parts()), default=0) + 1

    def save(self, part: BatchPart) -> BatchPart:
        """The part as it is now."""
        self._store.write(lambda txn: self._put(txn, part))
        return part

    def move(self, part: BatchPart, state: State, **changes: object) -> BatchPart:
        """The part in its next state, stamped."""
        return self.save(part.moved(state, self.now(), **changes))

    def settle(self, part: BatchPart, state: State, free: Mapping[bytes, int]) -> BatchPart:
        """Give up a part's claims. free: requests to be asked again -> how often they were."""
        keys = self.keys(part.number)
        part = part.moved(state, self.now())

        def work(txn: Transaction) -> None:
            for key in sorted(keys):
                if _claim_in(txn.get(key, db=self._claims))[0] != part.number:
                    continue  # another part asks it by now
                if key in free:
                    txn.put(key, _claim(_FREE, free[key]), db=self._claims)
                else:
                    txn.delete(key, db=self._claims)
            self._entries.delete(txn, _name(_KEYS, part.number))
            self._put(txn, part)

        self._store.write(work)
        return part

    def _read_claims(self, keys: Iterable[bytes]) -> list[tuple[int, int]]:
        claims = self._claims
        if claims is None:  # a reader of a store from before there were any
            return [(_FREE, 0) for _ in keys]
        return self._store.read(lambda txn: [_claim_in(txn.get(key, db=claims)) for key in keys])

    def _put(self, txn: Transaction, part: BatchPart) -> None:
        self._entries.put(txn, _name(_PART, part.number), part.model_dump_json().encode())


def _name(kind: bytes, number: int) -> bytes:
    return kind + b"%010d" % number  # as long as the others, so that keys are in order of numbers


def _claim(part: int, tries: int) -> bytes:
    return part.to_bytes(4) + min(tries, 255).to_bytes()


def _claim_in(value: object) -> tuple[int, int]:
    """(part, tries) of a claim's value; (0, 0) for none."""
    if not isinstance(value, bytes):
        return _FREE, 0
    return int.from_bytes(value[:4]), value[4]
