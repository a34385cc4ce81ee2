"""The dialects that the simulator speaks beside chat. OpenRouter's is chat, with what each answer
cost and errors of its own."""

from typing import ClassVar, Literal

from aiohttp import web

from stepdistill.annotator.simulator.dialects.anthropic import SpokenAnthropic
from stepdistill.annotator.simulator.dialects.gemini import SpokenGemini
from stepdistill.annotator.simulator.dialects.responses import SpokenResponses
from stepdistill.annotator.simulator.dialects.spoken import (
    THOUGHT,
    THOUGHT_TOKENS,
    Fields,
    SpokenDialect,
    first_choice,
    object_at,
)

_USD_PER_TOKEN = (1e-7, 4e-7)  # of prompts, of answers


class SpokenOpenRouter(SpokenDialect):
    """Chat as OpenRouter has it."""

    name: ClassVar[str] = "openrouter"

    def path(self, prefix: str) -> str:
        return f"{prefix}/chat/completions"

    def as_chat(self, body: Fields, request: web.BaseRequest) -> dict[str, object]:
        wanted = object_at(body, "reasoning")
        if any(wanted.get(name) for name in ("effort", "max_tokens", "enabled")):
            return {**body, "reasoning_effort": wanted.get("effort", "medium")}
        return dict(body)

    def answer(self, completion: Fields, chat: Fields) -> Fields:
        thinks = self.thinks(chat)
        text, _, _ = first_choice(completion)
        thought = None if object_at(chat, "reasoning").get("exclude") or not thinks else THOUGHT
        message = {"role": "assistant", "content": text, "refusal": None, "reasoning": thought}
        choice = {**completion["choices"][0], "message": message}
        reply = {**completion, "provider": "Simulated", "choices": [choice]}
        if used := completion.get("usage"):
            thoughts = THOUGHT_TOKENS if thinks else 0
            said = used["completion_tokens"] + thoughts
            prices = zip((used["prompt_tokens"], said), _USD_PER_TOKEN, strict=True)
            reply["usage"] = {
                **used,
                "completion_tokens": said,
                "total_tokens": used["total_tokens"] + thoughts,
                "completion_tokens_details": {"reasoning_tokens": thoughts},
                "cost": round(sum(n * usd for n, usd in prices), 10),
                "is_byok": False,
            }
        return reply

    def error(self, status: int, error: Fields, ident: str = "req_0") -> tuple[int, Fields]:
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
        elif status == 500:
            # What fails once the model is at work comes with the status that had gone out by then.
            status, raw = 200, {"error": {"message": message}}
            body = {"code": 502, "message": "Provider returned error"}
            body["metadata"] = {"raw": str(raw), "provider_name": "Simulated"}
        elif status > 500:
            raw = {"error": {"message": message}}
            body["metadata"] = {"raw": str(raw), "provider_name": "Simulated"}
        return status, {"error": body, "user_id": "user_simulated"}


SpokenName = Literal["openai", "responses", "anthropic", "gemini", "openrouter"]
# Each at a route of its own, whatever else is served.
OTHERS: tuple[SpokenDialect, ...] = (SpokenResponses(), SpokenAnthropic(), SpokenGemini())
OPENROUTER = SpokenOpenRouter()  # in place of OpenAI's chat, at its route
