"""`annotate report`."""

from pathlib import Path
from typing import Annotated

import typer

from annotator.accounts.report_view import as_csv, as_html, facts_of, show_report
from annotator.accounts.reporting import find_run, report_run
from annotator.commands.options import AsJson, Prices, Store
from annotator.config import STORE
from annotator.request.store import ResponseStore
from annotator.screen import Screen
from annotator.study.report import write_report
from common.errors import ShardError


def report_command(
    target: Annotated[Path, typer.Argument(help="The folder of a run's shards, or a store.")],
    *,
    store: Store = STORE,
    prices: Prices = None,
    csv: Annotated[
        str | None, typer.Option("--csv", help="Write the lines of the account; - is the screen.")
    ] = None,
    html: Annotated[str | None, typer.Option("--html", help="Write one HTML page.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say what a run did cost: by mode, template, part and split; planned against actual.

    Of a store, its latest run. Nobody is asked.

    Examples:

        annotate report runs/demo

        annotate report runs/demo --html cost.html
    """
    if not target.exists():
        raise ShardError(f"{target}: not there: name the folder of a run's shards, or a store")
    place = target if (target / "data.mdb").is_file() else store
    screen = Screen(quiet=as_json)
    with ResponseStore.open(place, write=False) as opened:
        report = report_run(find_run(target, opened), opened, prices)
    for path, render in ((csv, as_csv), (html, as_html)):
        if path is not None:
            write_report(path, render(report))
    if as_json:
        screen.json(facts_of(report))
    elif csv != "-" and html != "-":
        show_report(report, screen)
