"""Makes the account of a run: of its rows in chunks, by all cores, and of all that it paid for.

A chunk is counted as if there were no others; what it shares with rows before is taken back then.
Chunks are the same however many processes there are, and so is each sum to its last digit.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from math import inf
from typing import NamedTuple

from stepdistill.annotator.estimate.workload import part_requests
from stepdistill.annotator.money.prices import Price, Tariff, day_of
from stepdistill.annotator.plan.plan import Plan, PlannedRow, RowCursor
from stepdistill.annotator.reading.examples import example_of
from stepdistill.annotator.reading.record import NO_ANSWER, RowResult
from stepdistill.annotator.reading.rejection import Rejection
from stepdistill.annotator.report.account import NO_RUN, ZERO, Account, CostPlace
from stepdistill.annotator.run.chunks import ONE_CORE, Cores, in_chunks
from stepdistill.annotator.run.conclusions import Concluder
from stepdistill.annotator.run.run_notes import RunNote
from stepdistill.annotator.store.answer import Answer
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.store.snapshot import Snapshot
from stepdistill.common.kinds.kind import Kind

_NOWHERE = "-"
_KEY_BYTES = 12  # of a hash: enough to tell answers apart
_DAY_S = 86_400


class Payers:
    """Which run paid for an answer: the one that was under way when it was asked, as only one
    writes to a store at a time. A batch may be collected when no run is: its answers are of the
    last that sent."""

    def __init__(self, notes: Sequence[RunNote]) -> None:
        starts = [(start, note.name) for note in notes for start in note.starts]
        starts.sort(key=lambda each: each[0].at)
        nexts = [*(start.at for start, _ in starts[1:]), inf]
        # Of a killed one nobody knows the end: it is at most when the next was started.
        self._runs = [
            (start, next_at if start.ended_at is None else start.ended_at, name)
            for (start, name), next_at in zip(starts, nexts, strict=False)
        ]
        self._started = [int(start.at) for start, _ in starts]

    def of(self, answer: Answer) -> str:
        """The run's name; NO_RUN for what was imported, or came before runs were remembered."""
        at = answer.asked_at  # whole seconds
        number = bisect_right(self._started, at) - 1
        if number < 0 or answer.mode == "import":
            return NO_RUN
        # Two may share a second: its answers are of the earlier, which was under way all along.
        while number and self._runs[number - 1][1] >= at:
            number -= 1
        _, end, name = self._runs[number]
        if at <= end:
            return name
        senders = (name for start, _, name in self._runs[number::-1] if start.mode == "batch")
        return next(senders, NO_RUN) if answer.mode == "batch" else NO_RUN


class Counted(NamedTuple):
    """Where an answer was counted that is a row's own."""

    place: CostPlace
    template: str  # of the row's label
    reason: str | None  # why the row gave no record


@dataclass(kw_only=True)
class _Counting:
    """Counts rows and answers into an account. Raises ConfigError: no price is known for one."""

    run: str
    tariff: Tariff
    payers: Payers
    account: Account = field(default_factory=Account)
    counted: dict[bytes, Counted] = field(default_factory=dict[bytes, Counted])  # by key
    # By model, day, mode and tier: a price, and what it is in words.
    _prices: dict[object, tuple[Price, str] | None] = field(default_factory=dict)

    def row(self, planned: PlannedRow, row: RowResult, stored: Snapshot, kind: Kind) -> None:
        """One row, and what became of it."""
        result, usd = row.result, ZERO
        reason = result.reason if isinstance(result, Rejection) else None
        if reason == NO_ANSWER and not row.answers:
            self.account.unasked += 1
            return
        self.account.rows += 1
        for n, (request, template, part) in enumerate(part_requests(planned)):
            # These were read in this order, up to one that is not there.
            read = row.answers[n] if n < len(row.answers) else stored.answer(request.key)
            if read is None:
                continue
            cost = self.cost(read, self.tariff)
            if request.key in self.counted:
                self._share(cost)
                continue
            place = CostPlace(self.payers.of(read), planned.row.split, template, part, read.mode)
            self.counted[request.key] = Counted(place, planned.assignment.label, reason)
            self.count(place, read, cost)
            usd += cost
        self._judge(planned, row, usd, kind)

    def take_back(self, key: bytes, answer: Answer) -> None:
        """An answer is shared with a row before all of these."""
        (place, template, reason), account = self.counted.pop(key), self.account
        usd = self.cost(answer, self.tariff)
        self._share(usd)
        self.count(place, answer, usd, -1)
        account.judged[template].usd -= usd
        if reason is not None:
            account.rejected[reason].usd -= usd
        if not account.paid[place].answers:  # a split may have nothing of its own
            del account.paid[place]

    def _share(self, usd: Decimal) -> None:
        self.account.shared += 1
        self.account.saved_usd += usd

    def count(self, place: CostPlace, answer: Answer, usd: Decimal, n: int = 1) -> None:
        """An answer, or -1 of it."""
        account = self.account
        if place.run == self.run:
            account.by_second[answer.asked_at] += n
        else:
            account.others += n
            account.others_usd += n * usd
            account.saved_usd += n * usd
        account.paid[place].add(answer, usd, n)

    def cost(self, answer: Answer, tariff: Tariff) -> Decimal:
        """What an answer cost."""
        known = tariff.model, answer.asked_at // _DAY_S, answer.mode, answer.tier
        if known not in self._prices:
            found = tariff.answer_price(answer)
            self._prices[known] = None if found is None else (found, found.stated)
        price = self._prices[known]
        if price is not None:
            self.account.prices[price[1]] = None
            return price[0].cost_usd(answer.usage)
        if answer.cost_usd is None:
            tariff.known_price(day_of(answer.asked_at), mode=answer.mode, tier=answer.tier)
        self.account.prices["as the provider says"] = None
        return Decimal(str(answer.cost_usd))

    def _judge(self, planned: PlannedRow, row: RowResult, usd: Decimal, kind: Kind) -> None:
        judged, result = self.account.judged[planned.assignment.label], row.result
        judged.rows += 1
        judged.usd += usd
        judged.gold += planned.row.gold is not None
        if isinstance(result, Rejection):
            rejected = self.account.rejected[result.reason]
            rejected.rows += 1
            rejected.usd += usd
            rejected.examples.offer(
                planned.row.split, planned.row.id, partial(example_of, planned, row)
            )
            return
        judged.labels += result.label is not None
        self.account.labels[str(result.label)] += 1
        if result.rationale is not None:
            judged.rationales += 1
            judged.words += len(result.rationale.split())
        self.account.calibration.add(result, kind)
        sort = self.account.unjudged
        if result.gold is not None and result.label is not None:
            is_right = kind.same(result.label, result.gold)
            judged.correct += is_right
            sort = self.account.right if is_right else self.account.wrong
        sort.offer(planned.row.split, planned.row.id, partial(example_of, planned, row))


