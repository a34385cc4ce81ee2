"""The dialects that the simulator speaks beside chat. OpenRouter's is chat, with what each answer
cost and errors of its own."""

from typing import ClassVar, Literal

from aiohttp import web

from stepdistill.annotator.simulator.dialects.anthropic import SpokenAnthropic
from stepdistill.annotator.simulator.dialects.gemini import SpokenGemini
from stepdistill.annotator.simulator.dialects.responses import SpokenResponses
from stepdistill.annotator.simulator.dialects.spoken import Fields, SpokenDialect

_USD_PER_TOKEN = (1e-7, 4e-7)  # of prompts, of answers


class SpokenOpenRouter(SpokenDialect):
    """Chat as OpenRouter has it."""

    name: ClassVar[str] = "openrouter"

    def path(self, prefix: str) -> str:
        return f"{prefix}/chat/completions"

    def as_chat(self, body: Fields, request: web.BaseRequest) -> dict[str, object]:
        return dict(body)

    def thinks(self, chat: Fields) -> bool:
        return False

    def answer(self, completion: Fields, chat: Fields) -> Fields:
        reply = {**completion, "provider": "Simulated"}
        if used := completion.get("usage"):
            tokens = (used["prompt_tokens"], used["completion_tokens"])
            cost = sum(n * usd for n, usd in zip(tokens, _USD_PER_TOKEN, strict=True))
            reply["usage"] = {**used, "cost": round(cost, 10), "is_byok": False}
        return reply

    def error(self, status: int, error: Fields) -> tuple[int, Fields]:
        code, message = error.get("code"), error["message"]
        body: dict[str, object] = {"code": status, "message": message}
        if code == "insufficient_quota":
            status = 402
            body = {"code": 402, "message": "Insufficient credits. Add more and try again."}
        elif code == "content_policy_violation":
            status, flagged = 403, {"reasons": ["violence"], "flagged_input": "..."}
            body = {
                "code": 403,
                "message": "The model requires moderation and your input was flagged.",
                "metadata": flagged,
            }
        elif status >= 500:
            raw = {"error": {"message": message}}
            body["metadata"] = {"raw": str(raw), "provider_name": "Simulated"}
        return status, {"error": body, "user_id": "user_simulated"}


SpokenName = Literal["openai", "responses", "anthropic", "gemini", "openrouter"]
# Each at a route of its own, whatever else is served.
OTHERS: tuple[SpokenDialect, ...] = (SpokenResponses(), SpokenAnthropic(), SpokenGemini())
OPENROUTER = SpokenOpenRouter()  # in place of OpenAI's chat, at its route
