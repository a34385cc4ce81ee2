"""The rationale rate: what share of a split's records has reasons, exactly.

Teachers leave reasons out, so a rate that was merely asked for would come out lower. Every row has
a number between 0 and 1 (`uniform`); of the records that have reasons, those with the lowest
numbers keep theirs, as many as the rate wants. So the rows of a low rate are among those of a
higher one. Where label and rationale come from two templates, reasons are asked for in the order of
these numbers, and for more of them until there are enough: none is paid for that the rate has no
use for.
"""

from array import array
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace

from stepdistill.annotator.plan.plan import Plan, PlannedRow, RowCursor, Unanswered
from stepdistill.annotator.reading.record import conclude
from stepdistill.annotator.run.chunks import in_chunks
from stepdistill.annotator.run.conclusions import Concluder
from stepdistill.annotator.run.write import SplitWriter
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.store.snapshot import Snapshot
from stepdistill.common.record import Record

# What is asked for beyond the estimate, so that a second round is seldom followed by a third.
_MARGIN = 1.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """How a split stands: its records, and which of them have reasons."""

    records: int  # of the split
    uniform: "array[float]"  # of the records that have reasons, sorted

    def below(self, rate: float) -> float | None:
        """Records with a number below this keep their reasons; None when there are too few."""
        wanted = round(rate * self.records)
        if wanted > len(self.uniform):
            return None
        return self.uniform[wanted] if wanted < len(self.uniform) else 1.0

    def next_round(self, plan: Plan, rate: float) -> Plan:
        """The plan that asks for more reasons, by how many this one brought."""
        share = rate * self.records / max(1, len(self.uniform))
        return replace(plan, rationales_below=min(1.0, plan.rationales_below * share * _MARGIN))


def ration(
    splits: list[SplitWriter],
    rate: float,
    store: ResponseStore,
    ask: Callable[[list[Unanswered]], None],
) -> list[str]:
    """Ask until every split can have its share of reasons, and say which ones they are.

    ask: settles what it is given. Returns what a person should know: where the rate is out of
    reach. The rounds depend on the answers alone, so a replay goes through the same ones.
    """
    plans = [replace(s.plan, rationales_below=rate if s.plan.explains_apart else 1) for s in splits]
    unanswered = [Unanswered(plan=plan) for plan in plans]
    while True:
        ask(unanswered)
        stand = [explained(plan, store, s) for plan, s in zip(plans, splits, strict=True)]
        more = [
            each.next_round(plan, rate) if each.below(rate) is None else plan
            for plan, each in zip(plans, stand, strict=True)
        ]
        unanswered = [
            Unanswered(plan=wider, above=plan.rationales_below)
            for plan, wider in zip(plans, more, strict=True)
            if wider.rationales_below > plan.rationales_below
        ]
        if not unanswered:
            break
        plans = more
    told: list[str] = []
    for split, plan, each in zip(splits, plans, stand, strict=True):
        below = each.below(rate)
        if plan.row_shard is not None:  # which rows keep theirs is known once all are joined
            split.ration(plan, 1.0)
            continue
        split.ration(plan, 1.0 if below is None else below)
        if below is None:
            told.append(out_of_reach(plan.split, rate, each))
    return told


def out_of_reach(split: str, rate: float, found: Explained) -> str:
    """What a person should know where fewer records have reasons than the rate wants."""
    return (
        f"split {split}: --rationale-rate {rate:g} is out of reach: {len(found.uniform):,} of "
        f"{found.records:,} records have reasons; all are kept"
    )


def explained(plan: Plan, store: ResponseStore, split: SplitWriter) -> Explained:
    """How many records the answers give, and which of them have reasons. plan: of this split."""
    work = _ExplainedRows(concluder=split.concluder_of(plan))
    records, uniform = 0, array("d")
    with closing(in_chunks(work, RowCursor(plan), 0, store, split.cores)) as chunks:
        for n, numbers in chunks:
            records += n
            uniform += numbers
    return Explained(records=records, uniform=array("d", sorted(uniform)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _ExplainedRows:
    """Of a chunk of rows: how many give a record, and the numbers of those with reasons."""

    concluder: Concluder

    @property
    def plan(self) -> Plan:
        return self.concluder.plan

    def __call__(self, rows: Iterator[PlannedRow], stored: Snapshot) -> "tuple[int, array[float]]":
        records, uniform = 0, array("d")
        rules = self.concluder.rules
        for planned in rows:
            result = conclude(planned, stored, rules).result
            if isinstance(result, Record):
                records += 1
                if result.rationale is not None:
                    uniform.append(self.plan.uniform(planned.row))
        return records, uniform
