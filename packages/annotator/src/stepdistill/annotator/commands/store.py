"""`annotate store`: what the response store holds, whether it is whole, and carrying it about."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from stepdistill.annotator.commands.options import AsJson, Store
from stepdistill.annotator.console.screen import ConsoleOutput
from stepdistill.annotator.settings.run import STORE
from stepdistill.annotator.store.check import Contents, Verified, contents_of, verify_store
from stepdistill.annotator.store.compact import compact_store
from stepdistill.annotator.store.lines import export_answers, import_answers
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.common.errors import StoreError

store_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Look into the response store, check it, carry its answers to another, make it smaller.",
)


@store_app.command("info")
def info_command(store: Store = STORE, *, as_json: AsJson = False) -> None:
    """Say what a store holds. Others may read and write it meanwhile.

    Examples:

        annotate store info

        annotate store info --store runs/store --json
    """
    screen = ConsoleOutput(quiet=as_json)
    with ResponseStore.open(store, write=False) as opened:
        found = contents_of(opened, screen.pace("answers counted"))
    if as_json:
        screen.json(_info(store, found))
    else:
        _show_info(store, found, screen)


@store_app.command("verify")
def verify_command(
    store: Store = STORE,
    *,
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove what is damaged: the next run asks it again.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check every value of a store; name each damaged one and exit with 2.

    Examples:

        annotate store verify

        annotate store verify --remove
    """
    screen = ConsoleOutput(quiet=as_json)
    with ResponseStore.open(store, write=False) as opened:
        found = verify_store(opened, screen.pace("checked"))
    if remove and found.damaged:
        with ResponseStore.open(store, write=True) as opened:
            opened.remove(damage.key for damage in found.damaged)
    _show_verified(found, screen, as_json=as_json)
    if found.damaged and not remove:
        raise StoreError(
            f"--store {store}: {len(found.damaged)} damaged: put a copy of the store in its place, "
            "or add --remove and run again what asked for them"
        )


@store_app.command("export")
def export_command(
    file: Annotated[Path, typer.Argument(help="FILE.jsonl, FILE.jsonl.gz or FILE.jsonl.zst.")],
    *,
    store: Store = STORE,
    as_json: AsJson = False,
) -> None:
    """Write every answer to a file, a JSON line each, sorted by key.

    Example:

        annotate store export answers.jsonl.zst --store runs/store
    """
    screen = ConsoleOutput(quiet=as_json)
    with ResponseStore.open(store, write=False) as opened:
        n = export_answers(opened, file, screen.pace("exported"))
    _result(screen, {"answers": n}, f"{n:,} answers in {file}", as_json=as_json)


@store_app.command("import")
def import_command(
    file: Annotated[
        Path,
        typer.Argument(help="What `annotate store export` wrote.", exists=True, dir_okay=False),
    ],
    *,
    store: Store = STORE,
    as_json: AsJson = False,
) -> None:
    """Put the answers of a file into a store; an answer that is already there is kept.

    Example:

        annotate store import answers.jsonl.zst --store runs/store
    """
    screen = ConsoleOutput(quiet=as_json)
    with ResponseStore.open(store, write=True) as opened:
        new, kept = import_answers(opened, file, screen.pace("read"))
    said = f"{new:,} answers were new, {kept:,} already there and kept"
    _result(screen, {"new": new, "kept": kept}, said, as_json=as_json)


@store_app.command("compact")
def compact_command(store: Store = STORE, *, as_json: AsJson = False) -> None:
    """Write a store anew, as small as it goes. Nobody may write to it meanwhile; readers may read.

    Example:

        annotate store compact --store runs/store
    """
    screen = ConsoleOutput(quiet=as_json)
    done = compact_store(store, screen.pace("written"))
    counts = {"answers": done.answers, "before": done.bytes_before, "after": done.bytes_after}
    said = f"{done.bytes_before:,} bytes before, {done.bytes_after:,} after"
    _result(screen, counts, said, as_json=as_json)


def _result(screen: ConsoleOutput, counts: dict[str, int], said: str, *, as_json: bool) -> None:
    if as_json:
        screen.json({**counts})
    else:
        screen.show(said)


def _info(store: Path, found: Contents) -> dict[str, object]:
    return {
        "store": str(store),
        "answers": found.answers,
        "failures": found.failures,
        "by_model": dict(sorted(found.by_model.items())),
        "by_mode": dict(sorted(found.by_mode.items())),
        "by_finish": dict(sorted(found.by_finish.items())),
        "failures_by_reason": dict(sorted(found.by_reason.items())),
        "tokens": dict(found.tokens),
        "bytes_on_disk": found.file_bytes,
        "mean_bytes_an_answer": round(found.value_bytes / max(1, found.answers), 1),
        "dictionary_bytes": found.dictionary_bytes,
    }


def _show_info(store: Path, found: Contents, screen: ConsoleOutput) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    mean = found.value_bytes / max(1, found.answers)
    table.add_row("store", str(store))
    table.add_row("answers", f"{found.answers:,}, {mean:,.0f} bytes each")
    table.add_row("models", _listed(found.by_model))
    table.add_row("modes", _listed(found.by_mode))
    table.add_row("finished", _listed(found.by_finish))
    table.add_row("tokens", _listed(found.tokens))
    table.add_row("failures", _listed(found.by_reason))
    table.add_row("on disk", f"{found.file_bytes:,} bytes")
    trained = f"{found.dictionary_bytes:,} bytes" if found.dictionary_bytes else "not trained yet"
    table.add_row("dictionary", trained)
    screen.table(table)


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in counts.most_common()) or "none"


def _show_verified(found: Verified, screen: ConsoleOutput, *, as_json: bool) -> None:
    answers, failures = found.checked["responses"], found.checked["failures"]
    damaged = [{"in": d.part, "key": d.key.hex(), "why": d.why} for d in found.damaged]
    if as_json:
        screen.json({"answers": answers, "failures": failures, "damaged": damaged})
        return
    for damage in damaged:
        screen.show(f"damaged: {damage['key']} in {damage['in']}: {damage['why']}")
    screen.show(f"{answers:,} answers and {failures:,} failures checked, {len(damaged)} damaged")
