"""`annotate batch`: batches of the Batch API, whichever run began them.

The teachers that open batches are at are looked up in the ledger, and asked without a run.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import KW_ONLY
from itertools import groupby
from typing import Annotated

from cyclopts import Parameter

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.console.tables import batch_fields, batch_table
from stepdistill.annotator.errors import NotFound
from stepdistill.annotator.events import EventLog
from stepdistill.annotator.provider.profiles import serving
from stepdistill.annotator.run.teacher import server_address, usable_url
from stepdistill.annotator.settings.console import JSON, JsonSettings
from stepdistill.annotator.settings.run import STORE, StoreSettings
from stepdistill.annotator.settings.teacher import BatchSettings, ProviderSettings
from stepdistill.annotator.store.group_commit import GroupCommit
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.teacher.batch.context import BatchContext, BatchReporter
from stepdistill.annotator.teacher.batch.engine import BatchTeacher
from stepdistill.annotator.teacher.batch.ledger import Ledger
from stepdistill.annotator.teacher.batch.part import BatchPart
from stepdistill.annotator.teacher.batch.protocols.registry import batch_api
from stepdistill.annotator.teacher.progress import Progress
from stepdistill.annotator.teacher.spec import TeacherSpec
from stepdistill.common.command_line import add_command, make_app, options
from stepdistill.common.errors import ConfigError
from stepdistill.common.urls import without_secrets


@options("Teacher", 3)
class AddressSettings(ProviderSettings, StoreSettings):
    """Where the batches are."""

    base_url: str | None = None
    """The teacher's address, where it has moved since."""


@options("Batch API", 4, kw_only=False)
class CancelSettings(AddressSettings):
    """What is cancelled."""

    part: tuple[int, ...] = ()
    """Numbers of parts, as `annotate batch list` shows."""
    _: KW_ONLY
    everything: Annotated[bool, Parameter(name="--all")] = False
    """Every open part."""
    forget: bool = False
    """Give up a batch that cannot be reached: its requests may be paid a second time."""


Act = Callable[[BatchTeacher, list[BatchPart]], Awaitable[None]]
ADDRESS = AddressSettings()
CANCEL = CancelSettings()


def list_command(settings: StoreSettings = STORE, console: JsonSettings = JSON) -> None:
    """List every part that was made, as the ledger knows it; nobody is asked.

    Examples:

        annotate batch list

        annotate batch list --store runs/store --json
    """
    with ResponseStore.open(settings.store, write=False) as opened:
        _show(Ledger(opened).parts(), console)


def status_command(settings: AddressSettings = ADDRESS, console: JsonSettings = JSON) -> None:
    """Ask the teacher how far the open batches are. Nothing is changed; a run may go on meanwhile.

    Example:

        annotate batch status
    """
    output = ConsoleOutput(quiet=console.is_quiet)
    with ResponseStore.open(settings.store, write=False) as opened:
        parts = asyncio.run(_as_seen(Ledger(opened).open_parts(), settings, output))
    _show(parts, console)


def collect_command(settings: AddressSettings = ADDRESS, console: JsonSettings = JSON) -> None:
    """Take in the batches that have ended; wait for none. `annotate run` does the same by itself.

    Example:

        annotate batch collect
    """
    _act(settings, console, lambda teacher, _: teacher.collect())


def cancel_command(settings: CancelSettings = CANCEL, console: JsonSettings = JSON) -> None:
    """Cancel batches. What they have answered is kept, and paid; the rest may be asked again.

    Examples:

        annotate batch cancel 3 4

        annotate batch cancel --all
    """
    if settings.everything == bool(settings.part):
        raise ConfigError("name the parts to cancel, as `annotate batch list` shows, or --all")

    def cancel(teacher: BatchTeacher, parts: list[BatchPart]) -> Awaitable[None]:
        return teacher.cancel([each.number for each in parts], forget=settings.forget)

    _act(settings, console, cancel, settings.part or None)


