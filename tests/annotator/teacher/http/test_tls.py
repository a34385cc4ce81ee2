"""TLS of our own connections: whom it trusts, what it resumes, and what it says where it fails."""

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from stepdistill.annotator.errors import ConnectionLost, TeacherError, Unreachable
from stepdistill.annotator.simulator.server import Simulator
from stepdistill.annotator.teacher.http.direct_transport import DirectTransport
from stepdistill.annotator.teacher.http.transport import Transport
from stepdistill.annotator.teacher.http.unreachable import connect_error
from stepdistill.common.errors import ConfigError
from tests.annotator.made import a_request
from tests.annotator.teacher.asking import Echo, a_spec, until
from tests.annotator.teacher.raw_teacher import (
    FINE,
    RawTeacher,
    Say,
    asked,
    completion,
    reply,
    say,
    text_of,
)
from tests.annotator.tls import Authority, TlsRelay


@asynccontextmanager
async def behind(
    context: ssl.SSLContext, *script: Say, host: str = "127.0.0.1"
) -> AsyncGenerator[tuple[TlsRelay, Transport]]:
    """A teacher behind TLS with this context, and our transport to it."""
    async with RawTeacher(list(script)) as teacher:
        relay = TlsRelay(urlsplit(teacher.base_url).port or 0)
        async with (
            relay.listening(context) as port,
            DirectTransport(a_spec(f"https://{host}:{port}/v1", concurrency=3)) as opened,
        ):
            yield relay, opened


async def refused(opened: Transport, kind: type[TeacherError] = Unreachable) -> str:
    with pytest.raises(TeacherError) as caught:
        await opened.ask(a_request())
    assert type(caught.value) is kind
    assert not caught.value.may_be_paid
    return str(caught.value)


@pytest.fixture
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Authority:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    return authority


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_another_connection_resumes_the_first_one_s_session(
    trusted: Authority, version: ssl.TLSVersion
):
    context = trusted.context()
    context.maximum_version = version
    slow = [Say(pieces=FINE.pieces, first_s=0.1)] * 3
    async with behind(context, FINE, *slow) as (relay, opened):
        await text_of(opened)
        await asyncio.gather(*(text_of(opened) for _ in slow))
        assert relay.resumed == [False, True, True]


async def test_a_host_is_known_by_its_name_and_http_1_1_is_what_is_agreed_upon(trusted: Authority):
    context = trusted.context("localhost")
    context.set_alpn_protocols(["h2", "http/1.1"])
    async with behind(context, host="localhost") as (_, opened):
        assert await text_of(opened) == "yes"


async def test_a_connection_that_ends_without_a_word_is_tried_anew_once(trusted: Authority):
    async with RawTeacher([FINE, say(close=True)]) as teacher:
        relay = TlsRelay(urlsplit(teacher.base_url).port or 0)
        async with relay.listening(trusted.context()) as port:
            spec = a_spec(f"https://127.0.0.1:{port}/v1")
            async with DirectTransport(spec, stale_after_s=0) as opened:
                assert [await text_of(opened), await text_of(opened)] == ["yes", "yes"]
        assert [number for number, _, _ in teacher.requests] == [1, 1, 2]


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
async def test_certificates_are_trusted_by_the_names_that_other_programs_use(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, name: str
):
    monkeypatch.setenv(name, str(authority.file))
    async with behind(authority.context()) as (_, opened):
        assert await text_of(opened) == "yes"


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_file_of_certificates_that_is_none_is_named_before_anybody_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
):
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with pytest.raises(ConfigError, match=f"SSL_CERT_FILE={file}: "):
        DirectTransport(a_spec("https://127.0.0.1/v1"))
    DirectTransport(a_spec("http://127.0.0.1/v1"))


async def test_a_certificate_that_is_not_trusted_is_named_with_the_remedy(authority: Authority):
    for context, words in (
        (authority.context(), "not trusted (unable to get local issuer"),
        (authority.self_signed(), "not trusted (it is self-signed)"),
    ):
        async with behind(context) as (_, opened):
            message = await refused(opened)
            assert words in message and "SSL_CERT_FILE=" in message
            assert "127.0.0.1:" in message and "_ssl.c" not in message


async def test_an_expired_certificate_and_another_host_s_are_told_apart(trusted: Authority):
    async with behind(trusted.context(expired=True)) as (_, opened):
        assert "has expired" in await refused(opened)
    async with behind(trusted.context("teacher.example")) as (_, opened):
        message = await refused(opened)
        assert "is for another name" in message and "check --base-url" in message


async def test_after_an_answer_a_certificate_that_is_not_trusted_is_an_outage(trusted: Authority):
    script = say(reply(completion(), "Connection: close"), close=True)
    async with RawTeacher([script]) as teacher:
        relay = TlsRelay(urlsplit(teacher.base_url).port or 0)
        async with relay.listening(trusted.context()) as port:
            opened = await DirectTransport(a_spec(f"https://127.0.0.1:{port}/v1")).__aenter__()
            assert await text_of(opened) == "yes"
        other = trusted.context("teacher.example")
        other.options |= ssl.OP_NO_TICKET  # nothing is resumed: certificates are looked at
        async with relay.listening(other, port):
            assert "is for another name" in await refused(opened, ConnectionLost)
        async with relay.listening(trusted.context(), port):
            assert await text_of(opened) == "yes"
        await opened.__aexit__()


