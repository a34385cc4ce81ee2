"""The batches themselves: made, brought up to date with the clock whenever asked about, cancelled.

No task runs in the background. Whoever asks for a batch whose time has come makes the simulator
check its input or answer its rows, in a thread, so that other calls are served meanwhile.
"""

import asyncio
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from stepdistill.annotator.simulator.batch.books import BatchBooks, Created, Ended
from stepdistill.annotator.simulator.batch.file_shelf import FileStore, Sink, StoredFile
from stepdistill.annotator.simulator.batch.plan import BatchPlan, SimulatedBatchSettings
from stepdistill.annotator.simulator.batch.rows import RowJob, RowsDone, answer_rows
from stepdistill.annotator.simulator.batch.scan import BatchError, InputScan, scan_input
from stepdistill.annotator.simulator.batch.timeline import Life, Moment, moment
from stepdistill.annotator.simulator.reply import AnswerSource


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOrder:
    """A batch as it was ordered; kept_s: how long its files will be kept, in seconds."""

    input: StoredFile
    metadata: Mapping[str, str] | None
    kept_s: float
    found: bool = True


@dataclass(slots=True, kw_only=True)
class SimulatedBatch:
    """A batch and what is known of it so far; errors None: its input was not checked yet."""

    id: str
    ordinal: int
    owner: str
    order: BatchOrder
    plan: BatchPlan
    created_s: float
    cancelled_s: float | None = None
    scan: InputScan | None = None
    errors: tuple[BatchError, ...] | None = None
    rows: RowsDone | None = None
    output: StoredFile | None = None
    error_file: StoredFile | None = None
    answering: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def life(self) -> Life:
        """What decides its course."""
        return Life(
            plan=self.plan,
            created_s=self.created_s,
            cancelled_s=self.cancelled_s,
            failed=bool(self.errors),
        )


