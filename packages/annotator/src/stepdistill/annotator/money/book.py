"""The book of what was spent, in the response store: a sealed JSON entry for each budget and run.

budget-NAME   Record: what was paid, lost, granted and held under a ceiling
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import cast

import orjson
from lmdb import Transaction

from stepdistill.annotator.money.budget import BudgetState
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.store.value import DamagedValueError, sealed, unsealed
from stepdistill.common.errors import StoreError

_BUDGET = b"budget-"


class AccountsBook:
    """The book of one store. What is written is on the disk when the call returns."""

    def __init__(self, store: ResponseStore) -> None:
        self._store = store

    def budget(self, name: str) -> BudgetState:
        """What was written of a budget last; an empty one before anything was."""
        found = self.entry(_BUDGET + name.encode())
        if found is None:
            return BudgetState()
        held = cast(dict[str, str], found["held"])
        return BudgetState(
            paid_usd=Decimal(str(found["paid_usd"])),
            lost_usd=Decimal(str(found["lost_usd"])),
            granted_usd=Decimal(str(found["granted_usd"])),
            held={part: Decimal(usd) for part, usd in held.items()},
        )

    def write_budget(self, name: str, record: BudgetState) -> None:
        """Replace what is written of a budget. Raises StoreError."""
        fields = {
            "paid_usd": str(record.paid_usd),
            "lost_usd": str(record.lost_usd),
            "granted_usd": str(record.granted_usd),
            "held": {part: str(usd) for part, usd in record.held.items()},
        }
        self.write_entry(_BUDGET + name.encode(), fields)

    def entry(self, key: bytes) -> dict[str, object] | None:
        """One entry. Raises StoreError: it is damaged."""
        database = self._store.accounts()
        if database is None:
            return None

        def work(txn: Transaction) -> bytes | None:
            value = txn.get(key, db=database)
            return None if value is None else bytes(value)

        value = self._store.read(work)
        return None if value is None else self._opened(key, value)

    def entries(self, prefix: bytes) -> list[dict[str, object]]:
        """All entries whose keys begin so, in the order of the keys. Raises StoreError."""
        with self._store.reading() as stored:
            found = [each for each in stored.values("accounts") if each[0].startswith(prefix)]
        return [self._opened(key, value) for key, value in found]

    def write_entry(self, key: bytes, fields: Mapping[str, object]) -> None:
        """Replace one entry. Raises StoreError."""
        database = self._store.accounts()
        assert database is not None, "a store that is open for writing has all its databases"
        value = sealed(orjson.dumps(fields), key)
        self._store.write(lambda txn: txn.put(key, value, db=database))

    def _opened(self, key: bytes, value: bytes) -> dict[str, object]:
        try:
            return cast(dict[str, object], orjson.loads(unsealed(value, key)))
        except DamagedValueError as error:
            raise StoreError(
                f"--store {self._store.path}: the accounts' {key.decode(errors='replace')} is "
                f"damaged ({error}): put a copy of the store in its place"
            ) from None
