"""What a run asks: parts that hold its requests already, new ones, and what is asked again."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from itertools import islice
from pathlib import Path

from annotator.config import BatchSettings
from annotator.request.agenda import Groups
from annotator.request.batch.guard import ModelGuard
from annotator.request.batch.ledger import Ledger
from annotator.request.batch.part import Part
from annotator.request.batch.part_files import (
    Addressee,
    PartLimits,
    PartWriter,
    is_whole,
    read_requests,
)
from annotator.request.batch.purse import BatchPurse
from annotator.request.batch.report import Reporter
from annotator.request.key import Request

_GROUP = 256


class Intake:
    """mine: numbers of the parts that this run waits for.

    goes_online: what is to be asked again is asked online; limit_tokens: of one part's prompts.
    """

    def __init__(
        self,
        ledger: Ledger,
        settings: BatchSettings,
        to: Addressee,
        report: Reporter,
        purse: BatchPurse | None = None,
    ) -> None:
        self.mine: set[int] = set()
        self.to, self.settings = to, settings
        self.goes_online = False
        self.limit_tokens = settings.enqueued_tokens
        self.for_online: list[tuple[Path, Collection[bytes]]] = []
        self._ledger, self._report, self._purse = ledger, report, purse

    async def take(self, groups: Groups, guard: ModelGuard) -> None:
        """Write those that no open part asks into new parts. Raises what guard does: no model."""
        writer = self._writer()
        has_begun = False
        async for request in _each(groups):
            part = self._ledger.claims([request.key])[0]
            if part:
                self.mine.add(part)
            elif request.key not in writer:
                if not has_begun:
                    await guard.check()
                    has_begun = True
                self._add(writer.add(request))
        self._add(writer.close())

    async def recognise(self, groups: Groups) -> None:
        """Only see which open parts ask some of these."""
        async for request in _each(groups):
            self.mine |= {part for part in self._ledger.claims([request.key]) if part}

    def ask_again(self, part: Part, keys: Mapping[bytes, int]) -> None:
        """Requests of a part that is settled go into a new one, or wait to be asked online."""
        path = self._ledger.folder / part.file_name
        if keys and not is_whole(path, part):
            line = f"{path} is gone or damaged: run this again to ask {len(keys):,} of its requests"
            self._report.oddity("part_file_damaged", line)
        elif keys and self.goes_online:
            self.for_online.append((path, keys.keys()))
        elif keys:
            self._rewrite(read_requests(path, keys, self.to.limit_name))

    def give_back(self, part: Part) -> None:
        """A part of which nothing was asked: its requests are free, as if it had never been."""
        keys = self._ledger.keys(part.number)
        tries = self._ledger.tries(keys)
        free = {key: n - 1 for key, n in zip(keys, tries, strict=True)}
        self._ledger.settle(part, "released", free)
        if self._purse is not None:
            self._purse.release(part)
        if part.number in self.mine:
            self.ask_again(part, free)

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

    def asks(self, part: Part) -> bool:
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
        writer = self._writer()
        for request in requests:
            self._add(writer.add(request))
        self._add(writer.close())

    def _writer(self) -> PartWriter:
        settings = self.settings
        limits = PartLimits(
            requests=settings.max_requests,
            bytes=settings.max_bytes,
            tokens=self.limit_tokens,
            fits=None if self._purse is None else self._purse.fits,
        )
        return PartWriter(self._ledger, limits, self.to)

    def _add(self, part: Part | None) -> None:
        if part is not None:
            self.mine.add(part.number)
            self._report.event("prepared", part, bytes=part.bytes, tokens=part.tokens)


async def _each(groups: Groups) -> AsyncIterator[Request]:
    async for group in groups:
        for request in group:
            yield request
