"""What concerns the way to the teacher is tested over both transports."""

from functools import partial

import pytest

from stepdistill.annotator.teacher.http.direct_transport import DirectTransport
from stepdistill.annotator.teacher.http.proxy_transport import ProxyTransport
from stepdistill.annotator.teacher.http.transport import OpenTransport
from tests.annotator.teacher import asking
from tests.annotator.teacher.asking import Asking


@pytest.fixture(params=[DirectTransport, ProxyTransport], ids=["plain", "aiohttp"])
def transport(request: pytest.FixtureRequest) -> OpenTransport:
    """Either transport."""
    return request.param


@pytest.fixture
def a_run(transport: OpenTransport) -> Asking:
    """asking.a_run over either transport."""
    return partial(asking.a_run, transport=transport)
