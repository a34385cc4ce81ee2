"""What concerns the way to the teacher is tested over both transports."""

from functools import partial

import pytest

from annotator.request.transport_aiohttp import AiohttpTransport
from annotator.request.transport_plain import PlainTransport
from tests.annotator.request import asking
from tests.annotator.request.asking import Asking, OpenTransport


@pytest.fixture(params=[PlainTransport, AiohttpTransport], ids=["plain", "aiohttp"])
def transport(request: pytest.FixtureRequest) -> OpenTransport:
    """Either transport."""
    return request.param


@pytest.fixture
def a_run(transport: OpenTransport) -> Asking:
    """asking.a_run over either transport."""
    return partial(asking.a_run, transport=transport)