class BatchJobs:
    """All batches of a simulator, oldest first."""

    def __init__(
        self,
        *,
        teacher: AnswerSource,
        settings: SimulatedBatchSettings,
        models: frozenset[str],
        shelf: FileStore,
        books: BatchBooks,
        clock: Callable[[], float],
    ) -> None:
        self._teacher = teacher
        self._settings = settings
        self._models = models
        self._shelf = shelf
        self._books = books
        self._clock = clock
        self._batches: dict[str, SimulatedBatch] = {}
        self._checking = asyncio.Lock()
        self._failed_before: Counter[bytes] = Counter()

    def create(self, order: BatchOrder, owner: str, key: str) -> SimulatedBatch:
        """Take an order that was found good."""
        ordinal = len(self._batches)
        batch = SimulatedBatch(
            id=f"batch_{uuid.uuid4().hex}",
            ordinal=ordinal,
            owner=owner,
            order=order,
            plan=self._settings.plan_of(ordinal),
            created_s=self._clock(),
        )
        self._batches[batch.id] = batch
        self._books.record(
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
        limits, now = self._settings.limits, self._clock()
        since_s = now - limits.creations_window_s
        recent = [batch.created_s for batch in self.all(owner) if batch.created_s > since_s]
        if len(recent) < limits.creations:
            return 0.0
        return recent[-limits.creations] - since_s

    async def over_tokens(self, order: BatchOrder, owner: str) -> BatchError | None:
        """What an order would be refused with that asks for more tokens than are free now."""
        await self._check(self._clock())
        scan = await self._scan(order)
        return await self._token_error(scan, self.all(owner), self._clock())

    async def moment(self, batch: SimulatedBatch) -> Moment:
        """Where the batch stands now, once everything that is due has been done."""
        return await self._moment(batch, self._clock())

    async def _moment(self, batch: SimulatedBatch, now: float) -> Moment:
        await self._check(now, batch)
        reached = moment(batch.life, now)
        if reached.over and reached.status != "failed":
            async with batch.answering:
                if batch.rows is None:
                    await self._answer(batch, reached)
        elif reached.over and batch.rows is None:
            batch.rows = RowsDone()
            self._books.record(_ended(batch, reached))
        return reached

    async def cancel(self, batch: SimulatedBatch) -> Moment | None:
        """Ask for its cancellation; None where it is too late for that."""
        now = self._clock()
        reached = await self._moment(batch, now)
        # Somebody who asked later may have been faster, and have seen it end.
        if reached.over or batch.rows is not None:
            return None
        if batch.cancelled_s is None:
            batch.cancelled_s = now
        return await self._moment(batch, now)

    async def settle(self) -> None:
        """Do everything that is due, for the books."""
        for batch in list(self._batches.values()):
            await self.moment(batch)

    async def _scan(self, order: BatchOrder) -> InputScan:
        most = self._settings.limits.requests_per_file
        return await asyncio.to_thread(scan_input, order.input.path, most)

    async def _check(self, now: float, last: SimulatedBatch | None = None) -> None:
        """Find out what is wrong with the inputs that are due, in order, up to this batch's."""
        async with self._checking:
            for earlier in list(self._batches.values()):
                if earlier.errors is None and now >= earlier.life.validated_s:
                    earlier.errors = await self._errors(earlier)
                if earlier is last:
                    break

    async def _errors(self, batch: SimulatedBatch) -> tuple[BatchError, ...]:
        batch.scan = batch.scan or await self._scan(batch.order)
        if not batch.order.found:
            message = f"Cannot find file {batch.order.input.id}."
            return (BatchError(code="file_not_found", message=message, param="input_file_id"),)
        if batch.plan.fails:
            return (BatchError(code=batch.plan.fails, message="As the simulator's plan has it."),)
        if batch.scan.errors:
            return batch.scan.errors
        if self._models and batch.scan.model not in self._models:
            message = f"The model '{batch.scan.model}' does not exist."
            return (BatchError(code="model_not_found", message=message, param="body.model"),)
        earlier = self.all(batch.owner)
        earlier = earlier[: earlier.index(batch)]
        over = await self._token_error(batch.scan, earlier, batch.life.validated_s)
        return (over,) if over else ()

    async def _token_error(
        self, scan: InputScan, others: list[SimulatedBatch], at: float
    ) -> BatchError | None:
        limit = self._settings.limits.enqueued_tokens
        if limit is None:
            return None
        tokens = scan.prompt_tokens
        for other in others:
            if not moment(other.life, at).over:
                other.scan = other.scan or await self._scan(other.order)
                tokens += other.scan.prompt_tokens if other.scan.model == scan.model else 0
        if tokens <= limit:
            return None
        message = (
            f"Enqueued token limit reached for {scan.model}. Limit: {limit:,} enqueued tokens. "
            "Please try again once some in_progress batches have been completed."
        )
        return BatchError(code="token_limit_exceeded", message=message)

    async def _answer(self, batch: SimulatedBatch, reached: Moment) -> None:
        batch.scan = batch.scan or await self._scan(batch.order)
        job = RowJob(
            batch_id=batch.id,
            ordinal=batch.ordinal,
            status=reached.status,
            input_path=batch.order.input.path,
            scan=batch.scan,
            plan=batch.plan,
            seed=self._settings.seed,
            share=reached.share,
            teacher=self._teacher,
            failed_before=self._failed_before,
            pay=self._books.record,
        )
        rows = await asyncio.to_thread(partial(answer_rows, job, self._shelf.sink))
        at = reached.stamps[reached.status]
        batch.output = self._shelve(batch, rows.output, "output", at)
        batch.error_file = self._shelve(batch, rows.errors, "error", at)
        batch.rows = rows
        self._books.record(_ended(batch, reached))

    def _shelve(
        self, batch: SimulatedBatch, sink: Sink | None, what: str, at: float
    ) -> StoredFile | None:
        if sink is None:
            return None
        return self._shelf.keep(
            sink,
            owner=batch.owner,
            purpose="batch_output",
            filename=f"{batch.id}_{what}.jsonl",
            created_s=at,
            kept_s=batch.order.kept_s,
        )


def _ended(batch: SimulatedBatch, reached: Moment) -> Ended:
    return Ended(
        batch_id=batch.id,
        status=reached.status,
        output_file_id=batch.output.id if batch.output else "",
        error_file_id=batch.error_file.id if batch.error_file else "",
    )