async def test_https_at_a_plain_port_and_http_at_a_tls_port_name_the_scheme(trusted: Authority):
    async with Simulator(Echo()) as server:
        address = server.base_url.replace("http:", "https:")
        async with DirectTransport(a_spec(address)) as opened:
            message = await refused(opened)
            assert "does not speak TLS" in message and "http://127.0.0.1:" in message
    async with RawTeacher([]) as silent:
        address = silent.base_url.replace("http:", "https:")
        async with DirectTransport(a_spec(address), handshake_s=0.1) as opened:
            assert "does not speak TLS" in await refused(opened)
    async with RawTeacher([]) as teacher:
        relay = TlsRelay(urlsplit(teacher.base_url).port or 0)
        async with (
            relay.listening(trusted.context()) as port,
            DirectTransport(a_spec(f"http://127.0.0.1:{port}/v1")) as opened,
        ):
            assert f"https://127.0.0.1:{port}/" in await refused(opened)


@pytest.mark.parametrize(
    "words",
    [
        b"<center>The plain HTTP request was sent to HTTPS port</center>",
        b"Client sent an HTTP request to an HTTPS server.\n",
        b"Reason: You're speaking plain HTTP to an SSL-enabled server port.<br />",
    ],
    ids=["nginx", "go", "apache"],
)
async def test_a_tls_port_that_says_so_to_a_plain_request_is_understood(words: bytes):
    async with asked(DirectTransport, say(reply(words, status="400 Bad Request"))) as (_, opened):
        assert "speaks TLS alone" in await refused(opened)


async def test_who_gives_up_in_the_middle_of_a_handshake_hangs_up(trusted: Authority):
    async with RawTeacher([]) as silent:
        address = silent.base_url.replace("http:", "https:")
        async with DirectTransport(a_spec(address)) as opened:
            asking = asyncio.ensure_future(opened.ask(a_request()))
            await until(lambda: silent.is_visited)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            await until(lambda: not silent.is_visited)


async def test_an_answer_of_many_records_and_the_end_of_the_stream_are_read_in_order(
    trusted: Authority,
):
    long = "because " * 50_000
    unframed = b"HTTP/1.1 200 OK\r\n\r\n" + completion(long)
    async with behind(trusted.context(), say(unframed, close=True), FINE) as (_, opened):
        assert await text_of(opened) == long
        assert await text_of(opened) == "yes"


@contextmanager
def one_client(context: ssl.SSLContext) -> Generator[int]:
    """A server in a thread, for one client; unlike asyncio's it sends the alert that refuses it."""

    def serve() -> None:
        client, _ = listening.accept()
        with (
            context.wrap_socket(client, server_side=True, do_handshake_on_connect=False) as tls,
            suppress(ssl.SSLError),
        ):
            tls.do_handshake()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1]
        thread.join(5)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_teacher_that_wants_a_certificate_of_its_client_is_told_as_that(
    trusted: Authority, version: ssl.TLSVersion
):
    context = trusted.context(asks_for_certificate=True)
    context.maximum_version = version
    with one_client(context) as port:
        async with DirectTransport(a_spec(f"https://127.0.0.1:{port}/v1")) as opened:
            message = await refused(opened)
    if version is ssl.TLSVersion.TLSv1_3:
        assert "wants a certificate of its client" in message
    else:  # which has no alert of its own for that
        assert "refuses the TLS handshake" in message


@pytest.mark.parametrize(
    ("error", "words", "kind"),
    [
        (socket.gaierror(socket.EAI_NONAME, "no such name"), "is not known", Unreachable),
        (socket.gaierror(socket.EAI_AGAIN, "later"), "cannot be looked up", ConnectionLost),
        (ConnectionRefusedError(111, "refused"), "nobody listens at", ConnectionLost),
        (OSError("Multiple exceptions: [Errno 111] a, [Errno 111] b"), "nobody", ConnectionLost),
        (OSError(113, "No route to host"), "no connection to .* No route", ConnectionLost),
        (ConnectionResetError(), "dropped the connection", ConnectionLost),
        (ssl.SSLEOFError(8, "EOF occurred"), "no connection to", ConnectionLost),
    ],
)
def test_only_what_is_certain_ends_a_run_and_only_before_an_answer(
    error: OSError, words: str, kind: type[TeacherError]
):
    first, later = (connect_error(error, "gpu-3:8000", is_first=each) for each in (True, False))
    assert type(first) is kind and type(later) is ConnectionLost
    with pytest.raises(TeacherError, match=words) as caught:
        raise first
    assert str(caught.value) == str(later) and "gpu-3:8000" in str(later)
    assert not first.may_be_paid and not later.may_be_paid
