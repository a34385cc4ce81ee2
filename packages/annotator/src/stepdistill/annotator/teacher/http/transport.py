"""One request goes out over HTTP, and an answer or an error comes back: in one of two ways.

Over connections of our own where a teacher is at a plain http:// address and no proxy stands
between, as a fleet of local servers is; over aiohttp, at five times the cost, where TLS or a proxy
has to be spoken (decision 16).
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.store.answer import Answer
from stepdistill.annotator.teacher.http.aiohttp_transport import AiohttpTransport
from stepdistill.annotator.teacher.http.plain_transport import PlainTransport
from stepdistill.annotator.teacher.spec import TeacherSpec


class Transport(Protocol):
    """What both can do."""

    async def ask(self, request: Request) -> tuple[Answer, Mapping[str, str]]:
        """The answer and the reply's headers. Raises TeacherError."""
        ...


OpenTransport = Callable[[TeacherSpec], AbstractAsyncContextManager[Transport]]


def open_transport(teacher: TeacherSpec) -> AbstractAsyncContextManager[Transport]:
    """The transport that suits the teacher's address and this machine's proxies."""
    return PlainTransport(teacher) if _is_plain(teacher) else AiohttpTransport(teacher)


def _is_plain(teacher: TeacherSpec) -> bool:
    """Whether it is at http://, in ASCII, without a user's name, and reached without a proxy."""
    url = urlsplit(teacher.base_url)
    if url.scheme != "http" or "@" in url.netloc or not teacher.base_url.isascii():
        return False
    if not teacher.may_use_proxy:
        return True
    return "http" not in getproxies() or bool(proxy_bypass(url.netloc))
