"""A round of the batch teacher: what is done for one part, by the state in which it stands."""

from collections import Counter

from stepdistill.annotator.errors import (
    BatchQueueFull,
    BatchRefused,
    ConnectionLost,
    NotFound,
    RateLimited,
    RunStopped,
    TeacherError,
    TimedOut,
    Transient,
)
from stepdistill.annotator.teacher.batch.capacity import Capacity, enqueued
from stepdistill.annotator.teacher.batch.collect import (
    ANY_TRIES,
    LOOKS,
    TRIES,
    CollectCounts,
    Collector,
    problem_of,
)
from stepdistill.annotator.teacher.batch.context import BatchContext, Persistence
from stepdistill.annotator.teacher.batch.part import BatchPart, RemoteBatch
from stepdistill.annotator.teacher.batch.planner import BatchPlanner
from stepdistill.annotator.teacher.batch.protocols.protocol import BatchApi
from stepdistill.annotator.teacher.batch.upload import Uploader


class PartLifecycle:
    """The lifecycle of one teacher's open parts: takes them further, over an open connection."""

    def __init__(self, api: BatchApi, context: BatchContext, planner: BatchPlanner) -> None:
        self._api, self._context, self._planner = api, context, planner
        self._ledger, self._report = context.ledger, context.report
        self._reservations = context.reservations
        self.uploader = Uploader(api, context)
        self._collector = Collector(api, context)
        self._capacity = Capacity(context.settings.enqueued_tokens, context.ledger.now)
        self.persistence = Persistence(context.report)
        self.lost: set[int] = set()  # numbers of parts whose batch this key does not see
        self.unaffordable: set[int] = set()  # of parts for which too little was left in this round
        self._not_seen: Counter[int] = Counter()  # how often a part's batch was not seen

    async def resolve_doubts(self) -> None:
        """Find out what became of calls that were under way when a run ended."""
        for part in self._parts():
            await self.uploader.resolve(part)

    async def look_at_all(self) -> None:
        """Look at every batch once, and take in what has ended."""
        for part in self._parts():
            if part.state == "submitted" and part.number not in self.lost:
                await self._look(part)

    async def cancel(self, number: int, *, forget: bool) -> None:
        """End one part early; forget: without asking the teacher, and its requests are free."""
        part = self._ledger.part(number)
        if forget:
            self._planner.give_back(part)
            self._report.tell(
                f"part {number}: {part.requests:,} requests are free to be asked again"
            )
        elif part.may_be_paid:
            await self._cancel(part)
        elif part.is_open:
            await self._give_back(part)
            self._report.tell(f"part {number} was not sent yet, and is taken back")

    async def take_back_unsent(self) -> None:
        """Give back the parts of this run that no batch was created for."""
        for part in self._parts():
            if part.number in self._planner.mine and part.is_unsent:
                await self._give_back(part)

    async def round(self) -> bool:
        """Take each part as far as it goes now; whether anything has moved. Raises RunStopped."""
        has_moved, in_a_row = False, 0
        self.unaffordable.clear()
        for number in [part.number for part in self._parts()]:
            try:
                has_moved |= await self._advance(number)
                self.persistence.heard()
                in_a_row = 0
            except Transient as error:
                self.persistence.failed(error)
                in_a_row += 1
                if isinstance(error, (ConnectionLost, TimedOut)) and in_a_row > 1:
                    break  # nobody is there: the other parts need not wait for that one by one
        return has_moved

    def can_send(self, parts: list[BatchPart]) -> bool:
        """Whether some of these parts could be sent now."""
        known = self._ledger.parts()
        return any(
            part.state in ("uploading", "creating")
            or (part.is_unsent and self._capacity.has_room(part, known))
            for part in parts
            if part.number not in self.unaffordable
        )

    async def _advance(self, number: int) -> bool:
        part = await self.uploader.resolve(self._ledger.part(number))
        is_mine = part.number in self._planner.mine
        if is_mine and self._is_overdue():
            return await self._take_back(part)
        if part.is_unsent:
            return is_mine and await self._send(part)
        return part.number not in self.lost and await self._look(part)

    async def _send(self, part: BatchPart) -> bool:
        if self._capacity.is_too_large(part):
            self._report.oddity("part_too_large", f"{part.file_name} is split for the token limit")
            await self._give_back(part)
            return True
        if not self._capacity.has_room(part, self._ledger.parts()):
            return False
        await self.uploader.check_model()
        if self._reservations is not None and not self._reservations.hold(part):
            self.unaffordable.add(part.number)
            return False
        try:
            await self.uploader.send(part)
        except BatchQueueFull as error:
            self._wait_for_room(part, error)
            return False
        except RateLimited as error:
            self._capacity.refused(None, error.retry_after_s)
            self._report.once("creations", f"{part.file_name} waits: {error}")
            return False
        except FileNotFoundError:
            self._planner.give_back(part)
        return True

    async def _look(self, part: BatchPart) -> bool:
        try:
            batch = await self._api.batch(part.batch_id or "")
        except NotFound as error:
            self._not_seen[part.number] += 1
            if self._not_seen[part.number] < LOOKS:
                raise ConnectionLost(str(error)) from None
            self._lose(part)
            return False
        before, part = part, part.seen(batch, self._ledger.now())
        if part != before:
            self._ledger.save(part)
        if not batch.ended:
            return part.remote != before.remote
        self._capacity.freed()
        self._report.over("queue_full")
        if (sure := await self.uploader.make_sure(part, batch)) is None:
            return True
        part = sure
        if batch.status != "failed" or not self._is_put_back(part, batch):
            await self._take_in(part, batch)
        return True

    async def _take_in(self, part: BatchPart, batch: RemoteBatch) -> None:
        # What is asked online next has no tries to use up.
        max_tries = ANY_TRIES if self._planner.goes_online else TRIES
        counts = await self._collector.collect(part, batch, max_tries)
        # Money is settled before the claims are: done twice it counts once, left out it is lost.
        self._pay(part, batch, counts)
        self._ledger.settle(part, "collected", counts.again)
        self._report.event("collected", part, batch=batch.id, status=batch.status)
        self._report.tell(f"{batch.id} is {batch.status}: {counts.line}")
        self._planner.settled(part, counts.again)
        if counts.stop is not None:
            raise counts.stop

    def _pay(self, part: BatchPart, batch: RemoteBatch, counts: CollectCounts) -> None:
        if self._reservations is None:
            return
        with self._context.store.reading() as stored:
            found = (stored.answer(key) for key in self._ledger.keys(part.number))
            answers = [each for each in found if each is not None and each.mode == "batch"]
        # Where the teacher does not count, all that it ended without an answer may be billed.
        done = part.requests if batch.request_counts is None else batch.counts.completed
        unheard = max(done - len(counts.answered), len(counts.unheard))
        self._reservations.settle(part, answers, unheard, len(counts.refused))

    def _is_put_back(self, part: BatchPart, batch: RemoteBatch) -> bool:
        """Whether a failed batch is to be created again. Raises RunStopped: it never could be."""
        named = self._context.teacher.with_remedy
        errors = [named(problem_of(problem)) for problem in batch.problems]
        full = next((error for error in errors if isinstance(error, BatchQueueFull)), None)
        if full is not None:
            self._put_back(part)
            self._wait_for_room(part, full)
            return True
        if any(isinstance(error, NotFound) for error in errors):
            self._put_back(part)
            self._report.oddity("file_unseen", f"{batch.id} did not see its file: created again")
            return True
        if errors and all(problem.line is None for problem in batch.problems):
            self._planner.mine.discard(part.number)
            self._planner.give_back(part)
            raise _stop(batch, errors[0])
        return False

    def _put_back(self, part: BatchPart) -> None:
        self.uploader.put_back(part, batch_id=None, remote=None)

    def _wait_for_room(self, part: BatchPart, error: BatchQueueFull) -> None:
        self._capacity.refused(error.limit_tokens)
        self._planner.limit_tokens = self._capacity.limit_tokens
        others = enqueued(part, self._ledger.parts())
        self._report.once(
            "queue_full",
            f"the teacher's queue is full ({others:,} prompt tokens of ours are in it): "
            f"{part.file_name} waits for room ({error})",
        )

    async def _take_back(self, part: BatchPart) -> bool:
        """Time is up: what was not sent comes back, batches are cancelled, the rest goes online."""
        self._planner.goes_online = True
        if part.is_unsent:
            await self._give_back(part)
            return True
        if not part.cancelled:
            part = await self._cancel(part)
        return part.number not in self.lost and await self._look(part)

    async def _cancel(self, part: BatchPart) -> BatchPart:
        try:
            is_asked = not part.is_unsure and await self._api.cancel(part.batch_id or "")
        except NotFound:
            self._lose(part)
            return part
        if not is_asked:
            why = "it may be somebody else's" if part.is_unsure else "there is no way to cancel it"
            self._report.once(f"kept {part.number}", f"{part.batch_id} is waited for: {why}")
            return part
        self._report.tell(f"{part.batch_id}: an end was asked for")
        return self._ledger.save(part.model_copy(update={"cancelled": True}))

    async def _give_back(self, part: BatchPart) -> None:
        await self.uploader.withdraw(part)
        self._planner.give_back(part)

    def _is_overdue(self) -> bool:
        """Whether the time for batches is up, counted from the oldest part of this run."""
        after_s = self._context.settings.fallback_online_after_s
        if after_s is None:
            return False
        mine = (part for part in self._ledger.parts() if part.number in self._planner.mine)
        return self._ledger.now() - min(part.began_at for part in mine) >= after_s

    def _lose(self, part: BatchPart) -> None:
        self.lost.add(part.number)
        self._report.once(
            f"lost {part.number}",
            f"this key does not see {part.batch_id}, which holds {part.requests:,} requests",
        )

    def _parts(self) -> list[BatchPart]:
        """The open parts of this teacher, of this run and of others."""
        return [part for part in self._ledger.open_parts() if self._planner.asks(part)]


def _stop(batch: RemoteBatch, error: TeacherError) -> TeacherError:
    if isinstance(error, RunStopped):
        return error
    return BatchRefused(f"{batch.id} was refused, and none of its requests asked: {error}")
