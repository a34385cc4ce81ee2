"""`annotate view`."""

import asyncio

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.settings.view import ViewSettings
from stepdistill.annotator.view.cache import KeptIndex, usual_folder
from stepdistill.annotator.view.looking import Looking
from stepdistill.annotator.view.server import ViewServer, bound, serve_page
from stepdistill.annotator.view.target import open_rows

_USUAL = ViewSettings()
_SLOW_S = 3.0  # an index that takes less needs no word


def view_command(settings: ViewSettings = _USUAL) -> None:
    """Look at rows in a browser: what became of each, and what the teacher was asked for it.

    Of a run, its records and rejections; of a task, its rows with what the
    store has for them; of a store, its answers. The page is for this machine's
    browser alone, at the address that is printed; a link from it works as long
    as this command runs. Ctrl-C ends it.

    Examples:

        annotate view runs/demo

        annotate view demo --no-browser --port 8700

        annotate view runs/tickets --predictions labelled.jsonl
    """
    output = ConsoleOutput()
    opened = open_rows(settings)
    try:
        listening = bound(settings.port)
        folder = settings.index or usual_folder()
        kept = KeptIndex.open(folder, opened.source.digest, opened.source.facets)
        looking = Looking(opened.source, kept.index)
        try:
            total = opened.source.total
            was_whole = kept.index.rows >= total
            looking.start(
                output.progress_line(f"of {total:,} rows read"),
                lambda s: None if was_whole or s < _SLOW_S else _tell(output, total, s),
            )
            server = ViewServer(looking, listening)
            asyncio.run(serve_page(server, output, browser=settings.browser))
        finally:
            looking.stop()
            kept.close()
    finally:
        opened.close()


def _tell(output: ConsoleOutput, total: int, seconds: float) -> None:
    output.say(f"all {total:,} rows read in {seconds:.0f} s; the next time they are at hand")
