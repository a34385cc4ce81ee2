"""What the store remembers of runs: what each was asked to do, and when it was started and ended.

    run-NAME   RunNote: the settings, what a study tries, and a line for every start

That is all that cannot be computed again: what an answer was for follows from the plan, and which
run paid for it from the time at which it was asked, as only one run writes to a store at a time.
Every command that asks and pays leaves a note, by one call:

    with noted(store, Spender(plan=name, config=config, tariff=tariff, kind="search")) as spending:
        spending.tries(study)      # templates, before they are asked
        spending.count(progress)   # of each time that the teacher is asked
"""

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator

from stepdistill.annotator.money.bill import spent_usd
from stepdistill.annotator.money.prices import Tariff
from stepdistill.annotator.prompt.template import Template
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.settings.shards import SURE_ENOUGH, ShardSettings
from stepdistill.annotator.settings.teacher import addresses_in, kept_under
from stepdistill.annotator.store.entries import SealedEntries
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.teacher.progress import Progress
from stepdistill.common.errors import ConfigError, StoreError
from stepdistill.common.urls import Place, kept_place, place_of, shown, without_secrets

RUN = b"run-"
# What a note takes over from the settings as it is.
_SETTINGS = (
    *("task", "splits", "teacher", "prompts", "data", "samples", "template", "mix"),
    *("models", "providers", "votes", "effort", "logprobs"),
)
_SHARDS = (
    *("reader", "rationale_from", "min_confidence", "rationale_rate"),
    *("max_student_tokens", "student_tokenizer", "judgements", "min_sureness", "keep_rationales"),
)
Kind = Literal["run", "probe", "experiment", "search"]
_Place = Annotated[Place, PlainValidator(place_of), PlainSerializer(str)]


