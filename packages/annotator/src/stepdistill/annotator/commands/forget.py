"""`annotate store forget`: answers of no use are asked again."""

from collections.abc import Iterator
from dataclasses import KW_ONLY, replace
from typing import Annotated

from cyclopts import Parameter

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.run.forgetting import Forgettable, find_forgettable, forget
from stepdistill.annotator.settings.console import JSON, JsonSettings
from stepdistill.annotator.settings.money import PriceSettings
from stepdistill.annotator.settings.rows import (
    DataSettings,
    SamplesSettings,
    SplitsSettings,
    TaskSettings,
)
from stepdistill.annotator.settings.run import RunSettings, StoreSettings, VotesSettings
from stepdistill.annotator.settings.shards import ReaderSettings, ReadingSettings, ShardSettings
from stepdistill.annotator.settings.teacher import ServerSettings
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.study.rereading import teachers_of
from stepdistill.common.command_line import NAMES, options, taken_from
from stepdistill.common.errors import DatasetError


@options("Store and output", 7, kw_only=False)
class ForgetSettings(
    ReadingSettings,
    ReaderSettings,
    PriceSettings,
    VotesSettings,
    SamplesSettings,
    SplitsSettings,
    DataSettings,
    ServerSettings,
    StoreSettings,
    TaskSettings,
):
    """One `annotate store forget`."""

    _: KW_ONLY
    reason: Annotated[tuple[str, ...], NAMES]
    """Why they gave no record, as in rejects.jsonl: truncated, no_verdict, empty, low_confidence,
    ... May be repeated."""
    template: Annotated[tuple[str, ...], Parameter(consume_multiple=False)] = ()
    """Only this template; may be repeated; default: the task's mix `default`."""
    teacher: str = ""
    """Whose answers; default: everybody's that the store has."""
    yes: bool = False
    """Forget them. Without it, this only says what would be forgotten."""

    def runs(self, teachers: list[str]) -> Iterator[RunSettings]:
        """The runs whose answers they are: of each teacher, and of each template that is named."""
        shards = taken_from(self, ShardSettings)
        for teacher in teachers:
            run = taken_from(
                self, RunSettings, teacher=teacher, template=None, shards=shards, offline=True
            )
            yield from (replace(run, template=name) for name in self.template or (None,))


def forget_command(settings: ForgetSettings, console: JsonSettings = JSON) -> None:
    """Forget answers of no use, so that the next run asks them again, and says what that costs.

    Nobody is asked. What they did cost still counts, in reports and under --max-cost. Answers that
    an open batch asks again are left to it.

    Examples:

        annotate store forget demo --reason no_verdict

        annotate store forget demo --reason truncated --reason empty --yes
    """
    output = ConsoleOutput(quiet=console.is_quiet)
    is_there = (settings.store / "data.mdb").exists()  # or a writer would make it
    with ResponseStore.open(settings.store, write=settings.yes and is_there) as store:
        tell = output.progress_line("answers counted")
        teachers = [settings.teacher] if settings.teacher else teachers_of(store, tell)
        found = find_forgettable(settings.runs(teachers), settings.reason, store)
        if not found.keys and not found.in_batches:
            raise DatasetError(_none(settings, found))
        if settings.yes:
            forget(found, store)
    if console.as_json:
        output.json(_facts(settings, found))
    else:
        for line in _lines(settings, found):
            output.show(line)


def _none(settings: ForgetSettings, found: Forgettable) -> str:
    reasons = ", ".join(f"{reason}: {n:,}" for reason, n in found.others.most_common())
    has = f"there are {reasons}" if reasons else "none of its answers is without a label"
    return (
        f"--reason {','.join(settings.reason)}: --store {settings.store} has no such answer to "
        f"these rows of {settings.task} ({has}): --split, --template, --data as in the run?"
    )


def _facts(settings: ForgetSettings, found: Forgettable) -> dict[str, object]:
    return {
        "answers": len(found.keys),
        "by_reason": dict(sorted(found.by_reason.items())),
        "again_usd": None if found.usd is None else float(round(found.usd, 6)),
        "in_batches": found.in_batches,
        "forgotten": settings.yes,
    }


def _lines(settings: ForgetSettings, found: Forgettable) -> Iterator[str]:
    parts = ", ".join(f"{reason}: {n:,}" for reason, n in found.by_reason.most_common())
    answers = "1 answer" if len(found.keys) == 1 else f"{len(found.keys):,} answers"
    usd = "an unknown sum (no price, or tokens that nobody counted)"
    if found.usd is not None:
        usd = f"about {found.usd:.4f} USD"
    if found.keys:
        yield f"{answers} ({parts}): as long as they were, they would cost {usd} again"
    if found.in_batches:
        yield f"{found.in_batches:,} more are in open batches, which bring new answers: these stay"
    if settings.yes:
        yield f"{answers} forgotten: the same run asks them again, and nothing else"
    else:
        yield "nothing is forgotten yet: --yes does it"
