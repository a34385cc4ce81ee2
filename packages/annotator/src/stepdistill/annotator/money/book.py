"""The book of what was spent, in the response store: an entry for each budget and run.

budget-NAME   Record: what was paid, lost, granted and held under a ceiling
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import cast

import orjson

from stepdistill.annotator.money.budget import BudgetState
from stepdistill.annotator.store.entries import SealedEntries
from stepdistill.annotator.store.response_store import ResponseStore

_BUDGET = b"budget-"


class AccountsBook:
    """The book of one store. What is written is on the disk when the call returns."""

    def __init__(self, store: ResponseStore) -> None:
        self._entries = SealedEntries(store, "accounts")

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
        body = self._entries.get(key)
        return None if body is None else cast(dict[str, object], orjson.loads(body))

    def entries(self, prefix: bytes) -> list[dict[str, object]]:
        """All entries whose keys begin so, in the order of the keys. Raises StoreError."""
        bodies = self._entries.starting_with(prefix)
        return [cast(dict[str, object], orjson.loads(body)) for body in bodies]

    def write_entry(self, key: bytes, fields: Mapping[str, object]) -> None:
        """Replace one entry. Raises StoreError."""
        self._entries.write(key, orjson.dumps(fields))
