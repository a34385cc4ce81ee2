"""Who asks and pays leaves a note in the store: one call, the same for every command that does.

with noted(store, Spender(plan=name, config=config, tariff=tariff, kind="search")) as spending:
    spending.tries(study)      # templates, before they are asked
    spending.count(progress)   # of each time that the teacher is asked
"""

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from stepdistill.annotator.money.bill import spent_usd
from stepdistill.annotator.money.book import AccountsBook
from stepdistill.annotator.money.prices import Tariff
from stepdistill.annotator.money.run_notes import RUN, Kind, RunNote, Start, Study, note_of
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.teacher.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Spender:
    """Who spends. plan: the same name whenever it is started again. tariff: of its teacher."""

    plan: str
    config: RunSettings
    tariff: Tariff
    kind: Kind = "run"

    @property
    def name(self) -> str:
        """A run and an experiment may be of the very same plan."""
        return self.plan if self.kind == "run" else f"{self.kind}-{self.plan}"


@dataclass(slots=True)
class Spending:
    """A run under way, and its note: kept in this book, or nowhere, where nobody is asked."""

    spender: Spender
    _book: AccountsBook | None
    _note: RunNote
    _start: Start
    _asked: list[tuple[Progress, Tariff]] = field(default_factory=list[tuple[Progress, Tariff]])

    def count(self, progress: Progress, tariff: Tariff | None = None) -> None:
        """Count this to the start. tariff: of another teacher than the run's."""
        self._asked.append((progress, tariff or self.spender.tariff))

    def tries(self, study: Study) -> None:
        """These templates are going to be asked: remembered before they are. Raises StoreError."""
        studies = {each.rows: each for each in self._note.studies}
        before = studies.get(study.rows)
        studies[study.rows] = before.with_templates(study.templates) if before else study
        self._note = self._note.model_copy(update={"studies": tuple(studies.values())})
        self.write()

    def write(self) -> None:
        """Put the note, as it is now, on the disk. Raises StoreError."""
        if self._book is not None:
            note = self._note.model_copy(update={"starts": (*self._note.starts, self._start)})
            self._book.write_entry(RUN + note.name.encode(), note.model_dump(mode="json"))

    def end(self) -> None:
        """Note how it ended. Raises StoreError."""
        each = [progress for progress, _ in self._asked]
        spent = [spent_usd(tariff, progress) for progress, tariff in self._asked]
        ended = {
            "ended_at": time.time(),
            "asked": sum(progress.asked for progress in each),
            "cached": sum(progress.cached for progress in each),
            "failed": sum(progress.failed for progress in each),
            "retries": sum(sum(progress.retries.values()) for progress in each),
            "usd": None if None in spent else sum(usd or 0.0 for usd in spent),
        }
        self._start = self._start.model_copy(update=ended)
        self.write()


@contextmanager
def noted(store: ResponseStore, spender: Spender) -> Generator[Spending]:
    """Remember that a run was started, and how it ended. Raises StoreError."""
    config = spender.config
    start = Start(at=time.time(), mode="batch" if config.batch_api else "online")
    note = note_of(config, spender.name, spender.kind)
    if config.offline:
        yield Spending(spender, None, note, start)
        return
    book = AccountsBook(store)
    before = book.entry(RUN + spender.name.encode())
    if before is not None:
        kept = RunNote.model_validate(before)
        note = note.model_copy(update={"starts": kept.starts, "studies": kept.studies})
    spending = Spending(spender, book, note, start)
    spending.write()
    try:
        yield spending
    finally:
        spending.end()
