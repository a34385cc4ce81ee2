"""Entries that other rooms keep beside the answers: small sealed values, in databases of their own.

batches    parts of the Batch API, and their keys; `claims`: who asks which request
accounts   budgets, and notes of runs
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lmdb import Transaction

from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.store.value import DamagedValueError, sealed, unsealed
from stepdistill.common.errors import StoreError

if TYPE_CHECKING:
    from lmdb import _Database  # pyright: ignore[reportPrivateUsage]  # its only name


class SealedEntries:
    """One database of entries; each is behind a checksum over its key and its body.

    Methods that read raise StoreError where an entry is damaged. A store from before there were
    entries, open for reading, has none of them.
    """

    def __init__(self, store: ResponseStore, name: str) -> None:
        self._store, self._name = store, name
        self._found = store.database(name)

    def get(self, key: bytes) -> bytes | None:
        """The body under this key."""
        if self._found is None:
            return None
        database = self._found
        value = self._store.read(lambda txn: txn.get(key, db=database))
        return None if value is None else self._body(key, bytes(value))

    def starting_with(self, prefix: bytes) -> list[bytes]:
        """The bodies of all entries whose keys begin so, in the order of the keys."""
        return list(self.items_starting_with(prefix).values())

    def items_starting_with(self, prefix: bytes) -> dict[bytes, bytes]:
        """The same, by their keys."""
        if self._found is None:
            return {}
        database = self._found

        def work(txn: Transaction) -> list[tuple[bytes, bytes]]:
            found: list[tuple[bytes, bytes]] = []
            with txn.cursor(database) as cursor:
                is_there = cursor.set_range(prefix)  # the first key that is not below it
                while is_there and bytes(cursor.key()).startswith(prefix):
                    found.append((bytes(cursor.key()), bytes(cursor.value())))
                    is_there = cursor.next()
            return found

        return {key: self._body(key, value) for key, value in self._store.read(work)}

    def write(self, key: bytes, body: bytes) -> None:
        """Replace one entry; it is on the disk when this returns. Raises StoreError."""
        self._store.write(lambda txn: self.put(txn, key, body))

    def write_all(self, bodies: Mapping[bytes, bytes]) -> None:
        """Replace several entries, all or none. Raises StoreError."""

        def work(txn: Transaction) -> None:
            for key, body in bodies.items():
                self.put(txn, key, body)

        self._store.write(work)

    def put(self, txn: Transaction, key: bytes, body: bytes) -> None:
        """Replace one entry within a transaction that changes more than this."""
        txn.put(key, sealed(body, key), db=self._database)

    def delete(self, txn: Transaction, key: bytes) -> None:
        """Remove one entry within a transaction that changes more than this."""
        txn.delete(key, db=self._database)

    @property
    def _database(self) -> "_Database":
        if self._found is None:
            raise StoreError(f"--store {self._store.path}: it holds no {self._name} yet")
        return self._found

    def _body(self, key: bytes, value: bytes) -> bytes:
        try:
            return unsealed(value, key)
        except DamagedValueError as error:
            raise StoreError(
                f"--store {self._store.path}: its {self._name} entry "
                f"{key.decode(errors='replace')} is damaged ({error}): put a copy of the store in "
                "its place"
            ) from None
