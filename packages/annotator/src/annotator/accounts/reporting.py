"""From a store, and the folder of a run's shards, to the report: which run, and its account."""

from dataclasses import dataclass
from pathlib import Path

from annotator.accounts.account import Account, Accountant
from annotator.accounts.planned import Planned, kept_estimate
from annotator.cost.run_notes import RunNote, notes_in
from annotator.planning import make_plans, make_tariff
from annotator.rationing import ration
from annotator.request.plan import name_of
from annotator.request.store import ResponseStore
from annotator.writing import SplitShards
from common.errors import StoreError


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """A run and its account. planned: what was estimated for it, None where nothing was.

    changed: whether rows or prompts are not those of the run any more.
    """

    note: RunNote
    account: Account
    planned: Planned | None
    changed: bool


def find_run(target: Path, store: ResponseStore) -> RunNote:
    """The run whose shards lie in a folder, or the store's latest. Raises StoreError."""
    notes = notes_in(store)
    if not notes:
        raise StoreError(f"--store {store.path}: it remembers no run: annotate run makes one")
    if target.resolve() == store.path.resolve():
        return notes[-1]
    folder = target.absolute()
    found = [note for note in notes if note.out in (folder, folder.parent)]
    if not found:
        known = ", ".join(dict.fromkeys(str(note.out) for note in notes))
        raise StoreError(f"{target}: no run of --store {store.path} wrote there (it has: {known})")
    return found[-1]


def report_run(note: RunNote, store: ResponseStore, prices: Path | None) -> RunReport:
    """The report of a run. Raises DistillError: its rows or prompts are gone, or a price is not
    known."""
    config = note.config(store.path, prices)
    plans = make_plans(config)
    tariff = make_tariff(config)
    accountant = Accountant(tariff, note.starts[0].at if note.starts else 0.0)
    splits = [SplitShards(plan, config.out / plan.split, config.shards, tariff) for plan in plans]
    if config.shards.rationale_rate < 1:
        ration(splits, config.shards.rationale_rate, store, lambda _: None)
    for split in splits:
        with store.reading() as stored:
            accountant.add(split.plan, stored, split.rules)
    name = name_of(plans)
    return RunReport(
        note=note,
        account=accountant.account,
        planned=kept_estimate(config.out, name),
        changed=name != note.name,
    )