def _act(
    settings: AddressSettings, console: JsonSettings, act: Act, numbers: Sequence[int] | None = None
) -> None:
    with ResponseStore.open(settings.store, write=True) as opened:
        ledger = Ledger(opened)
        parts = _chosen(ledger.open_parts(), numbers)
        report = BatchReporter(EventLog(None), ConsoleOutput(quiet=console.is_quiet).say)
        asyncio.run(_with_each_teacher(opened, parts, settings, report, act))
        acted_on = {part.number for part in parts}
        after = [part for part in ledger.parts() if part.number in acted_on]
    _show(after, console)


async def _with_each_teacher(
    store: ResponseStore,
    parts: list[BatchPart],
    settings: AddressSettings,
    report: BatchReporter,
    act: Act,
) -> None:
    """Do something with each teacher that these parts are at. Raises TeacherError, StoreError."""
    async with GroupCommit(store) as group_commit:
        for at_one in _by_teacher(parts):
            last = at_one[-1]
            context = BatchContext(
                teacher=_teacher_of(last, settings),
                store=store,
                group_commit=group_commit,
                progress=Progress(),
                events=EventLog(None),
                run=last.run,
                task=last.task,
                settings=BatchSettings(),
                ledger=Ledger(store),
                report=report,
            )
            await act(BatchTeacher(context), at_one)


async def _as_seen(
    parts: list[BatchPart], settings: AddressSettings, output: ConsoleOutput
) -> list[BatchPart]:
    """The parts as the teacher sees them now; the ledger stays as it is. Raises TeacherError."""
    seen: list[BatchPart] = []
    for at_one in _by_teacher(parts):
        async with batch_api(_teacher_of(at_one[-1], settings)) as api:
            for part in at_one:
                try:
                    batch = await api.batch(part.batch_id) if part.batch_id else None
                    seen.append(part.seen(batch, part.history[-1].at) if batch else part)
                except NotFound:
                    output.say(f"this key does not see {part.batch_id} at {part.base_url}")
                    seen.append(part)
    return seen


def _chosen(parts: list[BatchPart], numbers: Sequence[int] | None) -> list[BatchPart]:
    if numbers is None:
        return parts
    unknown = sorted(set(numbers) - {part.number for part in parts})
    if unknown:
        names = ", ".join(map(str, unknown))
        raise ConfigError(f"no open part {names}: `annotate batch list` shows which there are")
    return [part for part in parts if part.number in numbers]


def _by_teacher(parts: list[BatchPart]) -> list[list[BatchPart]]:
    """One server may have had several addresses: the last is the one to go to."""

    def teacher(part: BatchPart) -> tuple[str, str]:
        return part.endpoint, part.model

    return [list(group) for _, group in groupby(sorted(parts, key=teacher), key=teacher)]


def _teacher_of(part: BatchPart, settings: AddressSettings) -> TeacherSpec:
    """The teacher that a part is at. Raises ConfigError: no key, or another address."""
    url = usable_url(settings.base_url or part.base_url)
    named = f"{part.provider}:{part.model}" if part.provider else part.model
    at = server_address(url, serving(named, url, settings.providers))
    teacher = TeacherSpec(
        model=part.model,
        base_url=url,
        provider=at.provider,
        api_key=at.api_key,
        key_name=at.key_name,
        token=at.token,
        limit_name=at.provider.limit_name,
        max_tokens=part.limit,
    )
    if settings.base_url is not None and teacher.endpoint_name != part.endpoint:
        shown = without_secrets(url)
        raise ConfigError(f"--base-url {shown}: part {part.number} is at {part.endpoint}")
    return teacher.ready_to_ask()


def _show(parts: list[BatchPart], console: JsonSettings) -> None:
    output = ConsoleOutput(quiet=console.is_quiet)
    if console.as_json:
        output.json({"parts": [batch_fields(part) for part in parts]})
    elif parts:
        output.table(batch_table(parts))
    else:
        output.show("no batches")


batch_app = make_app(
    "batch", "List batches of the Batch API, see how far they are, collect or cancel them."
)
add_command(batch_app, list_command, "list")
add_command(batch_app, status_command, "status")
add_command(batch_app, collect_command, "collect")
add_command(batch_app, cancel_command, "cancel")
