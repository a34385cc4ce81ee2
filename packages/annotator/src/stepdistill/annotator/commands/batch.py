"""`annotate batch`: batches of the Batch API, whichever run began them."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import typer

from stepdistill.annotator.commands.options import AsJson, Store
from stepdistill.annotator.console.batch_table import batch_fields, batch_table
from stepdistill.annotator.console.screen import ConsoleOutput
from stepdistill.annotator.run.batches import look_at, with_each_teacher
from stepdistill.annotator.settings.run import STORE
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.teacher.batch.engine import BatchTeacher
from stepdistill.annotator.teacher.batch.ledger import Ledger
from stepdistill.annotator.teacher.batch.part import BatchPart
from stepdistill.common.errors import ConfigError

BaseUrl = Annotated[
    str | None, typer.Option(help="The teacher's address, where it has moved since.")
]

batch_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="List batches of the Batch API, see how far they are, collect or cancel them.",
)


@batch_app.command("list")
def list_command(store: Store = STORE, *, as_json: AsJson = False) -> None:
    """List every part that was made, as the ledger knows it; nobody is asked.

    Examples:

        annotate batch list

        annotate batch list --store runs/store --json
    """
    with ResponseStore.open(store, write=False) as opened:
        _show(Ledger(opened).parts(), ConsoleOutput(quiet=as_json), as_json=as_json)


@batch_app.command("status")
def status_command(
    store: Store = STORE, *, base_url: BaseUrl = None, as_json: AsJson = False
) -> None:
    """Ask the teacher how far the open batches are. Nothing is changed; a run may go on meanwhile.

    Example:

        annotate batch status
    """
    screen = ConsoleOutput(quiet=as_json)
    with ResponseStore.open(store, write=False) as opened:
        parts = asyncio.run(look_at(Ledger(opened).open_parts(), base_url, screen))
    _show(parts, screen, as_json=as_json)


@batch_app.command("collect")
def collect_command(
    store: Store = STORE, *, base_url: BaseUrl = None, as_json: AsJson = False
) -> None:
    """Take in the batches that have ended; wait for none. `annotate run` does the same by itself.

    Example:

        annotate batch collect
    """
    _act(store, base_url, lambda teacher, _: teacher.collect(), as_json=as_json)


@batch_app.command("cancel")
def cancel_command(
    part: Annotated[
        list[int] | None, typer.Argument(help="Numbers of parts, as `annotate batch list` shows.")
    ] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Every open part.")] = False,
    forget: Annotated[
        bool,
        typer.Option(
            "--forget",
            help="Give up a batch that cannot be reached: its requests may be paid a second time.",
        ),
    ] = False,
    store: Store = STORE,
    base_url: BaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Cancel batches. What they have answered is kept, and paid; the rest may be asked again.

    Examples:

        annotate batch cancel 3 4

        annotate batch cancel --all
    """
    if everything == bool(part):
        raise ConfigError("name the parts to cancel, as `annotate batch list` shows, or --all")

    def cancel(teacher: BatchTeacher, parts: list[BatchPart]) -> Awaitable[None]:
        return teacher.cancel([each.number for each in parts], forget=forget)

    _act(store, base_url, cancel, as_json=as_json, numbers=part)


def _act(
    store: Path,
    base_url: str | None,
    act: Callable[[BatchTeacher, list[BatchPart]], Awaitable[None]],
    *,
    as_json: bool,
    numbers: list[int] | None = None,
) -> None:
    screen = ConsoleOutput(quiet=as_json)
    with ResponseStore.open(store, write=True) as opened:
        ledger = Ledger(opened)
        parts = _chosen(ledger.open_parts(), numbers)
        asyncio.run(with_each_teacher(opened, parts, base_url, screen, act))
        acted_on = {part.number for part in parts}
        after = [part for part in ledger.parts() if part.number in acted_on]
    _show(after, screen, as_json=as_json)


def _chosen(parts: list[BatchPart], numbers: list[int] | None) -> list[BatchPart]:
    if numbers is None:
        return parts
    unknown = set(numbers) - {part.number for part in parts}
    if unknown:
        said = ", ".join(map(str, sorted(unknown)))
        raise ConfigError(f"no open part {said}: `annotate batch list` shows which there are")
    return [part for part in parts if part.number in numbers]


def _show(parts: list[BatchPart], screen: ConsoleOutput, *, as_json: bool) -> None:
    if as_json:
        screen.json({"parts": [batch_fields(part) for part in parts]})
    elif parts:
        screen.table(batch_table(parts))
    else:
        screen.show("no batches")
