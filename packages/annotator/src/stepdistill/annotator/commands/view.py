"""`annotate view`."""

import asyncio
import os
import signal
import sys
import webbrowser

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.settings.view import ViewSettings
from stepdistill.annotator.view.cache import KeptIndex, usual_folder
from stepdistill.annotator.view.looking import Looking
from stepdistill.annotator.view.opening import open_rows
from stepdistill.annotator.view.server import ViewServer, bound

_USUAL = ViewSettings()
_SLOW_S = 3.0  # an index that takes less needs no word


def view_command(settings: ViewSettings = _USUAL) -> None:
    """Look at rows in a browser: what became of each, and what the teacher was asked for it.

    Of a run, its records and rejections; of a task, its rows with what the store has for them; of a
    store, its answers. The page is for this machine's browser alone, at the address that is
    printed; a link from it works as long as this command runs. Ctrl-C ends it.

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
            asyncio.run(_serve(ViewServer(looking, listening), settings, output))
        finally:
            looking.stop()
            kept.close()
    finally:
        opened.close()


def _tell(output: ConsoleOutput, total: int, seconds: float) -> None:
    output.say(f"all {total:,} rows read in {seconds:.0f} s; the next time they are at hand")


async def _serve(server: ViewServer, settings: ViewSettings, output: ConsoleOutput) -> None:
    stop = asyncio.Event()

    def leave() -> None:
        if stop.is_set():  # a second signal: whoever sends it does not want to wait
            os._exit(130)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, leave)
    serving = asyncio.create_task(server.serve(stop))
    output.show(server.address)
    if settings.browser and not await asyncio.to_thread(_opened, server.address):
        output.say("no browser was found: open this address yourself")
    await serving


def _opened(address: str) -> bool:
    """Whether a browser has it; one of a terminal would take this one over."""
    has_screen = {"DISPLAY", "WAYLAND_DISPLAY", "BROWSER"} & os.environ.keys()
    return bool(has_screen or sys.platform != "linux") and webbrowser.open(address)
