"""The batches themselves: made, brought up to date with the clock whenever asked about, cancelled.

Where a batch stands is a pure function of its times and of what was asked, and when (`Timeline`).
No task runs in the background. Whoever asks for a batch whose time has come makes the simulator
check its input or answer its rows, in a thread, so that other calls are served meanwhile.
"""

import asyncio
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from stepdistill.annotator.simulator.batch.files import FileStore, FileWriter, StoredFile
from stepdistill.annotator.simulator.batch.log import Created, Ended
from stepdistill.annotator.simulator.batch.rows import (
    AnsweredRows,
    BatchError,
    InputScan,
    RowAnswerer,
)
from stepdistill.annotator.simulator.batch.settings import BatchPlan, SimulatedBatchSettings
from stepdistill.annotator.simulator.dialects.responses import SpokenResponses
from stepdistill.annotator.simulator.log import RequestLog
from stepdistill.annotator.simulator.reply import AnswerSource

# In the order in which a batch shows when it took each on.
Status = Literal[
    "validating",
    "in_progress",
    "finalizing",
    "completed",
    "failed",
    "expired",
    "cancelling",
    "cancelled",
]
_LAST: frozenset[Status] = frozenset({"failed", "completed", "expired", "cancelled"})


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchState:
    """A batch at one time."""

    status: Status
    stamps: dict[Status, float]  # when it took on each status, in order
    share: float  # of its rows that are answered, 0 to 1

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self.status in _LAST


@dataclass(slots=True, kw_only=True)
class Timeline:
    """What decides when a batch is in which state; times in seconds of the simulator's clock."""

    plan: BatchPlan
    created_s: float
    cancelled_s: float | None = None  # when its cancellation was asked for
    failed: bool = False  # its input has errors

    @property
    def validated_s(self) -> float:
        """When its input has been checked."""
        return self.created_s + self.plan.times.validating_s

    @property
    def expires_s(self) -> float:
        """When its window ends."""
        return self.created_s + self.plan.times.window_s

    def at(self, now: float) -> BatchState:
        """Where the batch stands now."""
        stamps: dict[Status, float] = {status: at for status, at in self._states() if at <= now}
        return BatchState(status=list(stamps)[-1], stamps=stamps, share=self._share(now))

    def _states(self) -> list[tuple[Status, float]]:
        """The states that it will have gone through, in order, each with its time."""
        times, validated_s = self.plan.times, self.validated_s
        states: list[tuple[Status, float]] = [("validating", self.created_s)]
        if self.cancelled_s is not None:
            if validated_s <= self.cancelled_s:
                states.append(("in_progress", validated_s))
            gone_s = self.cancelled_s + times.cancelling_s
            return [*states, ("cancelling", self.cancelled_s), ("cancelled", gone_s)]
        if self.failed:
            return [*states, ("failed", validated_s)]
        states.append(("in_progress", validated_s))
        # A batch that is to stand still never has all of its answers.
        answered_s = validated_s + times.running_s if self.plan.finished >= 1 else float("inf")
        closed_s = answered_s + times.finalizing_s
        if closed_s > self.expires_s:
            before = [state for state in states if state[1] < self.expires_s]
            return [*before, ("expired", self.expires_s)]
        return [*states, ("finalizing", answered_s), ("completed", closed_s)]

    def _share(self, now: float) -> float:
        """The share of rows that are answered: none after its window or its cancellation."""
        at = min(now, self.expires_s if self.cancelled_s is None else self.cancelled_s)
        if self.failed or at < self.validated_s:
            return 0.0
        running_s = self.plan.times.running_s
        passed = (at - self.validated_s) / running_s if running_s else 1.0
        return min(passed, self.plan.finished)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOrder:
    """A batch as it was ordered."""

    input: StoredFile
    metadata: Mapping[str, str] | None
    kept_s: float  # how long its files will be kept
    found: bool = True  # its input can be found by now; else it will fail
    spoken: SpokenResponses | None = None  # what answers are said in; None: chat
    one_file: bool = False  # errors stand among its answers; else in a file of their own


