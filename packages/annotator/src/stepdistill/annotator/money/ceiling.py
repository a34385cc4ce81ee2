"""Ceilings: what a run may cost, and the budget that it counts under, as its store remembers it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

from stepdistill.annotator.money.budget import BudgetState
from stepdistill.annotator.money.prices import ZERO
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.store.entries import SealedEntries
from stepdistill.annotator.store.response_store import ResponseStore

BUDGET = b"budget-"  # how the keys of budgets begin
_SHARD = re.compile(r" \d+/\d+")  # of `demo 0/4`
_SMALLEST_USD = Decimal("0.000001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """What a budget may cost, and which budget it is."""

    usd: Decimal | None  # None: no ceiling
    name: str
    earlier: tuple[str, ...] = ()  # names of budgets that it takes over


def ceiling_of(settings: RunSettings, store: ResponseStore, plans: Iterable[str] = ()) -> Ceiling:
    """The ceiling of a run on its store: of the task, unless it is named, as another choice of rows
    or templates is no new money. A shard of the rows has a budget of its own: its share of what
    the whole's runs on this store have left. plans: names of all that the task was asked with."""
    name, usd, shard = settings.budget or settings.task, settings.max_cost_usd, settings.row_shard
    entries = SealedEntries(store, "accounts")
    if shard is None:
        parts = [each for each in budgets_in(store) if is_shard_of(each, name)]
        return Ceiling(usd=usd, name=name, earlier=(*(() if settings.budget else plans), *parts))
    if usd is not None:
        left = max(ZERO, usd - BudgetState.of(entries.get(budget_key(name))).bound_usd)
        usd = (left / settings.share).quantize(_SMALLEST_USD, ROUND_DOWN).normalize()
    return Ceiling(usd=usd, name=f"{name} {shard}")


def budgets_in(store: ResponseStore) -> dict[str, BudgetState]:
    """Every budget of a store by its name. Raises StoreError: damaged."""
    found = SealedEntries(store, "accounts").items_starting_with(BUDGET)
    return {
        key.removeprefix(BUDGET).decode(errors="replace"): BudgetState.of(body)
        for key, body in found.items()
    }


def is_shard_of(budget: str, name: str) -> bool:
    """Whether this is the budget of a shard of the rows: `demo 0/4` of `demo`."""
    return _SHARD.fullmatch(budget.removeprefix(name)) is not None and budget.startswith(name)


def budget_key(name: str) -> bytes:
    """The key of a budget's entry in `accounts`."""
    return BUDGET + name.encode()
