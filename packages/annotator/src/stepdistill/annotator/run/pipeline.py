"""The whole way of `annotate run` on one page.

    rows -> prompts -> requests -> [store | teacher] -> answers -> readings -> records

Two steps over the same plan: *ask* what the store lacks, then *write* the shards from the store.
"""

import gc
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import chain

import uvloop

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.errors import BatchesLeft, NoRecords, RowsUnanswered
from stepdistill.annotator.money.bill import spent_usd
from stepdistill.annotator.plan.plan import Plan, Unanswered, name_of
from stepdistill.annotator.reading.record import UNREACHED
from stepdistill.annotator.run.chunks import Cores, all_cores
from stepdistill.annotator.run.first_answers import FirstAnswers
from stepdistill.annotator.run.forgetting import is_forgotten
from stepdistill.annotator.run.known_addresses import with_known_addresses
from stepdistill.annotator.run.planning import (
    PreparedRun,
    make_plans,
    prepare_run,
    row_warnings,
    shard_warning,
    warnings,
)
from stepdistill.annotator.run.rationale_rate import ration
from stepdistill.annotator.run.run_notes import Spender, noted, notes_in
from stepdistill.annotator.run.structured import recall_formats
from stepdistill.annotator.run.unread import Unread, why_unread
from stepdistill.annotator.run.write import SplitWriter, finished, refuse_rows_within
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.teacher.progress import AddressProgress, Progress
from stepdistill.common.errors import DistillError
from stepdistill.common.manifest import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a run did."""

    manifests: dict[str, Manifest]  # by split
    asked: int  # requests that the teacher answered
    cached: int  # requests that the store answered
    spent_usd: float | None  # on its own requests; None where no price is known
    uncounted: int = 0  # of asked: whose tokens the teacher did not name
    already_done: bool = False  # nothing was asked or written
    failed: int = 0  # requests that the teacher was asked in vain
    unanswered: int = 0  # rows that the teacher was asked for in vain: the same command asks again
    error: DistillError | None = None  # why it is no success, though its shards are written
    waiting: int = 0  # requests that are in batches, so that no shards were written yet
    addresses: tuple[AddressProgress, ...] = ()  # how each fared, where several were asked


@dataclass(slots=True)
class RunTotals:
    """What several runs of one command did, added up."""

    cached: int = 0  # that none of them asked
    asked: int = 0
    failed: int = 0
    uncounted: int = 0
    usd: float | None = 0.0

    def add(self, result: RunResult) -> None:
        """Count one of them."""
        self.cached += max(0, result.cached - self.cached - self.asked)
        self.asked += result.asked
        self.failed += result.failed
        self.uncounted += result.uncounted
        known = self.usd is not None and result.spent_usd is not None
        self.usd = (self.usd or 0.0) + (result.spent_usd or 0.0) if known else None

    def with_last(self, result: RunResult) -> RunResult:
        """The last of them, as it is shown: with what all did."""
        self.add(result)
        return replace(
            result,
            asked=self.asked,
            failed=self.failed,
            uncounted=self.uncounted,
            spent_usd=self.usd,
            cached=self.cached,
        )


def run(config: RunSettings, output: ConsoleOutput, cores: Cores | None = None) -> RunResult:
    """Carry out a run. cores: as the settings say where it is None. Raises DistillError; whatever
    was answered until then is stored."""
    progress, prepared = Progress(), prepare_run(with_known_addresses(config))
    cores = cores or all_cores(config.processes)
    try:
        return _run(prepared, output, progress, cores)
    except BatchesLeft:
        return RunResult(
            manifests={},
            asked=progress.asked,
            cached=progress.cached,
            spent_usd=spent_usd(prepared.tariff, progress),
            uncounted=progress.uncounted,
            waiting=progress.waiting,
        )


def _run(
    prepared: PreparedRun, output: ConsoleOutput, progress: Progress, cores: Cores
) -> RunResult:
    _spare_the_collector()
    tariff, plans = prepared.tariff, make_plans(prepared.settings, prepared.teacher)
    config = prepared.settings
    refuse_rows_within(config.out, config.data or plans[0].task.data.path)
    for line in warnings(plans):
        output.warn(line)
    for remark in chain.from_iterable(plan.source.remarks for plan in plans):
        output.say(remark)
    done = _already_done(config, plans)
    if done:
        _remember(prepared, plans)
        return _result(prepared, done, Progress(), already_done=True)
    with ResponseStore.open(config.store, write=not config.offline) as store, ExitStack() as stack:
        recall_formats(store, plans)
        spender = Spender(plan=name_of(plans), config=config, tariff=tariff)
        stack.enter_context(noted(store, spender)).count(progress)
        splits = [
            stack.enter_context(
                SplitWriter(plan, config.out / plan.split, config.shards, tariff, cores)
            )
            for plan in plans
        ]
        _settle(prepared, splits, store, output, progress)
        manifests: dict[str, Manifest] = {}
        for split in splits:
            output.say(f"writing {split.folder}")
            manifests[split.plan.split] = split.write_rest(store, _tell(split, output))
    firsts = (split.first_unread for split in splits)
    return _result(prepared, manifests, progress, next(filter(None, firsts), None))


def _result(
    prepared: PreparedRun,
    manifests: dict[str, Manifest],
    progress: Progress,
    first: Unread | None = None,
    *,
    already_done: bool = False,
) -> RunResult:
    """first: the first row without a record."""
    asks_nobody = prepared.settings.offline or already_done
    answers = sum(manifest.answers for manifest in manifests.values())
    rejected = Counter[str]()
    for manifest in manifests.values():
        rejected.update(manifest.counts.rejected)
    n_records = sum(manifest.counts.records for manifest in manifests.values())
    unanswered = 0 if asks_nobody else sum(rejected[reason] for reason in UNREACHED)
    return RunResult(
        manifests=manifests,
        asked=progress.asked,
        cached=answers if asks_nobody else progress.cached,
        spent_usd=0.0 if already_done else spent_usd(prepared.tariff, progress),
        uncounted=progress.uncounted,
        already_done=already_done,
        failed=progress.failed,
        addresses=tuple(progress.addresses),
        unanswered=unanswered,
        error=(
            _missed(unanswered)
            if n_records or (prepared.settings.row_shard and not rejected)  # fewer rows than shards
            else _no_records(rejected, first, prepared.settings)
        ),
    )


def _missed(unanswered: int) -> DistillError | None:
    """What is to be said of a run that some rows were not answered in."""
    rows = "1 row was" if unanswered == 1 else f"{unanswered:,} rows were"
    return RowsUnanswered(f"{rows} not answered: run it again") if unanswered else None


def _no_records(rejected: Counter[str], first: Unread | None, config: RunSettings) -> DistillError:
    """What is to be said of a run without a record, by what became of most rows."""
    if not rejected:
        return NoRecords("no row gave a record: there are no rows")
    ((commonest, _),) = rejected.most_common(1)
    kind = RowsUnanswered if commonest in UNREACHED else NoRecords
    return kind(f"no row gave a record: {why_unread(rejected, first, config)}")


def _settle(
    prepared: PreparedRun,
    splits: list[SplitWriter],
    store: ResponseStore,
    output: ConsoleOutput,
    progress: Progress,
) -> None:
    """Write as far as the store's answers reach, and ask for what is left."""
    config = prepared.settings
    look = FirstAnswers([(split.plan, split.rules) for split in splits], config)

    unchecked = {split.plan.split: split.plan for split in splits}

    def settle(unanswered: list[Unanswered]) -> None:
        if unanswered and not config.offline:
            plans = [unchecked.pop(each.plan.split, None) for each in unanswered]
            plans = list(filter(None, plans))
            shared = (shard_warning(plan, store) for plan in plans)
            for line in chain(row_warnings(plans), filter(None, shared)):
                output.warn(line)
            # Half of all imports: only where somebody is asked.
            from stepdistill.annotator.run.ask import ask

            has_records = any(split.records for split in splits)
            run = prepared if has_records else replace(prepared, first_answers=look)
            uvloop.run(ask(run, unanswered, store, output, progress))

    if config.shards.rationale_rate < 1:
        for line in ration(splits, config.shards.rationale_rate, store, settle):
            output.warn(line)
    elif not config.offline:
        unanswered = [
            Unanswered(plan=split.plan, start=split.written)
            for split in splits
            if not split.write_answered(store, _tell(split, output), config.max_tokens)
        ]
        progress.cached = sum(split.bill.answers for split in splits)
        settle(unanswered)


