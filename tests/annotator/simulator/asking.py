"""How these tests talk to a simulator: over its socket, like anybody else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from stepdistill.annotator.simulator.answers import AnswerBook, KnownAnswer, SimulatedTeacher
from stepdistill.annotator.simulator.server import Simulator

KNOWN = KnownAnswer(
    label="addition",
    rationale="The apples of both children are counted together.",
    alternatives=("subtraction", "division"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.raw)

    @property
    def text(self) -> str:
        return self.json["choices"][0]["message"]["content"]

    @property
    def error(self) -> dict[str, Any]:
        return self.json["error"]


def messages(text: str, system: str = "") -> list[dict[str, str]]:
    user = {"role": "user", "content": text}
    return [{"role": "system", "content": system}, user] if system else [user]


def chat_body(text: str, **options: object) -> dict[str, object]:
    return {"model": "any-model", "messages": messages(text), **options}


def a_teacher(prompts: Sequence[str] = ("one",), accuracy: float = 1.0) -> SimulatedTeacher:
    book = AnswerBook()
    for prompt in prompts:
        book.add(messages(prompt), KNOWN)
    return SimulatedTeacher(book=book, accuracy=accuracy)


async def ask(
    simulator: Simulator, body: object, *, key: str = "", timeout_s: float = 5
) -> Received:
    """Post a body (bytes go as they are) and read the whole answer, on a connection of its own."""
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout_s)) as session,
        session.post(
            f"{simulator.base_url}/chat/completions", data=raw, headers=headers
        ) as response,
    ):
        return Received(
            status=response.status, headers=response.headers.copy(), raw=await response.read()
        )
