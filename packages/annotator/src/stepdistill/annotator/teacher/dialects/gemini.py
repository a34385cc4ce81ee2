"""Gemini's own generateContent: the model in the address, options in `generationConfig`, thoughts
as parts beside the answer's, and counted beside it."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar, cast
from urllib.parse import quote

from stepdistill.annotator.plan.key import Request, RequestForm
from stepdistill.annotator.teacher.body import object_in
from stepdistill.annotator.teacher.dialects.dialect import (
    Dialect,
    Limit,
    merged,
    objects,
    room_to_think,
    schema_of,
    texts,
)

_CONFIG = {  # field of chat -> of generationConfig
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "seed": "seed",
    "n": "candidateCount",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "logprobs": "responseLogprobs",
    "top_logprobs": "logprobs",
}
_UNSAID = frozenset(
    (
        *("logit_bias", "user", "metadata", "store", "verbosity", "service_tier", "modalities"),
        *("chat_template_kwargs", "prompt_cache_key", "prompt_cache_retention"),
    )
)
# Its own fields beside generationConfig; others that are not known here belong into that.
_TOP = frozenset(
    (
        *("generationConfig", "safetySettings", "cachedContent", "tools", "toolConfig", "labels"),
        "serviceTier",
    )
)
_TIER_HEADER = "x-gemini-service-tier"
# Models before there were levels have a budget in tokens.
_BUDGETS = {"none": 0, "minimal": 512, "low": 1_024, "medium": 8_192, "high": 24_576}


class GeminiDialect(Dialect):
    """generateContent, as the Gemini API has it."""

    name: ClassVar[str] = "gemini"

    def root(self, base: str) -> str:
        last = base.rpartition("/")[2]
        return base if last[:1] == "v" and last[1:2].isdigit() else f"{base}/v1beta"

    def path(self, root: str, model: str) -> str:
        return f"{root}/models/{quote(model.removeprefix('models/'))}:generateContent"

    def wire(self, request: Request, limit: Limit) -> Mapping[str, object]:
        own = _fields(request.form)
        config = {**cast("dict[str, object]", own["generationConfig"])}
        config["maxOutputTokens"] = limit.tokens + room_to_think(request.form)
        contents = [{"role": "user", "parts": [{"text": request.user}]}]
        body: dict[str, object] = {**own, "contents": contents, "generationConfig": config}
        if request.system:
            body["systemInstruction"] = {"parts": [{"text": request.system}]}
        return body

    def as_chat(self, reply: Mapping[str, Any], headers: Mapping[str, str]) -> Mapping[str, Any]:
        """Of {"candidates": [{"content": {"parts": [{"text": "..."}]}, "finishReason": ...}]}."""
        candidates = objects(reply.get("candidates"))
        if not candidates or reply.get("error"):
            return reply
        first = candidates[0]
        parts = objects((object_in(first.get("content")) or {}).get("parts"))
        said, thought = ("".join(_texts(parts, thoughts=each)) for each in (False, True))
        choice = {
            "message": {"content": said, "reasoning_content": thought},
            "finish_reason": first.get("finishReason"),
            "logprobs": _logprobs(object_in(first.get("logprobsResult"))),
        }
        used = object_in(reply.get("usageMetadata"))
        tier = headers.get(_TIER_HEADER) or (used and used.get("serviceTier"))
        return {
            "model": reply.get("modelVersion"),
            "choices": [choice],
            "usage": used and _usage(used),
            "service_tier": tier,
        }

    def tier(self, name: str) -> Mapping[str, object]:
        return {"serviceTier": "standard" if name == "default" else name}

    def unsaid(self, fields: Mapping[str, object]) -> list[str]:
        return [name for name in fields if name in _UNSAID]


@lru_cache(256)
def _fields(form: RequestForm) -> dict[str, object]:
    """A form's fields in its words, but the model, which is in the address."""
    own: dict[str, object] = {"generationConfig": {}}
    for name, value in form.fields.items():
        if name == "model" or name in _UNSAID:
            continue
        if name in _TOP:
            own = merged(own, {name: value})
            continue
        own = merged(own, {"generationConfig": _config(name, value, str(form.fields["model"]))})
    return own


def _config(name: str, value: object, model: str) -> dict[str, object]:
    match name:
        case "stop":
            return {"stopSequences": texts(value)}
        case "reasoning_effort":
            return {"thinkingConfig": _thinking(str(value), model)}
        case "response_format":
            schema = schema_of(value)
            form: dict[str, object] = {"responseMimeType": "application/json"}
            return form if schema is None else {**form, "responseJsonSchema": schema.get("schema")}
        case _:
            return {_CONFIG.get(name, name): value}


def _thinking(effort: str, model: str) -> dict[str, object]:
    if effort == "none" or "gemini-2" in model:
        return {"thinkingBudget": _BUDGETS.get(effort, _BUDGETS["high"])}
    return {"thinkingLevel": effort.upper()}


def _texts(parts: Sequence[Mapping[str, Any]], *, thoughts: bool) -> list[str]:
    chosen = [part.get("text") for part in parts if bool(part.get("thought")) is thoughts]
    return [text for text in chosen if isinstance(text, str)]


def _usage(used: Mapping[str, Any]) -> dict[str, object]:
    """As chat counts: thoughts are inside the completion. One that is empty is not counted."""
    said, thought = used.get("candidatesTokenCount"), used.get("thoughtsTokenCount") or 0
    if said is None and used.get("totalTokenCount") is not None:
        said = 0
    is_counted = type(said) is int and type(thought) is int
    prompt, used_by_tools = used.get("promptTokenCount"), used.get("toolUsePromptTokenCount") or 0
    if type(prompt) is int and type(used_by_tools) is int:
        prompt += used_by_tools
    return {
        "prompt_tokens": prompt,
        "completion_tokens": cast(int, said) + thought if is_counted else said,
        "prompt_tokens_details": {"cached_tokens": used.get("cachedContentTokenCount") or 0},
        "completion_tokens_details": {"reasoning_tokens": thought},
    }


def _logprobs(result: Mapping[str, Any] | None) -> dict[str, object] | None:
    """As chat has them: a token after the other, each with what might have stood there."""
    if result is None:
        return None
    chosen, tops = objects(result.get("chosenCandidates")), objects(result.get("topCandidates"))
    others = [[_token(each) for each in objects(top.get("candidates"))] for top in tops]
    others += [[] for _ in chosen[len(others) :]]
    pairs = zip(chosen, others, strict=False)
    return {"content": [{**_token(each), "top_logprobs": top} for each, top in pairs]}


def _token(fields: Mapping[str, Any]) -> dict[str, object]:
    return {"token": fields.get("token"), "logprob": fields.get("logProbability")}