def _spare_the_collector() -> None:
    """Take what is loaded out of the garbage collector's rounds, and make these rarer.

    With a thousand connections open it would walk their objects over and over: a third of all CPU.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _already_done(config: RunSettings, plans: list[Plan]) -> dict[str, Manifest]:
    """The manifests, if every split is there as this run would write it; else nothing."""
    limit = 0 if config.offline else config.max_tokens
    found = {
        plan.split: finished(plan, config.out / plan.split, config.shards, limit) for plan in plans
    }
    complete = {split: manifest for split, manifest in found.items() if manifest is not None}
    if len(complete) < len(plans) or _has_forgotten(config, plans, complete):
        return {}
    return complete


def _remember(prepared: PreparedRun, plans: list[Plan]) -> None:
    """Leave a note of a run whose shards came from elsewhere (`annotate gather`): reports and pages
    find a folder's run by it."""
    config, name = prepared.settings, name_of(plans)
    if config.offline or not (config.store / "data.mdb").exists():
        return
    with ResponseStore.open(config.store, write=False) as store:
        if any(note.name == name for note in notes_in(store)):
            return
    spender = Spender(plan=name, config=config, tariff=prepared.tariff)
    with ResponseStore.open(config.store, write=True) as store, noted(store, spender):
        return


def _has_forgotten(config: RunSettings, plans: list[Plan], manifests: dict[str, Manifest]) -> bool:
    """Whether answers were forgotten since, of those that can be: they were of no use."""
    some_rejected = any(manifest.counts.rejected for manifest in manifests.values())
    may_be = some_rejected or any(plan.asks_twice for plan in plans)
    if config.offline or not may_be or not (config.store / "data.mdb").exists():
        return False
    with ResponseStore.open(config.store, write=False) as store:
        return is_forgotten(plans, store)


def _tell(split: SplitWriter, output: ConsoleOutput) -> Callable[[int], None]:
    return output.progress_line(f"rows of {split.plan.split} written")