class _Note(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Start(_Note):
    """One start of a run."""

    at: float  # seconds since 1970
    ended_at: float | None = None  # likewise; None after a kill
    mode: Literal["online", "batch"] = "online"
    asked: int = 0  # requests, as all counts here
    cached: int = 0
    failed: int = 0
    retries: int = 0
    usd: float | None = None  # of its own answers, None where no price was known


class Study(_Note):
    """Templates that are tried, as they were worded, on a choice of a split's rows."""

    split: str
    test_size: int | float | None  # rows, or a share of them where it is a float; None: all
    seed: int  # that chose these rows
    templates: tuple[Template, ...]

    def with_templates(self, others: tuple[Template, ...]) -> "Study":
        """Tried as well; other words under the same id are another template."""
        by_words = {(each.id, each.digest): each for each in (*self.templates, *others)}
        return self.model_copy(update={"templates": tuple(by_words.values())})

    @property
    def rows(self) -> tuple[str, int | float | None, int]:
        """Which rows these are."""
        return self.split, self.test_size, self.seed


class RunNote(_Note):
    """One run: its settings by the names that they have there. Paths are as its command line had
    them; out, and the others that it wrote to before, are made absolute."""

    name: str
    kind: Kind = "run"
    task: str
    splits: tuple[str, ...]
    teacher: str
    prompts: Path
    out: _Place
    data: str | None  # without what may be a secret
    samples: int | None
    template: str | None
    mix: str | None
    base_url: str | None  # that answers are kept under, without what may be a secret
    # Likewise, all that were asked, where these are several, or others.
    addresses: tuple[str, ...] = Field(default=(), exclude_if=lambda each: not each)
    models: Path | None
    providers: Path | None = Field(default=None, exclude_if=lambda path: path is None)
    votes: int
    effort: str | None = Field(default=None, exclude_if=lambda effort: effort is None)
    logprobs: int | None = Field(default=None, exclude_if=lambda most: most is None)
    reader: str
    rationale_rate: float
    filters: tuple[str, ...]
    max_student_tokens: int | None
    student_tokenizer: Path | None
    rationale_from: Literal["answer", "thinking"] = "answer"
    min_confidence: float = SURE_ENOUGH
    min_sureness: float = Field(default=0.0, exclude_if=lambda least: not least)
    keep_rationales: int = Field(default=1, exclude_if=lambda most: most == 1)
    judgements: Path | None = Field(default=None, exclude_if=lambda path: path is None)
    earlier_outs: tuple[_Place, ...] = ()
    # The places of the rows that were chosen, by split; of a split that is not in it all are done.
    chosen: dict[str, list[int]] = Field(default={}, exclude_if=lambda rows: not rows)
    studies: tuple[Study, ...] = ()  # of an experiment or a search, which have no mix
    starts: tuple[Start, ...] = ()

    @property
    def outs(self) -> tuple[Place, ...]:
        """Every folder that it wrote to, the latest first."""
        return (self.out, *self.earlier_outs)

    def written_to(self, out: Place) -> "RunNote":
        """The same, as it wrote to this folder of its."""
        others = tuple(path for path in self.outs if path != out)
        return self.model_copy(update={"out": out, "earlier_outs": others})

    def after(self, before: "RunNote") -> "RunNote":
        """The same, with what it did before."""
        kept: dict[str, object] = {"starts": before.starts, "studies": before.studies}
        outs = {"out": before.out, "earlier_outs": before.earlier_outs}
        # Whoever was asked with these at any time is one teacher with them.
        kept["addresses"] = tuple(dict.fromkeys((*self.addresses, *before.addresses)))
        return self.model_copy(update={**kept, **outs}).written_to(self.out)

    def config(self, store: Path, prices: Path | None) -> RunSettings:
        """The settings again, to read what its store holds."""
        shards = {name: getattr(self, name) for name in _SHARDS}
        return RunSettings(
            **{name: getattr(self, name) for name in _SETTINGS},
            store=store,
            out=self.out,
            base_url=self.base_url,
            offline=True,
            chosen=self.chosen,
            prices=prices,
            shards=ShardSettings(**shards, filters=frozenset(self.filters)),
        )


def note_of(config: RunSettings, name: str, kind: Kind) -> RunNote:
    """The note of a run with these settings that was not started yet."""
    named, kept_as = addresses_in(config.base_url), kept_under(config.base_url)
    return RunNote(
        name=name,
        kind=kind,
        **{each: getattr(config, each) for each in _SETTINGS if each != "data"},
        **{each: getattr(config.shards, each) for each in _SHARDS},
        out=kept_place(config.out),
        data=None if config.data is None else shown(config.data),
        base_url=None if kept_as is None else without_secrets(kept_as),
        addresses=tuple(map(without_secrets, named)) if named and named != (kept_as,) else (),
        filters=tuple(sorted(config.shards.filters)),
        chosen={split: list(rows) for split, rows in config.chosen.items()},
    )


def notes_in(store: ResponseStore) -> list[RunNote]:
    """Every run that a store remembers, the latest start last."""
    bodies = SealedEntries(store, "accounts").starting_with(RUN)
    found = [RunNote.model_validate_json(body) for body in bodies]
    return sorted(found, key=lambda note: note.starts[-1].at if note.starts else 0.0)


def find_runs(target: Place, store: ResponseStore) -> list[RunNote]:
    """The runs that wrote into a folder, or all of the store; the latest last. Raises StoreError:
    there is none."""
    notes = notes_in(store)
    if not notes:
        raise StoreError(f"--store {store.path}: it remembers no run: annotate run makes one")
    if isinstance(target, Path) and target.resolve() == store.path.resolve():
        return notes
    folder = kept_place(target)
    found: list[RunNote] = []
    for note in notes:
        written = next((out for out in note.outs if out in (folder, folder.parent)), None)
        if written is not None:
            found.append(note.written_to(written))
    if not found:
        known = ", ".join(dict.fromkeys(str(out) for note in notes for out in note.outs))
        raise StoreError(f"{target}: no run of --store {store.path} wrote there (it has: {known})")
    return found


def choose_run(notes: list[RunNote], name: str | None) -> RunNote:
    """The run whose name begins so; without a name the latest, `annotate run` before all others.
    Raises StoreError: there is none, or more than one."""
    if name is None:
        return next((note for note in reversed(notes) if note.kind == "run"), notes[-1])
    found = [note for note in notes if note.name.startswith(name)]
    if len(found) != 1:
        known = ", ".join(note.name for note in found or notes)
        raise StoreError(f"--run {name}: {'more than one' if found else 'none'} of {known}")
    return found[0]


def plans_of(store: ResponseStore, task: str) -> list[str]:
    """The names of all plans that a task was asked with: each had a budget in earlier versions."""
    notes = (note for note in notes_in(store) if note.task == task)
    return sorted({note.name.removeprefix(f"{note.kind}-") for note in notes})


@dataclass(frozen=True, slots=True, kw_only=True)
class Spender:
    """Who spends: a run, an experiment or a search."""

    plan: str  # the plans' name: the same whenever it is started again
    config: RunSettings
    tariff: Tariff  # of its teacher
    kind: Kind = "run"

    @property
    def name(self) -> str:
        """A run and an experiment may be of the very same plan."""
        return self.plan if self.kind == "run" else f"{self.kind}-{self.plan}"


class Spending:
    """A run under way, and its note: kept in the store, or nowhere where nobody is asked."""

    def __init__(self, store: ResponseStore, spender: Spender) -> None:
        config, self._tariff = spender.config, spender.tariff
        self._entries = None if config.offline else SealedEntries(store, "accounts")
        self._key = RUN + spender.name.encode()
        self._start = Start(at=time.time(), mode="batch" if config.batch_api else "online")
        self._note = note_of(config, spender.name, spender.kind)
        self._asked: list[tuple[Progress, Tariff]] = []
        kept = self._entries and self._entries.get(self._key)
        if kept:
            self._note = self._note.after(RunNote.model_validate_json(kept))

    def count(self, progress: Progress, tariff: Tariff | None = None) -> None:
        """Count this to the start. tariff: of another teacher than the run's."""
        self._asked.append((progress, tariff or self._tariff))

    def tries(self, study: Study) -> None:
        """These templates are going to be asked: remembered before they are. Raises StoreError."""
        studies = {each.rows: each for each in self._note.studies}
        before = studies.get(study.rows)
        studies[study.rows] = before.with_templates(study.templates) if before else study
        self._note = self._note.model_copy(update={"studies": tuple(studies.values())})
        self.write()

    def write(self) -> None:
        """Put the note, as it is now, on the disk. Raises StoreError, ConfigError (odd paths)."""
        if self._entries is not None:
            note = self._note.model_copy(update={"starts": (*self._note.starts, self._start)})
            unset = None if note.earlier_outs else {"earlier_outs"}
            try:
                body = orjson.dumps(note.model_dump(mode="json", exclude=unset))
            except orjson.JSONEncodeError:
                raise ConfigError(
                    f"{note.out}: a name there is not UTF-8, and the store could not say later "
                    "what this run was: rename the folder, or name another with --out"
                ) from None
            self._entries.write(self._key, body)

    def end(self) -> None:
        """Note how it ended. Raises StoreError."""
        if self._entries is None:
            return
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
    spending = Spending(store, spender)
    spending.write()
    try:
        yield spending
    finally:
        spending.end()
