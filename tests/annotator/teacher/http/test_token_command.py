"""Tokens that a command prints: asked for once, and anew when they are over."""

import asyncio
import shlex
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from stepdistill.annotator.errors import NotAuthorised
from stepdistill.annotator.plan.key import RequestForm
from stepdistill.annotator.teacher.http.direct_transport import DirectTransport
from stepdistill.annotator.teacher.http.proxy_transport import ProxyTransport
from stepdistill.annotator.teacher.spec import TeacherSpec
from stepdistill.annotator.teacher.token_command import TokenCommand
from stepdistill.common.errors import ConfigError
from tests.annotator.teacher.asking import a_spec

ANSWER = {"choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}]}
COUNT = """
import pathlib, sys
path = pathlib.Path(sys.argv[1])
n = int(path.read_text()) + 1 if path.exists() else 1
path.write_text(str(n))
print(f"token-{n}")
"""


def counting(folder: Path) -> TokenCommand:
    """A command that prints token-1, then token-2, ..."""
    script = folder / "count.py"
    script.write_text(COUNT)
    return TokenCommand(shlex.join([sys.executable, str(script), str(folder / "n")]))


@asynccontextmanager
async def served(valid: set[str]) -> AsyncGenerator[str]:
    """A teacher that knows these tokens."""

    async def chat(request: web.Request) -> web.Response:
        if request.headers.get("Authorization", "").removeprefix("Bearer ") in valid:
            return web.json_response(ANSWER)
        error = {"message": "The access token is over.", "code": "unauthorized"}
        return web.json_response({"error": error}, status=401)

    application = web.Application()
    application.router.add_post("/v1/chat/completions", chat)
    async with TestServer(application) as server:
        yield str(server.make_url("/v1"))


def with_token(base_url: str, token: TokenCommand) -> TeacherSpec:
    return a_spec(base_url, token=token, concurrency=8)


@pytest.mark.parametrize("transport", [DirectTransport, ProxyTransport])
async def test_a_token_that_is_over_is_renewed_once_for_all(
    tmp_path: Path, transport: type[DirectTransport] | type[ProxyTransport]
):
    valid, token = {"token-1"}, counting(tmp_path)
    async with served(valid) as base_url:
        teacher = with_token(base_url, token)
        form = RequestForm(teacher.endpoint, "any", {})
        requests = [form.request("", f"question {n}") for n in range(8)]
        async with transport(teacher) as opened:
            answer, _ = await opened.ask(requests[0])
            assert answer.text == "yes"
            valid.clear()
            valid.add("token-2")
            answers = await asyncio.gather(*(opened.ask(request) for request in requests))
            assert [answer.text for answer, _ in answers] == ["yes"] * 8
    assert (tmp_path / "n").read_text() == "2"


async def test_who_is_refused_with_a_fresh_token_is_told_whose_it_is(tmp_path: Path):
    command = TokenCommand(shlex.join([sys.executable, "-c", "print('always-the-same')"]))
    async with served(set()) as base_url:
        teacher = with_token(base_url, command)
        request = RequestForm(teacher.endpoint, "any", {}).request("", "Why?")
        async with DirectTransport(teacher) as opened:
            with pytest.raises(NotAuthorised, match=r"is over.*with the token of `") as refused:
                await opened.ask(request)
    assert "always-the-same" not in str(refused.value).replace(command.command, "")


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import sys; sys.exit('log in first')", "exit code 1: log in first"),
        ("pass", "it printed nothing"),
        ("print('Hello, who are you?')", "is no token"),
        ("import time; time.sleep(60)", "no token within 1 s"),
    ],
)
def test_a_command_that_fails_is_one_line(code: str, says: str):
    with pytest.raises(ConfigError, match=says) as failed:
        _ = TokenCommand(shlex.join([sys.executable, "-c", code]), timeout_s=1.0).token
    assert "\n" not in str(failed.value)


def test_a_command_that_is_not_there_is_one_line():
    with pytest.raises(ConfigError, match="cannot be run"):
        _ = TokenCommand("no-such-program-at-all --print").token
