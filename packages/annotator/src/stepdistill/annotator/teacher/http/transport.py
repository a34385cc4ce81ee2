"""One request goes out over HTTP, and an answer or an error comes back: in one of two ways.

Over connections of our own where a teacher is at a plain http:// address and no proxy stands
between, as a fleet of local servers is; over aiohttp, at five times the cost, where TLS or a proxy
has to be spoken (decision 16).
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from stepdistill.annotator.plan.key import Request, endpoint_of
from stepdistill.annotator.store.answer import Answer
from stepdistill.annotator.teacher.spec import TeacherSpec


class Transport(Protocol):
    """What both can do."""

    async def ask(self, request: Request) -> tuple[Answer, Mapping[str, str]]:
        """The answer and the reply's headers. Raises TeacherError."""
        ...


def open_transport(door: TeacherSpec) -> AbstractAsyncContextManager[Transport]:
    """The transport that suits the teacher's address and this machine's proxies."""
    if is_plain(door.base_url):
        from stepdistill.annotator.teacher.http.plain_transport import PlainTransport

        return PlainTransport(door)
    from stepdistill.annotator.teacher.http.aiohttp_transport import AiohttpTransport

    return AiohttpTransport(door)


def is_plain(base_url: str) -> bool:
    """Whether a URL is http://, in ASCII, without a user's name, and reached without a proxy."""
    url = urlsplit(base_url)
    if url.scheme != "http" or "@" in url.netloc or not base_url.isascii():
        return False
    if endpoint_of(base_url).name == "localhost":
        return True
    return "http" not in getproxies() or bool(proxy_bypass(url.netloc))
