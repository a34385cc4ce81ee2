"""One request goes out over HTTP, and an answer or an error comes back: in one of two ways.

Over connections of our own, with TLS or without; over aiohttp, at five times the cost, where the
environment names a proxy that has to be spoken to (decision 31).
"""

from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.store.answer import Answer
from stepdistill.annotator.teacher.http.direct_transport import DirectTransport
from stepdistill.annotator.teacher.http.proxy_transport import ProxyTransport
from stepdistill.annotator.teacher.http.route import proxy_of
from stepdistill.annotator.teacher.spec import TeacherSpec


class Transport(Protocol):
    """What both can do."""

    def ask(self, request: Request) -> Coroutine[Any, Any, tuple[Answer, Mapping[str, str]]]:
        """The answer and the reply's headers. Raises TeacherError."""
        ...


OpenTransport = Callable[[TeacherSpec], AbstractAsyncContextManager[Transport]]


def open_transport(teacher: TeacherSpec) -> AbstractAsyncContextManager[Transport]:
    """The transport that suits this machine's proxies. Raises ConfigError: a proxy, or a file of
    certificates, that cannot be used."""
    return DirectTransport(teacher) if proxy_of(teacher) is None else ProxyTransport(teacher)
