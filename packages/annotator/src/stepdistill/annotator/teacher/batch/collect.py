"""Complete accounting: output file, error file and missing rows; every request gets a state.

    answered   into the store, whatever its quality: paid for is kept
    failed     no other try would help, or its tries are used up: a Failure in the store
    again      to be asked once more: expired, cancelled, 429, 5xx, missing from both files

Lines may come in any order, twice, or about requests that were never sent. A collection that was
broken off is done again from the start: what is in the store already is passed over.
"""

from collections import Counter
from contextlib import aclosing
from dataclasses import dataclass, field

from stepdistill.annotator.errors import (
    ConnectionLost,
    NotFound,
    RunStopped,
    TeacherError,
    Transient,
)
from stepdistill.annotator.store.answer import Answer, Failure
from stepdistill.annotator.store.group_commit import GroupCommit
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.teacher.batch.api import BatchApi
from stepdistill.annotator.teacher.batch.download import Download
from stepdistill.annotator.teacher.batch.ledger import Ledger
from stepdistill.annotator.teacher.batch.part import BatchPart
from stepdistill.annotator.teacher.batch.protocol import RemoteBatch
from stepdistill.annotator.teacher.batch.report import BatchReporter
from stepdistill.annotator.teacher.batch.reservations import BatchReservations
from stepdistill.annotator.teacher.batch.result_lines import read_result
from stepdistill.annotator.teacher.online.retry import RetryPolicy
from stepdistill.annotator.teacher.progress import Progress

TRIES, ANY_TRIES = 3, 255
# A file that is not found may only be late; one that was not found so often is gone.
LOOKS = 3
_RETRY = RetryPolicy(attempts=4, first_s=0.5, cap_s=5.0)


