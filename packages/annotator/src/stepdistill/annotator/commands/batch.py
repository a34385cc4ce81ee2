"""`annotate batch`: batches of the Batch API, whichever run began them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import KW_ONLY
from typing import Annotated

from cyclopts import Parameter

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.console.tables import batch_fields, batch_table
from stepdistill.annotator.run.open_batches import look_at, with_each_teacher
from stepdistill.annotator.settings.console import JSON, JsonSettings
from stepdistill.annotator.settings.run import STORE, StoreSettings
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.teacher.batch.engine import BatchTeacher
from stepdistill.annotator.teacher.batch.ledger import Ledger
from stepdistill.annotator.teacher.batch.part import BatchPart
from stepdistill.common.command_line import add_command, make_app, options
from stepdistill.common.errors import ConfigError


@options("Teacher", 3)
class AddressSettings(StoreSettings):
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
        parts = asyncio.run(look_at(Ledger(opened).open_parts(), settings.base_url, output))
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
    settings: AddressSettings,
    console: JsonSettings,
    act: Callable[[BatchTeacher, list[BatchPart]], Awaitable[None]],
    numbers: Sequence[int] | None = None,
) -> None:
    output = ConsoleOutput(quiet=console.is_quiet)
    with ResponseStore.open(settings.store, write=True) as opened:
        ledger = Ledger(opened)
        parts = _chosen(ledger.open_parts(), numbers)
        asyncio.run(with_each_teacher(opened, parts, settings.base_url, output, act))
        acted_on = {part.number for part in parts}
        after = [part for part in ledger.parts() if part.number in acted_on]
    _show(after, console)


def _chosen(parts: list[BatchPart], numbers: Sequence[int] | None) -> list[BatchPart]:
    if numbers is None:
        return parts
    unknown = sorted(set(numbers) - {part.number for part in parts})
    if unknown:
        names = ", ".join(map(str, unknown))
        raise ConfigError(f"no open part {names}: `annotate batch list` shows which there are")
    return [part for part in parts if part.number in numbers]


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
