"""Proxies of the environment: which are used, and what is said where one does not let through."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from stepdistill.annotator.errors import ConnectionLost, TeacherError, Unreachable
from stepdistill.annotator.teacher.batch.protocols.openai import OpenAiBatches
from stepdistill.annotator.teacher.http.route import route_remarks
from stepdistill.annotator.teacher.http.transport import open_transport
from stepdistill.common.errors import ConfigError
from tests.annotator.made import a_request
from tests.annotator.teacher.asking import a_spec
from tests.annotator.teacher.raw_teacher import RawTeacher, text_of

FAR = "https://teacher.example/v1"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@asynccontextmanager
async def proxy(status: bytes) -> AsyncGenerator[tuple[str, list[bytes]]]:
    """A proxy that says this to every CONNECT: its host:port, and the heads that it got."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", heads
    server.close()


async def refusal(base_url: str = FAR) -> TeacherError:
    async with open_transport(a_spec(base_url)) as opened:
        with pytest.raises(TeacherError) as caught:
            await opened.ask(a_request())
    return caught.value


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (
            b"407 Who Are You",
            Unreachable,
            "wants a password (407 Who Are You): https_proxy=http://",
        ),
        (b"403 Forbidden", Unreachable, "lets nobody through to teacher.example (403 Forbidden)"),
        (b"502 Bad Gateway", ConnectionLost, "does not reach teacher.example (502 Bad Gateway)"),
    ],
)
async def test_a_proxy_that_does_not_let_through_is_named_as_that(
    monkeypatch: pytest.MonkeyPatch, status: bytes, kind: type[TeacherError], words: str
):
    async with proxy(status) as (address, heads):
        monkeypatch.setenv("https_proxy", f"http://me:p%40ss@{address}")
        error = await refusal()
        assert type(error) is kind and words in str(error) and address in str(error)
        assert "p@ss" not in str(error) and "p%40ss" not in str(error)
        async with OpenAiBatches(a_spec(FAR)) as api:
            with pytest.raises(kind) as caught:
                await api.batch("batch_1")
        assert words in str(caught.value)
    basic = b64encode(b"me:p@ss")
    assert len(heads) == 2 and all(b"Basic " + basic in head for head in heads)


async def test_a_proxy_that_is_not_there_is_named_beside_its_variable(
    monkeypatch: pytest.MonkeyPatch,
):
    async with proxy(b"200 OK") as (address, _):
        pass
    monkeypatch.setenv("HTTPS_PROXY", address)
    error = await refusal()
    assert type(error) is ConnectionLost and not error.may_be_paid
    assert f"nobody listens at http://{address} (HTTPS_PROXY)" in str(error)


async def test_a_proxy_without_a_scheme_is_one(monkeypatch: pytest.MonkeyPatch):
    async with RawTeacher([]) as there:
        monkeypatch.setenv("HTTP_PROXY", there.base_url.removeprefix("http://").removesuffix("/v1"))
        async with open_transport(a_spec("http://gpu-3.example/v1?a=b", "key")) as opened:
            assert await text_of(opened) == "yes"
    assert there.requests[0][1].startswith(
        b"POST http://gpu-3.example/v1/chat/completions?a=b HTTP/1.1\r\n"
    )


@pytest.mark.parametrize(
    "address", ["socks5://me:word@10.0.0.1:1080", "https://10.0.0.1", "http://10.0.0.1:port", "://"]
)
def test_a_proxy_that_cannot_be_used_is_refused_without_its_password(
    monkeypatch: pytest.MonkeyPatch, address: str
):
    monkeypatch.setenv("HTTPS_PROXY", address)
    with pytest.raises(ConfigError, match="HTTPS_PROXY: not a proxy that can be used") as caught:
        open_transport(a_spec(FAR))
    assert "word" not in str(caught.value)


def test_a_proxy_for_all_is_told_to_be_unused_where_it_could_be(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ALL_PROXY", "socks5://me:word@10.0.0.1:1080")
    (told,) = route_remarks(a_spec(FAR))
    assert "ALL_PROXY is not used" in told and "word" not in told
    assert list(route_remarks(a_spec("http://localhost/v1"))) == []
    monkeypatch.setenv("HTTPS_PROXY", "http://10.0.0.1:3128")
    assert list(route_remarks(a_spec(FAR))) == []
