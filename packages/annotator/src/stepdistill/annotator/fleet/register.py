"""Which workers there are, on the disk: whoever comes after a kill finds what they have paid for.

worker-NAME   of the store's accounts: where its own store is, and the budget that it spends of
"""

import shutil
import socket
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from stepdistill.annotator.fleet.lease import spent_in
from stepdistill.annotator.fleet.messages import Found, LeaseUse, Workplace
from stepdistill.annotator.fleet.shares import Leases
from stepdistill.annotator.money.budget import BudgetState
from stepdistill.annotator.money.ceiling import budget_key
from stepdistill.annotator.money.prices import ZERO
from stepdistill.annotator.store.entries import SealedEntries
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.common.errors import StoreError

_WORKER = b"worker-"
_PER_COMMIT = 1_000
# A worker whose run is gone stops by itself after 20 s, and its machine may be slow.
_WAIT_S, _TRY_S = 45.0, 0.2


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    machine: str
    host: str
    store: Path
    budget: str | None

    @property
    def place(self) -> Workplace:
        return Workplace(name=self.name, machine=self.machine, host=self.host, store=self.store)


class Register:
    """The workers of one store."""

    def __init__(self, store: ResponseStore) -> None:
        self._store, self._entries = store, SealedEntries(store, "accounts")
        self.folder = store.path.absolute() / "workers"  # of those on this machine

    def add(self, place: Workplace, budget: str | None) -> None:
        """A worker is about to be given something. Raises StoreError."""
        entry = _Entry(
            name=place.name,
            machine=place.machine,
            host=place.host,
            store=place.store,
            budget=budget,
        )
        self._entries.write(_WORKER + place.name.encode(), entry.model_dump_json().encode())

    def left(self) -> list[Workplace]:
        """Workers of earlier runs that nobody has settled."""
        return [entry.place for entry in self._left()]

    def _left(self) -> list[_Entry]:
        return list(map(_Entry.model_validate_json, self._entries.starting_with(_WORKER)))

    def remove(self, name: str) -> None:
        """All that a worker had is in the run's store. Raises StoreError."""
        self._store.write(lambda txn: self._entries.delete(txn, _WORKER + name.encode()))
        shutil.rmtree(self.folder / name, ignore_errors=True)
        with suppress(OSError):  # there are others
            self.folder.rmdir()

    def recover(self, say: Callable[[str], None]) -> None:
        """Bring in what workers of earlier runs on this machine had paid for. Raises StoreError:
        one is still at work."""
        for entry in self._left():
            if entry.host != socket.gethostname() or not entry.store.is_dir():
                continue
            say(f"worker {entry.name} of an earlier run was lost: its answers are taken over")
            for found in found_in(entry.store):
                if isinstance(found, LeaseUse):
                    self._settle(entry, found)
                else:
                    self._store.add(found)
            self.remove(entry.name)

    def _settle(self, entry: _Entry, spent: LeaseUse) -> None:
        """In its budget stands what it has spent, and no more what it might have."""
        if entry.budget is None:
            return
        key = budget_key(entry.budget)
        state = BudgetState.of(self._entries.get(key))
        held = {**state.held}
        worst = held.pop(Leases.name(entry.name), None)
        if worst is None:
            return
        settled = replace(
            state,
            paid_usd=state.paid_usd + spent.paid_usd,
            lost_usd=state.lost_usd + spent.lost_usd,
            granted_usd=max(ZERO, state.granted_usd - worst + spent.paid_usd + spent.lost_usd),
            held=held,
        )
        self._entries.write(key, settled.body)


def found_in(path: Path, keys: Collection[bytes] | None = None) -> Iterator[Found]:
    """What the store of a worker that is gone holds: answers, a thousand at a time, and then what
    it has spent. keys: of these requests alone. Raises StoreError: it is still at work."""
    with _once_free(path) as store:
        with store.reading() as stored:
            if keys is None:
                answers = stored.answers()
            else:
                found = ((key, stored.answer(key)) for key in keys)
                answers = ((key, answer) for key, answer in found if answer is not None)
            while chunk := list(islice(answers, _PER_COMMIT)):
                yield chunk
        yield spent_in(store)


def _once_free(path: Path) -> ResponseStore:
    """Its store, once nobody writes to it any more."""
    until_s = time.monotonic() + _WAIT_S
    while True:
        try:
            return ResponseStore.open(path, write=True)
        except StoreError:
            if time.monotonic() > until_s:
                raise
            time.sleep(_TRY_S)
