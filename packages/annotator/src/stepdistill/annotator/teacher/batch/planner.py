"""What a run asks: parts that hold its requests already, new ones, and what is asked again."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
from itertools import islice
from pathlib import Path

from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.settings.batch import BatchSettings
from stepdistill.annotator.teacher.batch.ledger import Ledger
from stepdistill.annotator.teacher.batch.part import BatchPart
from stepdistill.annotator.teacher.batch.part_files import (
    Addressee,
    PartLimits,
    PartWriter,
    is_whole,
    read_requests,
)
from stepdistill.annotator.teacher.batch.report import BatchReporter
from stepdistill.annotator.teacher.batch.reservations import BatchReservations
from stepdistill.annotator.teacher.online.queue import Groups

_GROUP = 256


class BatchPlanner:
    """mine: numbers of the parts that this run waits for.

    goes_online: what is to be asked again is asked online; limit_tokens: of one part's prompts.
    """

    def __init__(
        self,
        ledger: Ledger,
        settings: BatchSettings,
        to: Addressee,
        report: BatchReporter,
        purse: BatchReservations | None = None,
    ) -> None:
        self.mine: set[int] = set()
        self.to, self.settings = to, settings
        self.goes_online = False
        self.limit_tokens = settings.enqueued_tokens
        self.for_online: list[tuple[Path, Collection[bytes]]] = []
        self._ledger, self._report, self._purse = ledger, report, purse

    async def take(self, groups: Groups, check: Callable[[], Awaitable[None]]) -> None:
        """Write those that no open part asks into new parts. check: raises if there may be none."""
        has_begun = False
        with self._writer() as writer:
            async for group in groups:
                new = self._unclaimed(group)
                if new and not has_begun:
                    await check()
                    has_begun = True
                for request in new:
                    if request.key not in writer:
                        self._add(writer.add(request))
            self._add(writer.finish())

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
        requests = list({request.key: request for request in group}.values())
        parts = self._ledger.claims([request.key for request in requests])
        self.mine |= {part for part in parts if part}
        return [each for each, part in zip(requests, parts, strict=True) if not part]

    def settled(self, part: BatchPart, free: Mapping[bytes, int]) -> None:
        """A part is settled: its free requests are asked again, if they are this run's."""
        path = self._ledger.folder / part.file_name
        if part.number in self.mine:
            self._ask_again(path, part, free)
        if path not in [waiting for waiting, _ in self.for_online]:
            path.unlink(missing_ok=True)

    def _ask_again(self, path: Path, part: BatchPart, keys: Mapping[bytes, int]) -> None:
        """In a new part, or online later."""
        if keys and not is_whole(path, part):
            line = f"{path} is gone or damaged: run this again to ask {len(keys):,} of its requests"
            self._report.oddity("part_file_damaged", line)
        elif keys and self.goes_online:
            self.for_online.append((path, keys.keys()))
        elif keys:
            self._rewrite(read_requests(path, keys, self.to.limit_name))

    def give_back(self, part: BatchPart) -> None:
        """A part of which nothing was asked: its requests are free, as if it had never been."""
        keys = self._ledger.keys(part.number)
        tries = self._ledger.tries(keys)
        free = {key: n - 1 for key, n in zip(keys, tries, strict=True)}
        self._ledger.settle(part, "released", free)
        if self._purse is not None:
            self._purse.release(part)
        self.settled(part, free)

    def drop_unusable(self) -> None:
        """Give back what cannot be sent or collected any more, before the requests are taken."""
        for part in self._ledger.open_parts():
            is_damaged = part.state == "prepared" and not is_whole(
                self._ledger.folder / part.file_name, part
            )
            if is_damaged:
                self._report.oddity("part_file_damaged", f"{part.file_name} is written again")
            if is_damaged or (self.to.is_passing and self.asks(part)):
                self.give_back(part)

    def asks(self, part: BatchPart) -> bool:
        """Whether a part is for the teacher that this run asks."""
        return (part.endpoint, part.model) == (self.to.endpoint, self.to.model)

    @property
    def n_for_online(self) -> int:
        """Requests that wait to be asked online."""
        return sum(len(keys) for _, keys in self.for_online)

    async def online_requests(self) -> AsyncIterator[list[Request]]:
        """The requests that wait to be asked online, by groups."""
        for path, keys in self.for_online:
            requests = read_requests(path, keys, self.to.limit_name)
            while group := list(islice(requests, _GROUP)):
                yield group

    def _rewrite(self, requests: Iterable[Request]) -> None:
        with self._writer() as writer:
            for request in requests:
                self._add(writer.add(request))
            self._add(writer.finish())

    def _writer(self) -> PartWriter:
        settings = self.settings
        limits = PartLimits(
            requests=settings.max_requests,
            bytes=settings.max_bytes,
            tokens=self.limit_tokens,
            fits=None if self._purse is None else self._purse.fits,
        )
        return PartWriter(self._ledger, limits, self.to)

    def _add(self, part: BatchPart | None) -> None:
        if part is not None:
            self.mine.add(part.number)
            self._report.event("prepared", part, bytes=part.bytes, tokens=part.tokens)
