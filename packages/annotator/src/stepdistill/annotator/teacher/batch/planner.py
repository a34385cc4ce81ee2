"""What a run asks: parts that hold its requests already, new ones, and what is asked again."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
from functools import partial
from itertools import islice
from pathlib import Path

from stepdistill.annotator.errors import TooLong
from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.store.answer import Failure
from stepdistill.annotator.teacher.batch.context import BatchContext
from stepdistill.annotator.teacher.batch.part import BatchPart
from stepdistill.annotator.teacher.batch.part_files import (
    PartWriter,
    is_whole,
    names_limit,
    read_requests,
)
from stepdistill.annotator.teacher.online.queue import Groups

_GROUP = 256


class BatchPlanner:
    """Which parts a run waits for, and what of them is asked again."""

    def __init__(self, context: BatchContext) -> None:
        self._context, self._ledger = context, context.ledger
        self._report = context.report
        self.mine: set[int] = set()  # numbers of the parts that this run waits for
        self.goes_online = False  # what is to be asked again is asked online
        self.limit_tokens = context.settings.enqueued_tokens  # of one part's prompts
        self._for_online: list[tuple[Path, Collection[bytes]]] = []  # keys in a part's file
        self._unfit: dict[bytes, Failure | None] = {}  # too large for any part; None: it is stored

    async def take(self, groups: Groups, check: Callable[[], Awaitable[None]]) -> None:
        """Write those that no open part asks into new parts. check: raises if there may be none."""
        has_begun = False
        with PartWriter(self._context, self.limit_tokens) as writer:
            async for group in groups:
                new = self._unclaimed(group)
                if new and not has_begun:
                    await check()
                    has_begun = True
                for request in new:
                    if request.key not in writer:
                        self._write(writer, request)
                await self.reject_unfit()
            self._add(writer.finish())

    async def reject_unfit(self) -> None:
        """Store why requests that are too large for any part were not asked. Raises StoreError."""
        errors: list[BaseException] = []

        def landed(failure: Failure, error: BaseException | None) -> None:
            if error is None:
                self._context.progress.count(failure)
            else:
                errors.append(error)

        new = [(key, failure) for key, failure in self._unfit.items() if failure is not None]
        for key, failure in new:
            self._unfit[key] = None
            await self._context.group_commit.submit(key, failure, partial(landed, failure))
        if new:
            await self._context.group_commit.flush()
        if errors:
            raise errors[0]

    async def recognise(self, groups: Groups) -> Counter[int]:
        """Only see which open parts ask some of these, and how many."""
        asked_by: Counter[int] = Counter()
        async for group in groups:
            keys = [request.key for request in group]
            asked_by.update(part for part in self._ledger.claims(keys) if part)
        self.mine |= asked_by.keys()
        return asked_by

    def _unclaimed(self, group: Iterable[Request]) -> list[Request]:
        """Each request of a group that no open part asks, once; parts that ask others are ours."""
        requests = {request.key: request for request in group}
        claims = dict(zip(requests, self._ledger.claims(requests), strict=True))
        self.mine |= {part for part in claims.values() if part}
        return [request for key, request in requests.items() if not claims[key]]

    def settled(self, part: BatchPart, free: Mapping[bytes, int]) -> None:
        """A part is settled: its free requests are asked again, if they are this run's."""
        path = self._ledger.folder / part.file_name
        if part.number in self.mine:
            self._ask_again(path, part, free)
        if path not in [waiting for waiting, _ in self._for_online]:
            path.unlink(missing_ok=True)

    def _ask_again(self, path: Path, part: BatchPart, keys: Mapping[bytes, int]) -> None:
        """In a new part, or online later."""
        if keys and not is_whole(path, part):
            line = f"{path} is gone or damaged: run this again to ask {len(keys):,} of its requests"
            self._report.oddity("part_file_damaged", line)
        elif keys and self.goes_online:
            self._for_online.append((path, keys.keys()))
        elif keys:
            with PartWriter(self._context, self.limit_tokens) as writer:
                for request in read_requests(path, keys):
                    self._write(writer, request)
                self._add(writer.finish())

    def give_back(self, part: BatchPart) -> None:
        """A part of which nothing was asked: its requests are free, as if it had never been."""
        keys = self._ledger.keys(part.number)
        tries = self._ledger.tries(keys)
        free = {key: n - 1 for key, n in zip(keys, tries, strict=True)}
        self._ledger.settle(part, "released", free)
        if self._context.reservations is not None:
            self._context.reservations.release(part)
        self.settled(part, free)

    def drop_unusable(self) -> None:
        """Give back what cannot be sent or collected any more, before the requests are taken."""
        for part in self._ledger.open_parts():
            path = self._ledger.folder / part.file_name
            teacher = self._context.teacher
            is_damaged = part.state == "prepared" and not is_whole(path, part)
            if is_damaged:
                self._report.oddity("part_file_damaged", f"{part.file_name} is written again")
            is_refused = part.state == "prepared" and not names_limit(path, teacher.limit_name)
            # Batches at an embedded simulator have ended with the process that it was in.
            is_over = teacher.is_embedded or is_refused
            if is_damaged or (is_over and self.asks(part)):
                self.give_back(part)

    def asks(self, part: BatchPart) -> bool:
        """Whether a part is for the teacher that this run asks."""
        teacher = self._context.teacher
        return (part.endpoint, part.model) == (teacher.endpoint_name, teacher.model)

    @property
    def n_for_online(self) -> int:
        """Requests that wait to be asked online."""
        return sum(len(keys) for _, keys in self._for_online)

    async def online_requests(self) -> AsyncIterator[list[Request]]:
        """The requests that wait to be asked online, by groups."""
        for path, keys in self._for_online:
            requests = read_requests(path, keys)
            while group := list(islice(requests, _GROUP)):
                yield group

    def _write(self, writer: PartWriter, request: Request) -> None:
        if request.key in self._unfit:
            return
        try:
            self._add(writer.add(request))
        except TooLong as error:
            self._unfit[request.key] = Failure(reason=error.reason, detail=str(error))

    def _add(self, part: BatchPart | None) -> None:
        if part is not None:
            self.mine.add(part.number)
            self._report.event("prepared", part, bytes=part.bytes, tokens=part.tokens)