@dataclass(slots=True, kw_only=True)
class SimulatedBatch:
    """A batch and what is known of it so far."""

    id: str
    ordinal: int  # in order of creation, from 0
    owner: str
    order: BatchOrder
    timeline: Timeline
    scan: InputScan | None = None
    errors: tuple[BatchError, ...] | None = None  # None: its input was not checked yet
    rows: AnsweredRows | None = None  # None: it has not ended, as far as anybody asked
    output: StoredFile | None = None
    error_file: StoredFile | None = None
    ending: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(slots=True, kw_only=True)
class BatchJobs:
    """All batches of a simulator, oldest first."""

    teacher: AnswerSource
    settings: SimulatedBatchSettings
    models: frozenset[str]  # that are served; empty: any
    files: FileStore
    log: RequestLog
    _batches: dict[str, SimulatedBatch] = field(default_factory=dict[str, SimulatedBatch])
    _checking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _failed_before: Counter[bytes] = field(default_factory=Counter[bytes])

    def create(self, order: BatchOrder, owner: str, key: str) -> SimulatedBatch:
        """Take an order that was found good. key: the API key's fingerprint."""
        ordinal = len(self._batches)
        batch = SimulatedBatch(
            id=f"batch_{uuid.uuid4().hex}",
            ordinal=ordinal,
            owner=owner,
            order=order,
            timeline=Timeline(plan=self.settings.plan_of(ordinal), created_s=self.log.now()),
        )
        self._batches[batch.id] = batch
        self.log.batch.record(
            Created(
                batch_id=batch.id,
                key=key,
                input_file_id=order.input.id,
                input_sha256=order.input.sha256,
                metadata=order.metadata or {},
            )
        )
        return batch

    def find(self, batch_id: str, owner: str) -> SimulatedBatch | None:
        """The batch, None where this owner has none of this id."""
        batch = self._batches.get(batch_id)
        return batch if batch and batch.owner == owner else None

    def all(self, owner: str) -> list[SimulatedBatch]:
        """The owner's batches, oldest first."""
        return [batch for batch in self._batches.values() if batch.owner == owner]

    def wait_to_create_s(self, owner: str) -> float:
        """Seconds until the owner may create one more batch, 0 for now."""
        limits = self.settings.limits
        since_s = self.log.now() - limits.creations_window_s
        created = [batch.timeline.created_s for batch in self.all(owner)]
        recent = [at for at in created if at > since_s]
        return recent[-limits.creations] - since_s if len(recent) >= limits.creations else 0.0

    async def over_tokens(self, order: BatchOrder, owner: str) -> BatchError | None:
        """What an order would be refused with that asks for more tokens than are free now."""
        await self._check(self.log.now())
        scan = await self._scan(order)
        return await self._token_error(scan, self.all(owner), self.log.now())

    async def state(self, batch: SimulatedBatch, now: float | None = None) -> BatchState:
        """Where the batch stands, once everything that is due has been done."""
        now = self.log.now() if now is None else now
        await self._check(now, batch)
        state = batch.timeline.at(now)
        if state.over:
            async with batch.ending:  # whoever else asks waits until its rows are answered
                if batch.rows is None:
                    await self._end(batch, state)
        return state

    async def cancel(self, batch: SimulatedBatch) -> BatchState | None:
        """Ask for its cancellation; None where it is too late for that."""
        now = self.log.now()
        state = await self.state(batch, now)
        # Somebody who asked later may have been faster, and have seen it end.
        if state.over or batch.rows is not None:
            return None
        if batch.timeline.cancelled_s is None:
            batch.timeline.cancelled_s = now
        return await self.state(batch, now)

    async def settle(self) -> None:
        """Do everything that is due, for the log."""
        for batch in list(self._batches.values()):
            await self.state(batch)

    async def _scan(self, order: BatchOrder) -> InputScan:
        most = self.settings.limits.requests_per_file
        return await asyncio.to_thread(InputScan.of, order.input.path, most)

    async def _check(self, now: float, last: SimulatedBatch | None = None) -> None:
        """Find out what is wrong with the inputs that are due, up to this batch's."""
        # In order of creation and one at a time: what is enqueued before decides what fits.
        async with self._checking:
            for batch in list(self._batches.values()):
                if batch.errors is None and now >= batch.timeline.validated_s:
                    batch.errors = await self._errors(batch)
                    batch.timeline.failed = bool(batch.errors)
                if batch is last:
                    break

    async def _errors(self, batch: SimulatedBatch) -> tuple[BatchError, ...]:
        scan = batch.scan = batch.scan or await self._scan(batch.order)
        fails = batch.timeline.plan.fails
        if not batch.order.found:
            message = f"Cannot find file {batch.order.input.id}."
            return (BatchError(code="file_not_found", message=message, param="input_file_id"),)
        if fails:
            return (BatchError(code=fails, message="As the simulator's plan has it."),)
        if scan.errors:
            return tuple(scan.errors)
        if self.models and scan.model not in self.models:
            message = f"The model '{scan.model}' does not exist."
            return (BatchError(code="model_not_found", message=message, param="body.model"),)
        batches = self.all(batch.owner)
        earlier = batches[: batches.index(batch)]
        # As things stood when it was validated, however late somebody asks.
        over = await self._token_error(scan, earlier, batch.timeline.validated_s)
        return (over,) if over else ()

    async def _token_error(
        self, scan: InputScan, others: list[SimulatedBatch], at: float
    ) -> BatchError | None:
        limit = self.settings.limits.enqueued_tokens
        if limit is None:
            return None
        tokens = scan.prompt_tokens
        for other in others:
            if not other.timeline.at(at).over:
                other.scan = other.scan or await self._scan(other.order)
                tokens += other.scan.prompt_tokens if other.scan.model == scan.model else 0
        if tokens <= limit:
            return None
        message = (
            f"Enqueued token limit reached for {scan.model}. Limit: {limit:,} enqueued tokens. "
            "Please try again once some in_progress batches have been completed."
        )
        return BatchError(code="token_limit_exceeded", message=message)

    async def _end(self, batch: SimulatedBatch, state: BatchState) -> None:
        failed = state.status == "failed"
        rows = AnsweredRows() if failed else await self._answer(batch, state)
        ended_s = state.stamps[state.status]
        batch.output = self._keep(batch, rows.output, "output", ended_s)
        batch.error_file = self._keep(batch, rows.errors, "error", ended_s)
        batch.rows = rows
        self.log.batch.record(
            Ended(
                batch_id=batch.id,
                status=state.status,
                output_file_id=batch.output.id if batch.output else "",
                error_file_id=batch.error_file.id if batch.error_file else "",
            )
        )

    async def _answer(self, batch: SimulatedBatch, state: BatchState) -> AnsweredRows:
        batch.scan = batch.scan or await self._scan(batch.order)
        answerer = RowAnswerer(
            batch_id=batch.id,
            ordinal=batch.ordinal,
            status=state.status,
            share=state.share,
            input_path=batch.order.input.path,
            scan=batch.scan,
            plan=batch.timeline.plan,
            seed=self.settings.seed,
            teacher=self.teacher,
            failed_before=self._failed_before,
            log_paid=self.log.batch.record,
            new_file=self.files.writer,
            one_file=batch.order.one_file,
            spoken=batch.order.spoken,
        )
        return await asyncio.to_thread(answerer.run)

    def _keep(
        self, batch: SimulatedBatch, written: FileWriter | None, what: str, ended_s: float
    ) -> StoredFile | None:
        if written is None:
            return None
        return self.files.keep(
            written,
            owner=batch.owner,
            purpose="batch_output",
            filename=f"{batch.id}_{what}.jsonl",
            created_s=ended_s,
            kept_s=batch.order.kept_s,
        )
