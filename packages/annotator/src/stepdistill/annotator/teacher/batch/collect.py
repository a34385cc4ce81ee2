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
from functools import partial

import orjson

from stepdistill.annotator.errors import (
    ConnectionLost,
    NotFound,
    ParameterRefused,
    RunStopped,
    TeacherError,
    Transient,
)
from stepdistill.annotator.settings.teacher import LIMIT_NAMES, LimitName
from stepdistill.annotator.store.answer import Answer, Failure
from stepdistill.annotator.teacher.batch.context import BatchContext
from stepdistill.annotator.teacher.batch.http import CutOffError
from stepdistill.annotator.teacher.batch.part import BatchPart, BatchProblem, RemoteBatch
from stepdistill.annotator.teacher.batch.protocols.protocol import BatchApi
from stepdistill.annotator.teacher.batch.result_lines import ResultForm, read_result
from stepdistill.annotator.teacher.error_reply import error_of
from stepdistill.annotator.teacher.progress import Progress
from stepdistill.annotator.teacher.refusals import Refusals
from stepdistill.annotator.teacher.spec import DISTINCT

TRIES, ANY_TRIES = 3, 255
# A file that is not found may only be late; one that was not found so often is gone.
LOOKS = 3


def problem_of(problem: BatchProblem) -> TeacherError:
    """The error that a reason for which a whole batch failed means."""
    error = {"code": problem.code, "message": problem.message}
    if problem.code == "file_not_found":
        return NotFound(f"{problem.code}: {problem.message}")
    return error_of(400, orjson.dumps({"error": error}), {})


@dataclass(slots=True, kw_only=True)
class CollectCounts:
    """What becomes of a part's requests. Pure: its methods say what is to be stored of each."""

    max_tries: int  # how often a request may be asked in batches
    refusals: Refusals  # of this run: whether its requests are all refused
    limit_name: LimitName = "max_tokens"  # that is asked with now
    tries: dict[bytes, int]  # the requests in the order of their lines -> how often each was asked
    progress: Progress  # is told what is asked again
    seen: set[bytes] = field(default_factory=set[bytes])  # those that a line was about
    answered: set[bytes] = field(default_factory=set[bytes])
    failed: set[bytes] = field(default_factory=set[bytes])
    again: dict[bytes, int] = field(default_factory=dict[bytes, int])  # -> how often it was asked
    # Those without an answer that may be billed all the same: the whole of them, or their prompts.
    unheard: set[bytes] = field(default_factory=set[bytes])
    refused: set[bytes] = field(default_factory=set[bytes])
    causes: Counter[str] = field(default_factory=Counter[str])  # why, of those to be asked again
    odd: Counter[str] = field(default_factory=Counter[str])  # what ought not to be
    stop: TeacherError | None = None  # why the run cannot go on, e.g. a quota is used up

    def take(self, key: bytes, outcome: Answer | TeacherError) -> Answer | Failure | None:
        """An answer always counts, an error only where nothing was heard before."""
        if key in self.answered:
            return None
        if isinstance(outcome, Answer):
            self.again.pop(key, None)
            for others in (self.failed, self.unheard, self.refused):
                others.discard(key)
            self.answered.add(key)
            self.refusals.answered()
            return outcome
        if outcome.may_be_paid:
            self.unheard.add(key)
        elif outcome.prompt_may_be_paid:
            self.refused.add(key)
        if key in self.failed or key in self.again:
            return None
        cause = type(outcome).__name__
        if isinstance(outcome, RunStopped) or self._is_of_old(outcome):
            if isinstance(outcome, RunStopped):
                self.stop = self.stop or outcome
            self.again[key] = self.tries[key] - 1  # nobody asked it: it is no try
            self.causes[cause] += 1
            return None
        if isinstance(outcome, Transient):
            tries = min(self.max_tries, outcome.most_replies or self.max_tries)
            return self.ask_again(key, str(outcome), cause, tries)
        self.stop = self.stop or self.refusals.refused(outcome)
        return self.fail(key, outcome.reason, str(outcome))

    def _is_of_old(self, error: TeacherError) -> bool:
        """Whether a batch was sent before the name of its limit was found to be refused."""
        if not isinstance(error, ParameterRefused):
            return False
        return error.name in LIMIT_NAMES and error.name != self.limit_name

    def ask_again(
        self, key: bytes, detail: str, cause: str, max_tries: int | None = None
    ) -> Failure | None:
        """Once more, while there are tries left."""
        tries = self.tries[key]
        if tries >= (max_tries or self.max_tries):
            detail = f"asked in {tries} batches in vain: {detail}"
            return self.fail(key, Transient.reason, detail)
        self.again[key] = tries
        self.causes[cause] += 1
        self.progress.retry(cause)
        return None

    def fail(self, key: bytes, reason: str, detail: str) -> Failure:
        """No other try."""
        self.failed.add(key)
        return Failure(reason=reason, detail=detail)

    @property
    def missing(self) -> list[bytes]:
        """Requests that nothing was heard of yet."""
        heard = (self.answered, self.failed, self.again)
        return [key for key in self.tries if not any(key in each for each in heard)]

    @property
    def line(self) -> str:
        """The counts in words."""
        causes = ", ".join(f"{n:,} {cause}" for cause, n in self.causes.most_common())
        settled = f"{len(self.answered):,} answered, {len(self.failed):,} failed"
        again = f"{len(self.again):,} to be asked again"
        return f"{settled}, {again}" + (f" ({causes})" if causes else "")


