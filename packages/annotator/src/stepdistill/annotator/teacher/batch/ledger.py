"""The write-ahead ledger, in the response store: what is meant, before it is done.

    batches   part-NUMBER -> Part, sealed JSON;  keys-NUMBER -> its request keys, 32 bytes each
    claims    request key -> the part that asks it (4 bytes), and how often it was asked (1 byte)

A claim of part 0 is free: its request was asked in vain and may be asked again. Each method that
changes something is one transaction, on the disk when it returns.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from lmdb import Transaction

from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.store.value import DamagedValueError, sealed, unsealed
from stepdistill.annotator.teacher.batch.part import BatchPart, Stamp, State
from stepdistill.common.errors import StoreError

if TYPE_CHECKING:
    from lmdb import _Database  # pyright: ignore[reportPrivateUsage]  # its only name

KEY_BYTES = 32
_FREE = 0
_PART = b"part-"
_KEYS = b"keys-"


class Ledger:
    """The ledger of one store; it changes nothing where the store is open for reading.

    clock: seconds since 1970.
    """

    def __init__(self, store: ResponseStore, clock: Callable[[], float] = time.time) -> None:
        self._store, self.now = store, clock
        self._databases = store.ledger()
        self.folder = store.path / "batches"

    def parts(self) -> list[BatchPart]:
        """Every part, in the order in which they were made. Raises StoreError: damaged."""
        if self._databases is None:
            return []
        batches, _ = self._databases

        def work(txn: Transaction) -> list[BatchPart]:
            found: list[BatchPart] = []
            with txn.cursor(batches) as cursor:
                present = cursor.set_range(_PART)
                while present and bytes(cursor.key()).startswith(_PART):
                    found.append(self._part(bytes(cursor.key()), bytes(cursor.value())))
                    present = cursor.next()
            return found

        return self._store.read(work)

    def part(self, number: int) -> BatchPart:
        """One part."""
        return next(part for part in self.parts() if part.number == number)

    def open_parts(self) -> list[BatchPart]:
        """The parts whose requests wait for them."""
        return [part for part in self.parts() if part.is_open]

    def keys(self, number: int) -> list[bytes]:
        """The requests of a part, in the order of its lines."""
        batches, _ = self._opened()
        name = _name(_KEYS, number)
        value = self._store.read(lambda txn: txn.get(name, db=batches))
        blob = b"" if value is None else self._unsealed(name, bytes(value))
        return [blob[i : i + KEY_BYTES] for i in range(0, len(blob), KEY_BYTES)]

    def claims(self, keys: Iterable[bytes]) -> list[int]:
        """For each request the open part that asks it, 0 for none."""
        return [part for part, _ in self._claims(keys)]

    def tries(self, keys: Iterable[bytes]) -> list[int]:
        """For each request how often it was asked in batches, this time included."""
        return [tries for _, tries in self._claims(keys)]

    def add(self, part: BatchPart, keys: list[bytes]) -> BatchPart:
        """A new part, with a number of its own, claims its requests: the intent."""
        batches, claims = self._opened()
        part = part.model_copy(update={"history": (Stamp(state=part.state, at=self.now()),)})

        def work(txn: Transaction) -> None:
            self._put(txn, part)
            name = _name(_KEYS, part.number)
            txn.put(name, sealed(b"".join(keys), name), db=batches)
            for key in sorted(keys):
                _, tries = _read_claim(txn.get(key, db=claims))
                txn.put(key, _claim(part.number, tries + 1), db=claims)

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
        batches, claims = self._opened()
        keys = self.keys(part.number)
        part = part.moved(state, self.now())

        def work(txn: Transaction) -> None:
            for key in sorted(keys):
                if _read_claim(txn.get(key, db=claims))[0] != part.number:
                    continue
                if key in free:
                    txn.put(key, _claim(_FREE, free[key]), db=claims)
                else:
                    txn.delete(key, db=claims)
            txn.delete(_name(_KEYS, part.number), db=batches)
            self._put(txn, part)

        self._store.write(work)
        return part

    def _claims(self, keys: Iterable[bytes]) -> list[tuple[int, int]]:
        if self._databases is None:
            return [(0, 0) for _ in keys]
        _, claims = self._databases
        return self._store.read(lambda txn: [_read_claim(txn.get(key, db=claims)) for key in keys])

    def _put(self, txn: Transaction, part: BatchPart) -> None:
        batches, _ = self._opened()
        name = _name(_PART, part.number)
        txn.put(name, sealed(part.model_dump_json().encode(), name), db=batches)

    def _part(self, name: bytes, value: bytes) -> BatchPart:
        return BatchPart.model_validate_json(self._unsealed(name, value))

    def _unsealed(self, name: bytes, value: bytes) -> bytes:
        try:
            return unsealed(value, name)
        except DamagedValueError as error:
            raise StoreError(
                f"--store {self._store.path}: the ledger's {name.decode()} is damaged ({error}): "
                "put a copy of the store in its place"
            ) from None

    def _opened(self) -> "tuple[_Database, _Database]":
        if self._databases is None:
            raise StoreError(f"--store {self._store.path}: it holds no ledger of batches yet")
        return self._databases


def _name(kind: bytes, number: int) -> bytes:
    return kind + b"%010d" % number


def _claim(part: int, tries: int) -> bytes:
    return part.to_bytes(4) + min(tries, 255).to_bytes()


def _read_claim(value: object) -> tuple[int, int]:
    """(part, tries) of a claim's value; (0, 0) for none."""
    if not isinstance(value, bytes):
        return 0, 0
    return int.from_bytes(value[:4]), value[4]
