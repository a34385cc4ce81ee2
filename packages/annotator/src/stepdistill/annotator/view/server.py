"""The server behind the page: on loopback, behind the guard, a route for each thing to ask."""

import asyncio
import mimetypes
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import orjson
from aiohttp import web

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


class ViewServer:
    """One page, and what it asks. modes: routes of other ways to look at the same rows, each with a
    script of its own in `page/`."""

    def __init__(
        self, looking: Looking, listening: socket.socket, modes: Sequence[web.RouteDef] = ()
    ) -> None:
        self._looking, self._listening, self._modes = looking, listening, modes
        self._port: int = listening.getsockname()[1]
        self._guard = Guard(self._port)
        # One at a time: SQLite's connection and the index are read by one thread.
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="view")
        self._files = {path.name: path for path in _PAGE.iterdir()}

    @property
    def address(self) -> str:
        """What is opened in a browser."""
        return f"http://{HOST}:{self._port}/?token={self._guard.token}"

    def application(self) -> web.Application:
        """The routes."""
        application = web.Application(
            client_max_size=_LONGEST_BODY, middlewares=[self._guard.guarded]
        )
        application.add_routes(
            [
                web.get("/", self._file),
                web.get("/page/{name}", self._file),
                web.get("/api/about", self._about),
                web.get("/api/rows", self._rows),
                web.get("/api/rows/{n}", self._row),
                *self._modes,
            ]
        )
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

    async def _about(self, _: web.Request) -> web.Response:
        return answered(await self.read(self._looking.about))

    async def _rows(self, request: web.Request) -> web.Response:
        words = list(request.query.items())
        return answered(await self.read(lambda: self._looking.page(words)))

    async def _row(self, request: web.Request) -> web.Response:
        number = request.match_info["n"]
        n = int(number) if number.isdecimal() and len(number) < 12 else -1
        return answered(await self.read(lambda: self._looking.row(n)))


def answered(content: dict[str, Any]) -> web.Response:
    """An answer as JSON."""
    return web.Response(body=orjson.dumps(content), content_type="application/json")
