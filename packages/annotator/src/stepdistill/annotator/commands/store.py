"""`annotate store`: what the response store holds, whether it is whole, and carrying it about."""

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from rich.table import Table

from stepdistill.annotator.commands.forget import forget_command
from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.money.ceiling import budgets_in
from stepdistill.annotator.run.merge_stores import merge_stores
from stepdistill.annotator.settings.console import JSON, JsonSettings
from stepdistill.annotator.settings.gather import MergeSettings
from stepdistill.annotator.settings.run import STORE, StoreSettings
from stepdistill.annotator.store.check import Contents, Verified, contents_of, verify_store
from stepdistill.annotator.store.compact import compact_store
from stepdistill.annotator.store.lines import export_answers, import_answers
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.common.command_line import PLACE, add_command, make_app, options
from stepdistill.common.errors import StoreError
from stepdistill.common.files.storage import read_here, written_here
from stepdistill.common.urls import Place


@options()
class VerifySettings(StoreSettings):
    """What becomes of what is damaged."""

    remove: bool = False
    """Remove what is damaged: the next run asks it again."""


@options(kw_only=False)
class FileSettings(StoreSettings):
    """A file of answers."""

    file: Annotated[Place, PLACE]
    """FILE.jsonl, FILE.jsonl.gz or FILE.jsonl.zst, or its URL, as s3://bucket/FILE.jsonl.zst."""


VERIFY = VerifySettings()


def info_command(settings: StoreSettings = STORE, console: JsonSettings = JSON) -> None:
    """Say what a store holds. Others may read and write it meanwhile.

    Examples:

        annotate store info

        annotate store info --store runs/store --json
    """
    output = ConsoleOutput(quiet=console.is_quiet)
    with ResponseStore.open(settings.store, write=False) as opened:
        found = contents_of(opened, output.progress_line("answers counted"))
        spent = {name: state.bound_usd for name, state in budgets_in(opened).items()}
    if console.as_json:
        budgets = {name: float(usd) for name, usd in spent.items()}
        told = {"budgets_usd": budgets} if budgets else {}
        output.json({**_info(settings.store, found), **told})
    else:
        _show_info(settings.store, found, spent, output)


def verify_command(settings: VerifySettings = VERIFY, console: JsonSettings = JSON) -> None:
    """Check every value of a store; name each damaged one and exit with 2.

    Examples:

        annotate store verify

        annotate store verify --remove
    """
    output, store = ConsoleOutput(quiet=console.is_quiet), settings.store
    with ResponseStore.open(store, write=False, damaged_entries=True) as opened:
        found = verify_store(opened, output.progress_line("checked"))
    if settings.remove and found.damaged:
        with ResponseStore.open(store, write=True, damaged_entries=True) as opened:
            opened.remove(damage.key for damage in found.damaged)
    _show_verified(found, output, as_json=console.as_json)
    if found.damaged and not settings.remove:
        raise StoreError(
            f"--store {store}: {len(found.damaged)} damaged: put a copy of the store in its place, "
            "or add --remove and run again what asked for them"
        )


def export_command(settings: FileSettings, console: JsonSettings = JSON) -> None:
    """Write every answer to a file, a JSON line each, sorted by key.

    Examples:

        annotate store export answers.jsonl.zst --store runs/store

        annotate store export s3://bucket/answers.jsonl.zst
    """
    output = ConsoleOutput(quiet=console.is_quiet)
    with (
        ResponseStore.open(settings.store, write=False) as opened,
        written_here(settings.file) as path,
    ):
        n = export_answers(opened, path, output.progress_line("exported"))
    text = f"{n:,} answers in {settings.file}"
    _result(output, {"answers": n}, text, as_json=console.as_json)


def import_command(settings: FileSettings, console: JsonSettings = JSON) -> None:
    """Put the answers of a file into a store; an answer that is already there is kept.

    Example:

        annotate store import answers.jsonl.zst --store runs/store
    """
    output = ConsoleOutput(quiet=console.is_quiet)
    with read_here(settings.file) as path:
        if not path.is_file():
            raise StoreError(f"{settings.file}: no such file: `annotate store export` writes them")
        with ResponseStore.open(settings.store, write=True) as opened:
            new, kept = import_answers(opened, path, output.progress_line("read"))
    text = f"{new:,} answers were new, {kept:,} already there and kept"
    _result(output, {"new": new, "kept": kept}, text, as_json=console.as_json)


def merge_command(settings: MergeSettings, console: JsonSettings = JSON) -> None:
    """Put the answers of several stores into one, with what their runs have spent.

    Of two answers to one request the first stays; the other still counts as paid.
    A store may be merged again once it has grown. What is merged stays as it is.

    Example:

        annotate store merge part-0/store part-1/store --store runs/store
    """
    output = ConsoleOutput(quiet=console.is_quiet)
    with ResponseStore.open(settings.store, write=True) as opened:
        done = merge_stores(settings.stores, opened, output.progress_line("answers read"))
    text = f"{done.new:,} answers were new, {done.kept:,} already there and kept"
    _result(output, {"new": done.new, "kept": done.kept}, text, as_json=console.as_json)


def compact_command(settings: StoreSettings = STORE, console: JsonSettings = JSON) -> None:
    """Write a store anew, as small as it goes. Nobody may write to it meanwhile; readers may read.

    Example:

        annotate store compact --store runs/store
    """
    output = ConsoleOutput(quiet=console.is_quiet)
    done = compact_store(settings.store, output.progress_line("written"))
    counts = {"answers": done.answers, "before": done.bytes_before, "after": done.bytes_after}
    text = f"{done.bytes_before:,} bytes before, {done.bytes_after:,} after"
    _result(output, counts, text, as_json=console.as_json)


def _result(output: ConsoleOutput, counts: dict[str, int], text: str, *, as_json: bool) -> None:
    if as_json:
        output.json({**counts})
    else:
        output.show(text)


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


def _show_info(
    store: Path, found: Contents, spent: Mapping[str, Decimal], output: ConsoleOutput
) -> None:
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
    for name, usd in spent.items():
        table.add_row("spent", f"{usd:.4f} USD under the ceiling of {name}")
    output.table(table)


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in counts.most_common()) or "none"


def _show_verified(found: Verified, output: ConsoleOutput, *, as_json: bool) -> None:
    answers, failures = found.checked["responses"], found.checked["failures"]
    damaged = [{"in": d.part, "key": d.key.hex(), "why": d.why} for d in found.damaged]
    if as_json:
        output.json({"answers": answers, "failures": failures, "damaged": damaged})
        return
    for damage in damaged:
        output.show(f"damaged: {damage['key']} in {damage['in']}: {damage['why']}")
    output.show(f"{answers:,} answers and {failures:,} failures checked, {len(damaged)} damaged")


store_app = make_app(
    "store",
    "Look into the response store, check it, carry its answers to another, make it smaller.",
)
add_command(store_app, info_command, "info")
add_command(store_app, verify_command, "verify")
add_command(store_app, export_command, "export")
add_command(store_app, import_command, "import")
add_command(store_app, merge_command, "merge")
add_command(store_app, compact_command, "compact")
add_command(store_app, forget_command, "forget")
