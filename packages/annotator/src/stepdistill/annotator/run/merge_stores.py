"""Merging stores: answers, budgets and notes of several machines' runs come into one store.

What was paid for is never lost: of two answers to one request the first stays, and the other is
kept where money is counted. The same store may be merged again once it has grown: what is known of
it is not counted twice.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from stepdistill.annotator.money.budget import BudgetState
from stepdistill.annotator.money.ceiling import BUDGET
from stepdistill.annotator.run.run_notes import RUN, RunNote
from stepdistill.annotator.store.answer import Failure
from stepdistill.annotator.store.entries import SealedEntries
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.teacher.batch.ledger import Ledger
from stepdistill.common.errors import StoreError

_MERGED = b"merged-"  # the state of a budget, as it was when its store was last merged
_PER_COMMIT = 1_000


@dataclass(slots=True, kw_only=True)
class Merged:
    """What came of it."""

    new: int = 0  # answers that the store had not
    kept: int = 0  # that it had, the same or others


def merge_stores(
    sources: Sequence[Path], target: ResponseStore, tell: Callable[[int], None]
) -> Merged:
    """Put all that other stores hold into one. Raises StoreError: one of them cannot be read, has
    batches that still run, or is the store itself; what came before it is merged."""
    done = Merged()
    for path in sources:
        if path.resolve() == target.path.resolve():
            raise StoreError(f"{path}: this is --store itself: name the others alone")
    for path in sources:
        with ResponseStore.open(path, write=False) as source:
            _refuse_open_batches(source)
            _merge_answers(source, target, done, tell)
            _merge_failures(source, target)
            _merge_accounts(source, target)
    return done


def _refuse_open_batches(source: ResponseStore) -> None:
    if n := len(Ledger(source).open_parts()):
        raise StoreError(
            f"{source.path}: {n} batch{'' if n == 1 else 'es'} of it still run, and only the run "
            "that sent them can collect them: run it again, then merge"
        )


def _merge_answers(
    source: ResponseStore, target: ResponseStore, done: Merged, tell: Callable[[int], None]
) -> None:
    with source.reading() as stored:
        answers = stored.answers()
        while chunk := list(islice(answers, _PER_COMMIT)):
            done.new += (new := target.add(chunk))
            done.kept += len(chunk) - new
            tell(done.new + done.kept)


def _merge_failures(source: ResponseStore, target: ResponseStore) -> None:
    """Why requests have no answer, of those that have none here either."""

    def missing() -> Iterator[tuple[bytes, Failure]]:
        with source.reading() as stored:
            yield from stored.failures()

    failures = missing()
    while chunk := list(islice(failures, _PER_COMMIT)):
        known = target.has([key for key, _ in chunk])
        target.put([], [each for each, is_known in zip(chunk, known, strict=True) if not is_known])


def _merge_accounts(source: ResponseStore, target: ResponseStore) -> None:
    """Budgets are added up and notes of runs put together; of all else (which formats a teacher
    refuses, how it calls its limit) the first stays."""
    theirs, ours = (SealedEntries(store, "accounts") for store in (source, target))
    whose = hashlib.sha256(str(source.path.resolve()).encode()).hexdigest()[:16].encode()
    for key, body in theirs.items_starting_with(b"").items():
        if key.startswith(_MERGED):
            continue
        if key.startswith(BUDGET):
            _add_budget(ours, key, BudgetState.of(body), before=_MERGED + whose + key)
        elif (mine := ours.get(key)) is None:
            ours.write(key, body)
        elif key.startswith(RUN):
            notes = (RunNote.model_validate_json(each) for each in (mine, body))
            ours.write(key, _together(*notes).model_dump_json().encode())


def _add_budget(ours: SealedEntries, key: bytes, their: BudgetState, before: bytes) -> None:
    """Add what a budget has spent since its store was last merged. before: where it stands how much
    that was."""
    spent = BudgetState().with_all_of(their)  # what a kill left open is written off
    known, mine = BudgetState.of(ours.get(before)), BudgetState.of(ours.get(key))
    more = replace(
        spent,
        paid_usd=spent.paid_usd - known.paid_usd,
        lost_usd=spent.lost_usd - known.lost_usd,
        granted_usd=spent.bound_usd - known.bound_usd,
    )
    ours.write_all({key: mine.with_all_of(more).body, before: spent.body})


def _together(mine: RunNote, other: RunNote) -> RunNote:
    starts = {start.at: start for start in (*other.starts, *mine.starts)}
    studies = {each.rows: each for each in other.studies}
    for each in mine.studies:
        kept = studies.get(each.rows)
        studies[each.rows] = kept.with_templates(each.templates) if kept else each
    outs = tuple(dict.fromkeys((*mine.earlier_outs, *other.outs)))
    return mine.model_copy(
        update={
            "starts": tuple(starts[at] for at in sorted(starts)),
            "studies": tuple(studies.values()),
            "earlier_outs": tuple(path for path in outs if path != mine.out),
            "addresses": tuple(dict.fromkeys((*mine.addresses, *other.addresses))),
        }
    )