@dataclass(slots=True, kw_only=True)
class CollectCounts:
    """What became of a part's requests. again: key -> how often it was asked.

    waiting: the part's requests, in the order of its lines -> how often each was asked.
    seen: those that a line was about. causes: why, of those to be asked again. odd: what ought not
    to be. stop: a reason for which the run cannot go on, e.g. a quota used up within the batch.
    """

    tries: int
    waiting: dict[bytes, int]
    seen: set[bytes] = field(default_factory=set[bytes])
    answered: set[bytes] = field(default_factory=set[bytes])
    failed: set[bytes] = field(default_factory=set[bytes])
    again: dict[bytes, int] = field(default_factory=dict[bytes, int])
    causes: Counter[str] = field(default_factory=Counter[str])
    odd: Counter[str] = field(default_factory=Counter[str])
    stop: RunStopped | None = None

    @property
    def line(self) -> str:
        """The counts in words."""
        causes = ", ".join(f"{n:,} {cause}" for cause, n in self.causes.most_common())
        said = f"{len(self.answered):,} answered, {len(self.failed):,} failed"
        return f"{said}, {len(self.again):,} to be asked again" + (f" ({causes})" if causes else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchContext:
    """What a teacher works at: where answers go, who hears of it, and what may be spent."""

    store: ResponseStore
    committer: GroupCommit
    progress: Progress
    report: BatchReporter
    purse: BatchReservations | None = None


class Collector:
    """Takes in what ended batches hold."""

    def __init__(self, api: BatchApi, ledger: Ledger, desk: BatchContext) -> None:
        self._api, self._ledger, self._desk = api, ledger, desk
        self._error: BaseException | None = None
        self._not_there: Counter[str] = Counter()

    async def collect(
        self, part: BatchPart, batch: RemoteBatch, tries: int = TRIES
    ) -> CollectCounts:
        """Bring what the batch holds into the store. Raises TeacherError, StoreError.

        tries: how often a request may be asked in batches.
        The part's claims stay until the caller settles them with the tally.
        """
        keys = self._ledger.keys(part.number)
        stored = self._desk.store.has(keys)
        tally = CollectCounts(
            tries=tries,
            waiting=dict(zip(keys, self._ledger.tries(keys), strict=True)),
            answered={key for key, is_there in zip(keys, stored, strict=True) if is_there},
        )
        for file_id in (batch.output_file_id, batch.error_file_id):
            if file_id is not None:
                await self._take_file(file_id, part, tally)
        await self._take_problems(batch, tally)
        await self._take_missing(batch, tally)
        await self._desk.committer.flush()
        if self._error is not None:
            raise self._error
        for what, n in tally.odd.items():
            if n:
                self._desk.report.oddity(what.replace(" ", "_"), f"{batch.id}: {what}: {n:,}")
        return tally

    async def _take_file(self, file_id: str, part: BatchPart, tally: CollectCounts) -> None:
        report = self._desk.report
        download = Download(self._api, file_id, _RETRY)
        try:
            async with aclosing(
                download.lines(lambda line: report.oddity("torn_download", line))
            ) as lines:
                async for line in lines:
                    await self._take_line(line, part.limit, tally)
        except NotFound as error:
            self._not_there[file_id] += 1
            if self._not_there[file_id] < LOOKS:
                raise ConnectionLost(f"{file_id} is not there: {error}") from None
            report.oddity("file_gone", f"{file_id} is not kept any more: its answers are lost")
        tally.odd["files cut off"] += download.cut_off

    async def _take_line(self, line: bytes, limit: int, tally: CollectCounts) -> None:
        result = read_result(line, limit)
        if result is None:
            tally.odd["unreadable lines"] += 1
        elif result.key is None or result.key not in tally.waiting:
            tally.odd["lines about unknown requests"] += 1
        else:
            tally.odd["duplicate lines"] += result.key in tally.seen
            tally.seen.add(result.key)
            await self._take(result.key, result.outcome, tally)

    async def _take(self, key: bytes, outcome: Answer | TeacherError, tally: CollectCounts) -> None:
        """An answer always counts, an error only where nothing was said before."""
        if key in tally.answered:
            return
        if isinstance(outcome, Answer):
            tally.again.pop(key, None)
            tally.failed.discard(key)
            tally.answered.add(key)
            await self._keep(key, outcome)
        elif key not in tally.failed and key not in tally.again:
            await self._refused(key, outcome, tally)

    async def _refused(self, key: bytes, error: TeacherError, tally: CollectCounts) -> None:
        tries = tally.waiting[key]
        if isinstance(error, RunStopped):
            tally.stop = tally.stop or error
            tally.again[key] = tries - 1
            tally.causes[type(error).__name__] += 1
        elif not isinstance(error, Transient):
            await self._fail(key, Failure(reason=error.reason, detail=str(error)), tally)
        else:
            await self._again(key, str(error), type(error).__name__, tally)

    async def _again(self, key: bytes, detail: str, cause: str, tally: CollectCounts) -> None:
        """Once more, while there are tries left."""
        tries = tally.waiting[key]
        if tries < tally.tries:
            tally.again[key] = tries
            tally.causes[cause] += 1
            self._desk.progress.retry(cause)
            return
        detail = f"asked in {tries} batches in vain: {detail}"
        await self._fail(key, Failure(reason=Transient.reason, detail=detail), tally)

    async def _take_problems(self, batch: RemoteBatch, tally: CollectCounts) -> None:
        """Requests for whose sake the whole batch was refused fail; the others are asked again."""
        keys = list(tally.waiting)
        for problem in batch.problems:
            if problem.line is not None and 0 < problem.line <= len(keys):
                key = keys[problem.line - 1]
                detail = f"line {problem.line}: {problem.code}: {problem.message}"
                if key not in tally.answered and key not in tally.failed:
                    await self._fail(key, Failure(reason="bad_request", detail=detail), tally)

    async def _take_missing(self, batch: RemoteBatch, tally: CollectCounts) -> None:
        missing = [
            key
            for key in tally.waiting
            if key not in tally.answered and key not in tally.failed and key not in tally.again
        ]
        cause = batch.status if batch.status != "completed" else "missing"
        for key in missing:
            await self._again(key, f"{batch.id} is {batch.status} without it", cause, tally)
        if batch.status == "completed":
            tally.odd["requests missing"] += len(missing)

    async def _fail(self, key: bytes, failure: Failure, tally: CollectCounts) -> None:
        tally.failed.add(key)
        await self._keep(key, failure)

    async def _keep(self, key: bytes, outcome: Answer | Failure) -> None:
        def landed(error: BaseException | None) -> None:
            if error is None:
                self._desk.progress.count(outcome)
            self._error = self._error or error

        await self._desk.committer.submit(key, outcome, landed)
