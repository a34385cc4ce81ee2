"""A gateway in front of a simulated teacher that lies about the bill, and keeps the true one."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Self

import aiohttp
import orjson
from aiohttp import web

from stepdistill.annotator.simulator.server import Simulator

_PAGE = "<html><head><title>Gateway</title></head><body><h1>Gateway</h1></body></html>"
MILLION = Decimal(1_000_000)
_INPUT, _OUTPUT = 1, 4  # USD for 1,000,000 tokens, as in tests/journeys/money.py
Usage = dict[str, Any]

# How a usage is told otherwise than it was; positive numbers that are too low nobody could see.
LIES: dict[str, Callable[[Usage], object]] = {
    "no usage": lambda used: None,
    "a list": lambda used: [used],
    "empty": lambda used: {},
    "total alone": lambda used: {"total_tokens": used["total_tokens"]},
    **{
        f"{part} {name}": lambda used, part=part, value=value: {**used, f"{part}_tokens": value}
        for part in ("prompt", "completion")
        for name, value in {
            **{"null": None, "zero": 0, "negative": -5_000_000, "true": True, "half": 0.5},
            **{"huge": 1 << 62, "in words": "many", "deep": {"n": 3}},
        }.items()
    },
    "cached more than all": lambda used: {
        **used,
        "prompt_tokens_details": {"cached_tokens": 10**7},
    },
    "cached less than none": lambda used: {
        **used,
        "prompt_tokens_details": {"cached_tokens": -(10**7)},
    },
    "both negative": lambda used: {"prompt_tokens": -9_000, "completion_tokens": -9_000},
    "both true": lambda used: {"prompt_tokens": True, "completion_tokens": True},
}
# What is said instead of an answer that is billed: a status and a body. 0: the line goes dead.
FAULTS: dict[str, tuple[int, str]] = {
    "500": (500, '{"error": {"message": "The server had an error.", "type": "server_error"}}'),
    "502": (502, _PAGE),
    "504": (504, _PAGE),
    "408": (408, '{"error": {"message": "Request timed out."}}'),
    "520": (520, _PAGE),
    "524": (524, "error code: 524"),
    "reset": (503, "upstream connect error or disconnect/reset before headers"),
    "a page": (200, _PAGE),
    "an error within": (200, '{"error": {"code": 502, "message": "Provider returned error"}}'),
    "dead": (0, ""),
}
FILTERED = '{"error": {"code": "content_filter", "message": "The prompt was filtered."}}'


@dataclass
class LyingGateway:
    """Use as an async context manager. lies, faults and filtered: shares of the answers."""

    teacher: Simulator
    seed: int
    lies: float = 0.0
    faults: float = 0.0
    filtered: float = 0.0  # refused for their prompt, which is billed
    only: str | None = None  # of the faults; None: any
    calls: int = 0  # that were answered
    spent_online: Decimal = field(default=Decimal(0))

    async def __aenter__(self) -> Self:
        self._draw = random.Random(self.seed)
        self._client = aiohttp.ClientSession(auto_decompress=False)
        app = web.Application(client_max_size=1 << 26)
        app.add_routes([web.route("*", "/{rest:.*}", self._pass_on)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.base_url = f"http://{host}:{port}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
        await self._client.close()

    @property
    def spent(self) -> Decimal:
        """The true bill, in USD: batches are the teacher's own, at half the price."""
        prompt, answer = self.teacher.log.batch.billed_tokens()
        return self.spent_online + Decimal(_INPUT * prompt + _OUTPUT * answer) / 2 / MILLION

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        url = self.teacher.base_url.removesuffix("/v1") + str(request.rel_url)
        body = await request.read()
        kept = {"Content-Type", "Authorization"}
        headers = {name: value for name, value in request.headers.items() if name in kept}
        async with self._client.request(request.method, url, data=body, headers=headers) as reply:
            status, content, kind = reply.status, await reply.read(), reply.content_type
        self.calls += 1
        if status == 200 and request.path.endswith("/chat/completions"):
            return self._answer(request, orjson.loads(body), orjson.loads(content))
        if status == 200 and request.path.endswith("/content"):
            lines = [self._line(line) for line in content.splitlines(keepends=True)]
            content = b"".join(lines)
        return web.Response(status=status, body=content, content_type=kind)

    def _answer(
        self, request: web.Request, asked: dict[str, Any], reply: dict[str, Any]
    ) -> web.StreamResponse:
        """Bill it, then say something."""
        used = reply["usage"]
        # Of two limits it takes the higher, and thinks up to it.
        more = asked.get("max_completion_tokens", 0) - asked.get("max_tokens", 0)
        used["completion_tokens"] += max(0, more)
        prompt, completion = used["prompt_tokens"], used["completion_tokens"]
        used["total_tokens"] = prompt + completion
        fate = self._draw.random()
        if fate < self.filtered:
            self.spent_online += Decimal(_INPUT * prompt) / MILLION
            return web.Response(status=400, text=FILTERED, content_type="application/json")
        self.spent_online += Decimal(_INPUT * prompt + _OUTPUT * completion) / MILLION
        if fate < self.filtered + self.faults:
            status, text = FAULTS[self.only or self._draw.choice(sorted(FAULTS))]
            if status == 0 and request.transport is not None:
                request.transport.abort()
            return web.Response(status=status or 500, text=text, content_type="text/html")
        if fate < self.filtered + self.faults + self.lies:
            reply["usage"] = LIES[self._draw.choice(sorted(LIES))](used)
        return web.Response(body=orjson.dumps(reply), content_type="application/json")

    def _line(self, text: bytes) -> bytes:
        """A line of a batch's output, which is billed whatever is said."""
        line = orjson.loads(text)
        draw = random.Random(f"{self.seed} {line['custom_id']}")  # the same in each download
        fate = draw.random()
        response: dict[str, Any] = line.get("response") or {}
        if response.get("status_code") != 200:
            return text
        if fate < self.faults / 2:
            return b""
        if fate < self.faults:
            response["status_code"] = draw.choice([500, 502, 504, 408])
            response["body"] = {"error": {"message": "upstream"}}
        elif fate < self.faults + self.lies:
            response["body"]["usage"] = LIES[draw.choice(sorted(LIES))](response["body"]["usage"])
        return orjson.dumps(line) + b"\n"
