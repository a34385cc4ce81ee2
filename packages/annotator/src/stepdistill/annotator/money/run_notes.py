"""What the store remembers of runs: what each was asked to do, and when it was started and ended.

    run-NAME   RunNote: the settings, what a study tries, and a line for every start

That is all that cannot be computed again: what an answer was for follows from the plan, and which
run paid for it from the time at which it was asked, as only one run writes to a store at a time.
`annotate run` is one kind of them; all that asks and pays leaves a note (`cost/spending`).
"""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from stepdistill.annotator.money.book import AccountsBook
from stepdistill.annotator.plan.key import without_secrets
from stepdistill.annotator.prompt.template import Template
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.settings.shards import ShardSettings
from stepdistill.annotator.store.response_store import ResponseStore

RUN = b"run-"
Kind = Literal["run", "probe", "experiment", "search"]


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


class Study(_Note):
    """Templates that are tried, as they were worded, on a choice of a split's rows: `test_size` of
    them (a part of all, where it is a float; None: all) by the lots of `seed`."""

    split: str
    test_size: int | float | None
    seed: int
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
    """One run. Paths are as its command line had them; out is made absolute.

    studies: of an experiment or a search, which have no mix.
    """

    name: str
    kind: Kind = "run"
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
    studies: tuple[Study, ...] = ()
    starts: tuple[Start, ...] = ()

    def config(self, store: Path, prices: Path | None) -> RunSettings:
        """The settings again, to read what its store holds."""
        return RunSettings(
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
    found = [RunNote.model_validate(each) for each in AccountsBook(store).entries(RUN)]
    return sorted(found, key=lambda note: note.starts[-1].at if note.starts else 0.0)


def note_of(config: RunSettings, name: str, kind: Kind) -> RunNote:
    """The note of a run with these settings that was not started yet."""
    shards = config.shards
    return RunNote(
        name=name,
        kind=kind,
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
    )
