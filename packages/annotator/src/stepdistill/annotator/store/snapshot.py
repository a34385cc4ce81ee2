"""The store as it was at one moment: lookups by key, and walks over all that it holds."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import lmdb

from stepdistill.annotator.store.answer import Answer, Failure
from stepdistill.annotator.store.value import DamagedValueError, Unpacker, unsealed
from stepdistill.common.errors import StoreError

if TYPE_CHECKING:
    from lmdb import _Database  # pyright: ignore[reportPrivateUsage]  # its only name

Part = Literal["responses", "failures"]
PARTS: tuple[Part, ...] = ("responses", "failures")
_T = TypeVar("_T")


def dictionary_key(number: int) -> bytes:
    """The key of a dictionary in the database `meta`."""
    return b"dictionary-%d" % number


class Snapshot:
    """One moment of a store, made by `ResponseStore.reading` and used in one thread. Whatever reads
    a value raises StoreError with its key where the value is damaged."""

    def __init__(
        self, txn: lmdb.Transaction, databases: Mapping[str, "_Database"], path: Path
    ) -> None:
        self._txn, self._databases, self._path = txn, databases, path
        self._responses, self._failures = databases["responses"], databases["failures"]
        # Not a method of this object: in a cycle it would keep its reader's slot until the next
        # collection of garbage, and there are few slots.
        self._dictionary = partial(_dictionary, txn, databases["meta"], path)
        self.unpacker = Unpacker(self._dictionary)

    def answer(self, key: bytes) -> Answer | None:
        """The stored answer to the request of this key."""
        value = self._txn.get(key, db=self._responses)
        return None if value is None else self._read(self.unpacker.answer, key, bytes(value))

    def failure(self, key: bytes) -> Failure | None:
        """Why the request of this key has no answer, if it was ever asked."""
        value = self._txn.get(key, db=self._failures)
        return None if value is None else self._read(self.unpacker.failure, key, bytes(value))

    def answers(self) -> Iterator[tuple[bytes, Answer]]:
        """Every answer, in the order of the keys."""
        for key, value in self.values("responses"):
            yield key, self._read(self.unpacker.answer, key, value)

    def failures(self) -> Iterator[tuple[bytes, Failure]]:
        """Every failure, in the order of the keys."""
        for key, value in self.values("failures"):
            yield key, self._read(self.unpacker.failure, key, value)

    def payloads(self) -> Iterator[bytes]:
        """Every answer's fields, as they were before they were compressed."""
        for key, value in self.values("responses"):
            yield self._read(self.unpacker.payload, key, value)

    def values(self, part: str) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values of a database as they lie on the disk, unchecked; nothing without it."""
        if part not in self._databases:
            return
        with self._txn.cursor(self._databases[part]) as cursor:
            for key, value in cursor:
                yield bytes(key), bytes(value)

    def keys(self, part: Part) -> Iterator[bytes]:
        """The keys alone."""
        with self._txn.cursor(self._databases[part]) as cursor:
            yield from map(bytes, cursor.iternext(values=False))

    @property
    def dictionary(self) -> tuple[int, bytes] | None:
        """The dictionary that new values are compressed with, by number, if there is one."""
        content = self._dictionary(1)
        return None if content is None else (1, content)

    def _read(self, unpack: Callable[[bytes, bytes], _T], key: bytes, value: bytes) -> _T:
        try:
            return unpack(key, value)
        except DamagedValueError as error:
            raise StoreError(
                f"--store {self._path}: what is stored under {key.hex()} is damaged ({error}): put "
                "a copy of the store in its place, or `annotate store verify --remove` what is "
                "damaged, to be asked again"
            ) from None


def _dictionary(txn: lmdb.Transaction, meta: "_Database", path: Path, number: int) -> bytes | None:
    key = dictionary_key(number)
    value = txn.get(key, db=meta)
    try:
        return None if value is None else unsealed(bytes(value), key)
    except DamagedValueError:
        raise StoreError(
            f"--store {path}: dictionary {number} is damaged, and with it every answer: "
            "put a copy of the store in its place"
        ) from None