class Collector:
    """The collector of what ended batches hold."""

    def __init__(self, api: BatchApi, context: BatchContext) -> None:
        self._api, self._context, self._report = api, context, context.report
        self._error: BaseException | None = None
        self._not_there: Counter[str] = Counter()  # how often a file was not found
        self._refusals = Refusals(context.teacher, context.answered_before)

    async def collect(
        self, part: BatchPart, batch: RemoteBatch, max_tries: int = TRIES
    ) -> CollectCounts:
        """Bring what the batch holds into the store. Raises TeacherError, StoreError. The part's
        claims stay until the caller settles them with the counts."""
        context, keys = self._context, self._context.ledger.keys(part.number)
        stored = zip(keys, context.store.has(keys, part.limit), strict=True)
        counts = CollectCounts(
            max_tries=max_tries,
            tries=dict(zip(keys, context.ledger.tries(keys), strict=True)),
            progress=context.progress,
            refusals=self._refusals,
            limit_name=context.teacher.limit_name,
            answered={key for key, is_there in stored if is_there},
        )
        if counts.answered:
            self._refusals.answered()
        for file_id in (batch.output_file_id, batch.error_file_id):
            if file_id is not None:
                await self._take_file(file_id, part, counts)
        await self._take_problems(batch, counts)
        await self._take_missing(batch, counts)
        await context.group_commit.flush()
        if self._error is not None:
            raise self._error
        for what, n in counts.odd.items():
            if n:
                self._report.oddity(what.replace(" ", "_"), f"{batch.id}: {what}: {n:,}")
        return counts

    async def _take_file(self, file_id: str, part: BatchPart, counts: CollectCounts) -> None:
        torn = partial(self._report.oddity, "torn_download")
        try:
            async with aclosing(self._api.lines(file_id, torn)) as lines:
                async for line in lines:
                    await self._take_line(line, part, counts)
        except CutOffError:
            counts.odd["files cut off"] += 1
        except NotFound as error:
            self._not_there[file_id] += 1
            if self._not_there[file_id] < LOOKS:
                raise ConnectionLost(f"{file_id} is not there: {error}") from None
            gone = f"{file_id} is not kept any more: its answers are lost"
            self._report.oddity("file_gone", gone)

    async def _take_line(self, line: bytes, part: BatchPart, counts: CollectCounts) -> None:
        teacher = self._context.teacher
        about = (
            part.limit,
            part.model,
            ResultForm(teacher.dialect, self._api.as_openai, teacher.label_names),
        )
        result = read_result(teacher.redacted(line, DISTINCT), *about)
        if result is not None and isinstance(result.outcome, TeacherError):
            result = read_result(teacher.redacted(line), *about)
        if result is None:
            counts.odd["unreadable lines"] += 1
        elif result.key is None or result.key not in counts.tries:
            counts.odd["lines about unknown requests"] += 1
        else:
            counts.odd["duplicate lines"] += result.key in counts.seen
            counts.seen.add(result.key)
            outcome = result.outcome
            if isinstance(outcome, TeacherError):
                outcome = teacher.with_remedy(outcome)
            await self._keep(result.key, counts.take(result.key, outcome))

    async def _take_problems(self, batch: RemoteBatch, counts: CollectCounts) -> None:
        """Requests because of which a whole batch was refused fail; the others are asked again."""
        keys = list(counts.tries)
        for problem in batch.problems:
            if problem.line is not None and 0 < problem.line <= len(keys):
                key = keys[problem.line - 1]
                detail = f"line {problem.line}: {problem.code}: {problem.message}"
                if key not in counts.answered and key not in counts.failed:
                    await self._keep(key, counts.fail(key, "bad_request", detail))

    async def _take_missing(self, batch: RemoteBatch, counts: CollectCounts) -> None:
        missing, is_complete = counts.missing, batch.status == "completed"
        cause = "missing" if is_complete else batch.status
        for key in missing:
            detail = f"{batch.id} is {batch.status} without it"
            await self._keep(key, counts.ask_again(key, detail, cause))
        if is_complete:
            counts.odd["requests missing"] += len(missing)
            counts.unheard.update(missing)

    async def _keep(self, key: bytes, outcome: Answer | Failure | None) -> None:
        if outcome is None:
            return

        def landed(error: BaseException | None) -> None:
            if error is None:
                self._context.progress.count(outcome)
            self._error = self._error or error

        await self._context.group_commit.submit(key, outcome, landed)
