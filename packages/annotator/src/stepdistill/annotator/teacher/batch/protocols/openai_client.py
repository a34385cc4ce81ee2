"""OpenAI's own client, for the small calls of Files and Batches: it knows paths, parameters and
names, and a change of them comes with a new version of it.

It makes calls, and nothing else: connections, proxies, certificates, keys, time-outs, limits and
errors are ours, as behind every other protocol. The bytes of files never pass through it.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import openai
from openai import AsyncOpenAI

from stepdistill.annotator.errors import Overloaded, TeacherError
from stepdistill.annotator.teacher.batch.http import BatchHttp
from stepdistill.annotator.teacher.body import loaded

_SENT = ("content-type", "accept", "idempotency-key")  # of its headers; the others are ours


class _OurConnections(httpx2.AsyncBaseTransport):
    """What the client sends goes over connections of ours. It hears of good replies alone."""

    def __init__(self, http: BatchHttp) -> None:
        self._http = http

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        headers = {name: value for name, value in request.headers.items() if name in _SENT}
        how: dict[str, Any] = {
            "params": dict(request.url.params),
            "headers": headers,
            "data": await request.aread() or None,
        }
        async with self._http.reply(request.method, request.url.path, **how) as reply:
            content = self._http.teacher.redacted(await reply.read())
            return httpx2.Response(reply.status, content=content, request=request)


class OpenAiClient:
    """The client over connections of ours, and what it is told, as JSON."""

    def __init__(self, http: BatchHttp) -> None:
        # Neither is looked at: where calls go and who asks is known to the connections.
        self._client = AsyncOpenAI(
            api_key="-",
            base_url="http://teacher/",
            max_retries=0,
            http_client=httpx2.AsyncClient(transport=_OurConnections(http)),
        )
        self.files = self._client.files.with_raw_response
        self.batches = self._client.batches.with_raw_response
        self.models = self._client.models.with_raw_response

    async def told(self, call: Callable[..., Awaitable[Any]], *args: Any, **how: Any) -> Any:
        """What the teacher replies to a call. Raises TeacherError. What other servers leave out is
        no fault of theirs, so its own models are not asked for."""
        try:
            reply = await call(*args, **how)
        except openai.APIConnectionError as error:
            if isinstance(error.__cause__, TeacherError):
                raise error.__cause__ from None
            raise
        content: bytes = reply.content
        try:
            return loaded(content) if content else None
        except ValueError:
            name = getattr(call, "__qualname__", "the call")
            raise Overloaded(f"{name}: not JSON: {content[:80]!r}") from None
