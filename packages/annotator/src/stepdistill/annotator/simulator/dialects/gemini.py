"""Gemini's generateContent, from the server's side."""

import re
from typing import Any, ClassVar

from aiohttp import web

from stepdistill.annotator.simulator.dialects.spoken import (
    THOUGHT,
    THOUGHT_TOKENS,
    Fields,
    SpokenDialect,
    as_format,
    first_choice,
    object_at,
    objects,
    refuse_unknown,
    text_in,
)
from stepdistill.annotator.simulator.wire import invalid

_KNOWN = frozenset(
    (
        *("contents", "systemInstruction", "generationConfig", "safetySettings", "tools"),
        *("toolConfig", "cachedContent", "labels", "serviceTier", "model"),
    )
)
_NAMES = {  # of generationConfig -> of chat
    "maxOutputTokens": "max_tokens",
    "temperature": "temperature",
    "topP": "top_p",
    "seed": "seed",
    "stopSequences": "stop",
    "responseLogprobs": "logprobs",
    "logprobs": "top_logprobs",
}
_NO_KEY = (
    "Method doesn't allow unregistered callers (callers without established identity). Please use "
    "API Key or other form of API consumer identity to call this API."
)
_STATUSES = {
    400: "INVALID_ARGUMENT",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_STOPS = {"stop": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"}
_DAILY = "GenerateRequestsPerDayPerProjectPerModel"
_INFO = "type.googleapis.com/google.rpc.{}"


class SpokenGemini(SpokenDialect):
    """generateContent."""

    name: ClassVar[str] = "gemini"

    def path(self, prefix: str) -> str:
        # google-genai asks v1 where nothing else is said.
        return "/{version:v1|v1beta|v1alpha}/models/{model:.+}:generateContent"

    def as_chat(self, body: Fields, request: web.BaseRequest) -> dict[str, object]:
        assert isinstance(request, web.Request)
        return self.chat_of(body, request.match_info["model"])

    def chat_of(self, body: Fields, model: str) -> dict[str, object]:
        """A GenerateContentRequest, also of one in a batch. Raises RefusedRequest."""
        body = _camel(body)
        says = 'Invalid JSON payload received. Unknown name "{}": Cannot find field.'
        refuse_unknown(body, _KNOWN, says)
        system = object_at(body, "systemInstruction").get("parts") or ""
        told = text_in(system, "systemInstruction.parts")
        messages = [{"role": "system", "content": told}] if told else []
        if not body.get("contents"):
            raise invalid("* GenerateContentRequest.contents: contents is not specified")
        for each in objects(body["contents"], "contents"):
            role = "assistant" if each.get("role") == "model" else "user"
            messages.append({"role": role, "content": text_in(each.get("parts"), "parts")})
        config = _camel(object_at(body, "generationConfig"))
        chat: dict[str, object] = {
            _NAMES[name]: value for name, value in config.items() if name in _NAMES
        }
        if schema := config.get("responseJsonSchema") or config.get("responseSchema"):
            chat["response_format"] = as_format(schema)
        elif config.get("responseMimeType") == "application/json":
            chat["response_format"] = {"type": "json_object"}
        thinking = _camel(object_at(config, "thinkingConfig"))
        if thinking.get("thinkingLevel") or thinking.get("thinkingBudget"):
            chat["reasoning_effort"] = str(thinking.get("thinkingLevel", "high")).lower()
        if tier := body.get("serviceTier"):
            chat["service_tier"] = tier
        return {**chat, "model": model, "messages": messages}

    def answer(self, completion: Fields, chat: Fields) -> Fields:
        text, finish, logprobs = first_choice(completion)
        parts: list[dict[str, object]] = [{"text": text}]
        if self.thinks(chat):
            parts.insert(0, {"text": THOUGHT, "thought": True})
        candidate: dict[str, object] = {"finishReason": _STOPS[finish], "index": 0}
        if finish != "content_filter":
            candidate["content"] = {"parts": parts, "role": "model"}
        if logprobs is not None:
            candidate["logprobsResult"] = _logprobs(logprobs)
        return {
            "candidates": [candidate],
            "modelVersion": completion["model"],
            "responseId": completion["id"],
            **self._usage(completion, chat),
        }

    def _usage(self, completion: Fields, chat: Fields) -> dict[str, object]:
        used = completion.get("usage")
        if used is None:
            return {}
        thought = THOUGHT_TOKENS if self.thinks(chat) else 0
        counts = {
            "promptTokenCount": used["prompt_tokens"],
            "candidatesTokenCount": used["completion_tokens"],
            "totalTokenCount": used["total_tokens"] + thought,
            "serviceTier": completion.get("service_tier", "standard"),
        }
        return {"usageMetadata": {**counts, "thoughtsTokenCount": thought} if thought else counts}

    def error(self, status: int, error: Fields, ident: str = "req_0") -> tuple[int, Fields]:
        message, code = error["message"], error.get("code")
        details: list[dict[str, object]] = []
        if status == 401 and code is None:
            status, message = 403, _NO_KEY
        elif status == 401:
            status, message = 400, "API key not valid. Please pass a valid API key."
            details = [{"@type": _INFO.format("ErrorInfo"), "reason": "API_KEY_INVALID"}]
        elif code == "content_policy_violation":
            return 200, {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}
        elif code == "insufficient_quota":
            message = "You exceeded your current quota, please check your plan and billing details."
            violation = {"quotaId": _DAILY, "quotaMetric": "generate_content_requests"}
            details = [{"@type": _INFO.format("QuotaFailure"), "violations": [violation]}]
        elif status == 429:
            details = [{"@type": _INFO.format("RetryInfo"), "retryDelay": "0.05s"}]
        name = _STATUSES.get(status, "UNKNOWN")
        found = {"code": status, "message": message, "status": name, "details": details}
        return status, {"error": found}


def _camel(fields: Fields) -> dict[str, Any]:
    """Its fields' names in camel case: it takes those in snake case as well, and its own client
    mixes them."""
    return {re.sub("_([a-z])", lambda found: found[1].upper(), k): v for k, v in fields.items()}


def _logprobs(logprobs: Fields) -> dict[str, object]:
    tokens = objects(logprobs.get("content"), "logprobs")
    tops = [{"candidates": list(map(_token, each.get("top_logprobs") or []))} for each in tokens]
    return {"chosenCandidates": list(map(_token, tokens)), "topCandidates": tops}


def _token(token: Fields) -> dict[str, object]:
    return {"token": token["token"], "tokenId": 0, "logProbability": token["logprob"]}
