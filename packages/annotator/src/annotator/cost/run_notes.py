"""What the store remembers of runs: what each was asked to do, and when it was started and ended.

    run-NAME   RunNote: the settings, and a line for every start

That is all that cannot be computed again: what an answer was for follows from the plan, and which
run paid for it from the time at which it was asked, as only one run writes to a store at a time.
"""

import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from annotator.config import RunConfig, ShardSettings
from annotator.cost.accounts_book import AccountsBook
from annotator.cost.bill import spent_usd
from annotator.cost.prices import Tariff
from annotator.request.key import without_secrets
from annotator.request.progress import Progress
from annotator.request.store import ResponseStore

_RUN = b"run-"


class _Note(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Start(_Note):
    """One start of a run. at, ended_at: seconds since 1970; ended_at is None after a kill.

    usd: of its own answers, None where no price was known.
    """

    at: float
    ended_at: float | None = None
    mode: Literal["online", "batch"] = "online"
    asked: int = 0
    cached: int = 0
    failed: int = 0
    retries: int = 0
    usd: float | None = None


class RunNote(_Note):
    """One run. Paths are as its command line had them; out is made absolute."""

    name: str
    task: str
    splits: tuple[str, ...]
    teacher: str
    prompts: Path
    out: Path
    data: str | None
    samples: int | None
    template: str | None
    mix: str | None
    base_url: str | None
    models: Path | None
    votes: int
    reader: str
    rationale_rate: float
    filters: tuple[str, ...]
    max_student_tokens: int | None
    student_tokenizer: Path | None
    starts: tuple[Start, ...] = ()

    def config(self, store: Path, prices: Path | None) -> RunConfig:
        """The settings again, to read what its store holds."""
        return RunConfig(
            task=self.task,
            splits=self.splits,
            teacher=self.teacher,
            prompts=self.prompts,
            store=store,
            out=self.out,
            data=self.data,
            samples=self.samples,
            template=self.template,
            mix=self.mix,
            base_url=self.base_url,
            offline=True,
            models=self.models,
            prices=prices,
            votes=self.votes,
            shards=ShardSettings(
                reader=self.reader,
                rationale_rate=self.rationale_rate,
                filters=frozenset(self.filters),
                max_student_tokens=self.max_student_tokens,
                student_tokenizer=self.student_tokenizer,
            ),
        )


def notes_in(store: ResponseStore) -> list[RunNote]:
    """Every run that a store remembers, the latest start last."""
    found = [RunNote.model_validate(each) for each in AccountsBook(store).entries(_RUN)]
    return sorted(found, key=lambda note: note.starts[-1].at if note.starts else 0.0)


@contextmanager
def noted(
    store: ResponseStore, config: RunConfig, name: str, tariff: Tariff, progress: Progress
) -> Generator[None]:
    """Remember that a run was started, and how it ended. Raises StoreError."""
    book, key = AccountsBook(store), _RUN + name.encode()
    before = book.entry(key)
    starts = () if before is None else RunNote.model_validate(before).starts
    start = Start(at=time.time(), mode="batch" if config.batch is not None else "online")

    def write(start: Start) -> None:
        note = _note(config, name, (*starts, start))
        book.write_entry(key, note.model_dump(mode="json"))

    write(start)
    try:
        yield
    finally:
        ended = {
            "ended_at": time.time(),
            "asked": progress.asked,
            "cached": progress.cached,
            "failed": progress.failed,
            "retries": sum(progress.retries.values()),
            "usd": spent_usd(tariff, progress),
        }
        write(start.model_copy(update=ended))


def _note(config: RunConfig, name: str, starts: tuple[Start, ...]) -> RunNote:
    shards = config.shards
    return RunNote(
        name=name,
        task=config.task,
        splits=config.splits,
        teacher=config.teacher,
        prompts=config.prompts,
        out=config.out.absolute(),
        data=config.data,
        samples=config.samples,
        template=config.template,
        mix=config.mix,
        base_url=None if config.base_url is None else without_secrets(config.base_url),
        models=config.models,
        votes=config.votes,
        reader=shards.reader,
        rationale_rate=shards.rationale_rate,
        filters=tuple(sorted(shards.filters)),
        max_student_tokens=shards.max_student_tokens,
        student_tokenizer=shards.student_tokenizer,
        starts=starts,
    )