@dataclass(frozen=True, kw_only=True)
class _CountChunk:
    """Makes the account of a chunk of rows, as if there were no others."""

    concluder: Concluder
    run: str
    tariff: Tariff
    payers: Payers

    @property
    def plan(self) -> Plan:
        """Whose rows they are."""
        return self.concluder.plan

    def counting(self, account: Account, counted: dict[bytes, Counted]) -> _Counting:
        """Counts into what was counted before."""
        made = _Counting(run=self.run, tariff=self.tariff, payers=self.payers)
        made.account, made.counted = account, counted
        return made

    def __call__(
        self, rows: Iterator[PlannedRow], stored: Snapshot
    ) -> tuple[Account, dict[bytes, Counted]]:
        counting, concluder = self.counting(Account(), {}), self.concluder
        kind = concluder.rules.kind
        for planned in rows:
            counting.row(planned, concluder.conclude(planned, stored), stored, kind)
        return counting.account, counting.counted


class Accountant:
    """Makes the account of one run, by all cores."""

    def __init__(self, run: str, tariff: Tariff, payers: Payers, cores: Cores = ONE_CORE) -> None:
        self._counting = _Counting(run=run, tariff=tariff, payers=payers)
        self.cores = cores
        self._seen: dict[bytes, str] = {}  # the start of a counted answer's key -> which run paid

    @property
    def account(self) -> Account:
        """What was counted."""
        return self._counting.account

    @property
    def tariff(self) -> Tariff:
        """What the teacher costs."""
        return self._counting.tariff

    def add(self, concluder: Concluder, store: ResponseStore) -> None:
        """All rows of one split, as the run writes it. Raises ConfigError: no price is known for
        an answer."""
        run, payers = self._counting.run, self._counting.payers
        work = _CountChunk(concluder=concluder, run=run, tariff=self.tariff, payers=payers)
        rows = RowCursor(concluder.plan)
        with (
            store.reading() as stored,
            closing(in_chunks(work, rows, 0, store, self.cores)) as chunks,
        ):
            for account, counted in chunks:
                chunk = work.counting(account, counted)
                for key in [key for key in counted if key[:_KEY_BYTES] in self._seen]:
                    answer = stored.answer(key)
                    assert answer is not None
                    chunk.take_back(key, answer)
                self.account.include(account)
                self._seen |= {key[:_KEY_BYTES]: each.place.run for key, each in counted.items()}

    def payer_of(self, key: bytes) -> str | None:
        """Which run paid for an answer; None where no row of this one has it."""
        return self._seen.get(key[:_KEY_BYTES])

    def add_other(self, key: bytes, answer: Answer) -> None:
        """An answer that this run paid for, and that no row of its has (`payer_of`)."""
        counting = self._counting
        place = CostPlace(counting.run, _NOWHERE, _NOWHERE, "other", answer.mode)
        counting.count(place, answer, counting.cost(answer, self._tariff_of(answer)))

    def _tariff_of(self, answer: Answer) -> Tariff:
        """The teacher's, or the one of another model that answered: a search has two."""
        teacher, other = self.tariff, replace(self.tariff, model=answer.model)
        is_teacher = answer.model.startswith(teacher.model)
        for tariff in (teacher, other) if is_teacher else (other, teacher):
            if tariff.answer_price(answer) is not None:
                return tariff
        return other
