"""The server: it answers its own page in this machine's browser, and nobody else."""

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from stepdistill.annotator.money.prices import Tariff, load_own_prices
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.view.cache import KeptIndex
from stepdistill.annotator.view.looking import Looking
from stepdistill.annotator.view.server import ViewServer, bound
from stepdistill.annotator.view.store_source import StoreSource
from stepdistill.common.errors import ConfigError
from tests.annotator.made import a_key, an_answer

HOSTILE = "</script><img src=x onerror=alert(1)>\u202e\x1b[2J\ud800 label"


def tariff_of(model: str) -> Tariff:
    return Tariff(model=model, host="", own=load_own_prices(None))


@dataclass
class Served:
    """A server over a store with three answers."""

    address: str
    looking: Looking

    @property
    def base(self) -> str:
        return self.address.partition("/?")[0]

    @property
    def token(self) -> str:
        return self.address.partition("token=")[2]

    async def get(self, path: str, **more: Any) -> tuple[int, dict[str, str], bytes]:
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.request(
                more.pop("method", "GET"), self.base + path, allow_redirects=False, **more
            ) as response,
        ):
            return response.status, dict(response.headers), await response.read()


@pytest.fixture
async def served(store: ResponseStore, tmp_path: Path) -> AsyncIterator[Served]:
    texts = ("Label: joy", HOSTILE.replace("\ud800", ""), "x" * 1_000_000)
    store.put([(a_key(n), an_answer(text)) for n, text in enumerate(texts)], [])
    source = StoreSource(
        title="s</title>",
        store=store,
        total=3,
        stamp="",
        tariff_of=tariff_of,
    )
    kept = KeptIndex.open(tmp_path / "index", source.digest, source.facets)
    looking = Looking(source, kept.index)
    whole = threading.Event()
    looking.start(lambda n: None, lambda s: whole.set())
    server, stop = ViewServer(looking, bound(0)), asyncio.Event()
    task = asyncio.create_task(server.serve(stop))
    await asyncio.to_thread(whole.wait, 10)
    yield Served(server.address, looking)
    stop.set()
    await task
    looking.stop()
    kept.close()


async def test_the_token_opens_it_and_the_cookie_keeps_it_open(served: Served) -> None:
    status, headers, page = await served.get(f"/?token={served.token}")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert b"<script" in page
    cookie, *attributes = headers["Set-Cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Strict"} <= set(attributes)
    for path in ("/", "/page/main.js", "/page/style.css", "/api/about", "/api/rows?q=joy"):
        assert (await served.get(path, headers={"Cookie": cookie}))[0] == 200, path
    bearer = {"Authorization": f"Bearer {served.token}"}
    assert (await served.get("/api/rows", headers=bearer))[0] == 200


@pytest.mark.parametrize("path", ["/", "/page/main.js", "/api/about", "/api/rows", "/nothing"])
async def test_without_the_token_nothing_is_said(served: Served, path: str) -> None:
    tried = [{}, {"Cookie": "stepdistill_view=x"}, {"Authorization": "Bearer "}]
    for headers in tried:
        status, said, body = await served.get(path, headers=headers)
        assert status == 403
        assert b"token" in body
        assert b"joy" not in body
        assert len(body.splitlines()) == 1
        assert "Set-Cookie" not in said
    assert (await served.get(f"{path}?token={served.token[:-1]}"))[0] == 403
    assert (await served.get(f"{path}?token=%ff%00é"))[0] == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1.evil.example:80"},
        {"Host": "localhost:1"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"},
    ],
)
async def test_other_sites_are_refused_even_with_the_token(
    served: Served, headers: dict[str, str]
) -> None:
    status, said, body = await served.get(f"/api/rows?token={served.token}", headers=headers)
    assert status == 403
    assert b"annotate view: " in body
    assert not any(name.lower().startswith("access-control") for name in said)


async def test_its_own_page_is_answered_by_either_name(served: Served) -> None:
    port = served.base.rpartition(":")[2]
    for host in (f"127.0.0.1:{port}", f"localhost:{port}"):
        own = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
        assert (await served.get(f"/api/about?token={served.token}", headers=own))[0] == 200
    linked = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert (await served.get(f"/?token={served.token}", headers=linked))[0] == 200


async def test_every_answer_has_the_headers_that_keep_it_ours(served: Served) -> None:
    for path in (f"/?token={served.token}", "/", f"/nothing?token={served.token}"):
        _, headers, _ = await served.get(path)
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "no-store"


async def test_nothing_else_is_served(served: Served) -> None:
    for path in ("/page/../server.py", "/page/%2e%2e%2fserver.py", "/page/", "/api", "/page/x.js"):
        status, _, body = await served.get(f"{path}?token={served.token}")
        assert status == 404, path
        assert b"import" not in body
    assert (await served.get(f"/api/rows?token={served.token}", method="POST"))[0] == 405


async def test_what_is_hostile_comes_as_text_that_can_be_seen(served: Served) -> None:
    _, headers, body = await served.get(f"/api/rows?q=onerror&token={served.token}")
    assert headers["Content-Type"] == "application/json"
    assert "\u202e" not in body.decode()
    assert "\x1b" not in body.decode()
    assert b"\\\\u202e" in body
    status, _, body = await served.get(f"/api/rows/2?token={served.token}")
    assert status == 200
    assert len(body) > 1_000_000


@pytest.mark.parametrize("n", ["3", "-1", "x", "9" * 40, "1.5", "%00"])
async def test_a_row_that_is_not_there_is_a_line(served: Served, n: str) -> None:
    status, _, body = await served.get(f"/api/rows/{n}?token={served.token}")
    assert status in (404, 409)
    assert b"annotate view: " in body


async def test_many_ask_at_once(served: Served) -> None:
    paths = [f"/api/rows?q={word}&token={served.token}" for word in ("joy", "x", "label") * 20]
    answers = await asyncio.gather(*(served.get(path) for path in paths))
    assert {status for status, _, _ in answers} == {200}


def test_a_port_that_is_taken_is_a_line() -> None:
    first = bound(0)
    port = first.getsockname()[1]
    first.listen()
    with pytest.raises(ConfigError, match=f"--port {port}: cannot be listened on"):
        bound(port)
    first.close()


def test_filling_that_fails_says_why(store: ResponseStore, tmp_path: Path) -> None:
    store.put([(a_key(1), an_answer("one"))], [])
    source = StoreSource(
        title="s",
        store=store,
        total=1,
        stamp="",
        tariff_of=lambda m: Tariff(model=m, host="", own=load_own_prices(None)),
    )
    kept = KeptIndex.open(tmp_path, source.digest, source.facets)
    kept.index.close()  # as a disk that is full
    looking, done = Looking(source, kept.index), threading.Event()
    looking.start(lambda n: None, lambda s: done.set())
    looking.stop()
    assert looking.filling.state == "failed"
    assert looking.filling.error
    assert not done.is_set()
