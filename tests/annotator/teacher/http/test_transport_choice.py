"""Which transport asks: aiohttp where the environment names a proxy, else our own."""

import pytest

from stepdistill.annotator.teacher.http.direct_transport import DirectTransport
from stepdistill.annotator.teacher.http.transport import open_transport
from tests.annotator.teacher.asking import a_spec
from tests.annotator.teacher.raw_teacher import RawTeacher, text_of


@pytest.mark.parametrize(
    ("base_url", "proxies", "plain"),
    [
        ("http://127.0.0.1:8000/v1", {}, True),
        ("http://gpu-3.example:8000/v1", {}, True),
        ("https://gpu-3.example/v1", {}, True),
        ("https://gpu-3.example/v1", {"https_proxy": "http://proxy.example"}, False),
        ("https://gpu-3.example/v1", {"http_proxy": "http://proxy.example"}, True),
        ("https://gpu-3.example/v1", {"all_proxy": "socks5://proxy.example"}, True),
        ("http://gpu-3.example/v1", {"http_proxy": "http://proxy.example"}, False),
        ("http://gpu-3.example/v1", {"https_proxy": "http://proxy.example"}, True),
        (
            "http://gpu-3.example/v1",
            {"http_proxy": "http://proxy.example", "no_proxy": ".example"},
            True,
        ),
        ("http://localhost/v1", {"http_proxy": "http://proxy.example"}, True),
        ("http://user:word@gpu-3.example/v1", {}, True),
        ("http://gpü.example/v1", {}, True),
        ("http://gpu-3.example/v1", {"http_proxy": "proxy.example:8080"}, False),
    ],
)
async def test_ours_is_for_whatever_is_reached_without_a_proxy(
    monkeypatch: pytest.MonkeyPatch, base_url: str, proxies: dict[str, str], plain: bool
):
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in proxies.items():
        monkeypatch.setenv(name, value)
    assert isinstance(open_transport(a_spec(base_url)), DirectTransport) is plain


async def test_a_teacher_behind_a_proxy_is_asked_through_it(monkeypatch: pytest.MonkeyPatch):
    async with RawTeacher([]) as proxy:
        monkeypatch.setenv("http_proxy", proxy.base_url.removesuffix("/v1"))
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        async with open_transport(a_spec("http://gpu-3.example:8000/v1")) as opened:
            assert await text_of(opened) == "yes"
    assert proxy.requests[0][1].startswith(b"POST http://gpu-3.example:8000/v1/chat/completions ")
