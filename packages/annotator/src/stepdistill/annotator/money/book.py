"""The book of what was spent under a ceiling, in the response store: an entry for each budget."""

from decimal import Decimal
from typing import Any

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
        body = self._entries.get(_BUDGET + name.encode())
        if body is None:
            return BudgetState()
        found: dict[str, Any] = orjson.loads(body)
        return BudgetState(
            paid_usd=Decimal(found["paid_usd"]),
            lost_usd=Decimal(found["lost_usd"]),
            granted_usd=Decimal(found["granted_usd"]),
            held={part: Decimal(usd) for part, usd in found["held"].items()},
        )

    def write_budget(self, name: str, record: BudgetState) -> None:
        """Replace what is written of a budget. Raises StoreError."""
        fields = {
            "paid_usd": str(record.paid_usd),
            "lost_usd": str(record.lost_usd),
            "granted_usd": str(record.granted_usd),
            "held": {part: str(usd) for part, usd in record.held.items()},
        }
        self._entries.write(_BUDGET + name.encode(), orjson.dumps(fields))
