"""The server behind the page: on loopback, behind the guard, a route for each thing to ask."""

import asyncio
import mimetypes
import os
import signal
import socket
import sys
import webbrowser
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import orjson
from aiohttp import web

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.view.guard import Guard
from stepdistill.annotator.view.looking import Looking
from stepdistill.common.errors import ConfigError

HOST = "127.0.0.1"
_PAGE = Path(__file__).parent / "page"
_LONGEST_BODY = 1 << 20  # bytes
_LAST_S = 2.0  # seconds for requests that are being answered at the end
_T = TypeVar("_T")


def bound(port: int) -> socket.socket:
    """A socket that listens on loopback. Raises ConfigError: the port is taken."""
    found = socket.socket()
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((HOST, port))
        found.listen()  # whoever comes before the page is served waits, and is not refused
    except OSError as error:
        found.close()
        raise ConfigError(
            f"--port {port}: cannot be listened on ({error.strerror}): --port 0 takes a free one"
        ) from None
    return found


class PageServer:
    """A page's files behind the guard; whoever inherits adds what the page asks."""

    def __init__(self, listening: socket.socket, *folders: Path) -> None:
        """folders: of files besides those that all pages share, the first with an `index.html`."""
        self._listening = listening
        self._port: int = listening.getsockname()[1]
        self._guard = Guard(self._port)
        # One at a time: SQLite's connection and the index are read by one thread.
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="view")
        each = (path for folder in (_PAGE, *folders) for path in folder.iterdir())
        self._files = {path.name: path for path in each}

    @property
    def address(self) -> str:
        """What is opened in a browser."""
        return f"http://{HOST}:{self._port}/?token={self._guard.token}"

    def routes(self) -> list[web.RouteDef]:
        """What the page asks."""
        return []

    def application(self) -> web.Application:
        """The routes."""
        application = web.Application(
            client_max_size=_LONGEST_BODY, middlewares=[self._guard.guarded]
        )
        files = [web.get("/", self._file), web.get("/page/{name}", self._file)]
        application.add_routes([*files, *self.routes()])
        return application

    async def serve(self, stop: asyncio.Event) -> None:
        """Until stop is set."""
        runner = web.AppRunner(self.application(), access_log=None, shutdown_timeout=_LAST_S)
        await runner.setup()
        try:
            await web.SockSite(runner, self._listening).start()
            await stop.wait()
        finally:
            await runner.cleanup()
            self._reader.shutdown(wait=True, cancel_futures=True)

    async def read(self, work: Callable[[], _T]) -> _T:
        """Do what reads the index or its source, in the one thread that does."""
        return await asyncio.get_running_loop().run_in_executor(self._reader, work)

    async def _file(self, request: web.Request) -> web.Response:
        path = self._files.get(request.match_info.get("name", "index.html"))
        if path is None:
            raise web.HTTPNotFound
        kind = mimetypes.types_map.get(path.suffix, "text/plain")
        return web.Response(body=path.read_bytes(), content_type=kind, charset="utf-8")


class ViewServer(PageServer):
    """The page of rows, and what it asks."""

    def __init__(self, looking: Looking, listening: socket.socket) -> None:
        super().__init__(listening)
        self._looking = looking

    def routes(self) -> list[web.RouteDef]:
        """What the page asks."""
        return [
            web.get("/api/about", self._about),
            web.get("/api/rows", self._rows),
            web.get("/api/rows/{n}", self._row),
        ]

    async def _about(self, _: web.Request) -> web.Response:
        return answered(await self.read(self._looking.about))

    async def _rows(self, request: web.Request) -> web.Response:
        words = list(request.query.items())
        return answered(await self.read(lambda: self._looking.page(words)))

    async def _row(self, request: web.Request) -> web.Response:
        n = number_in(request)
        return answered(await self.read(lambda: self._looking.row(n)))


def number_in(request: web.Request) -> int:
    """The row's number in an address; -1, which no row has, where it is none."""
    number = request.match_info["n"]
    return int(number) if number.isdecimal() and len(number) < 12 else -1


def answered(content: dict[str, Any]) -> web.Response:
    """An answer as JSON."""
    return web.Response(body=orjson.dumps(content), content_type="application/json")


async def serve_page(server: PageServer, output: ConsoleOutput, *, browser: bool) -> None:
    """Serve until Ctrl-C or SIGTERM. browser: open the page in one."""
    stop = asyncio.Event()

    def leave() -> None:
        if stop.is_set():  # a second signal: whoever sends it does not want to wait
            os._exit(130)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, leave)
    serving = asyncio.create_task(server.serve(stop))
    output.show(server.address)
    if browser and not await asyncio.to_thread(_opened, server.address):
        output.say("no browser was found: open this address yourself")
    await serving


def _opened(address: str) -> bool:
    """Whether a browser has it; one of a terminal would take this one over."""
    has_screen = {"DISPLAY", "WAYLAND_DISPLAY", "BROWSER"} & os.environ.keys()
    return bool(has_screen or sys.platform != "linux") and webbrowser.open(address)
