"""The transports on the loop that a run has, and ours once more over TLS."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
import uvloop

from stepdistill.annotator.teacher.http.direct_transport import DirectTransport
from stepdistill.annotator.teacher.http.proxy_transport import ProxyTransport
from stepdistill.annotator.teacher.http.transport import OpenTransport, Transport
from stepdistill.annotator.teacher.spec import TeacherSpec
from tests.annotator.tls import Authority, TlsRelay


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], uvloop.Loop]]:
    """A run's loop is uvloop's."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(params=["direct", "tls", "proxy"])
def transport(
    request: pytest.FixtureRequest, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> OpenTransport:
    """Either transport, and ours over TLS: a relay stands before the teacher then."""

    @asynccontextmanager
    async def over_tls(teacher: TeacherSpec) -> AsyncGenerator[Transport]:
        url = urlsplit(teacher.base_url)
        relay = TlsRelay(url.port or 0)
        async with relay.listening(authority.context()) as port:
            there = replace(teacher, base_url=f"https://127.0.0.1:{port}{url.path}")
            async with DirectTransport(there) as opened:
                yield opened

    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    return {"direct": DirectTransport, "tls": over_tls, "proxy": ProxyTransport}[request.param]
