"""The dialects: one question as each server wants it, and one answer out of what each says."""

from typing import Any

import orjson
import pytest

from stepdistill.annotator.errors import ContentRefused, RateLimited, TeacherError, Unreadable
from stepdistill.annotator.plan.key import Endpoint, RequestForm
from stepdistill.annotator.store.answer import Answer, Usage
from stepdistill.annotator.teacher.dialects.dialect import Dialect, Limit
from stepdistill.annotator.teacher.dialects.registry import DIALECTS
from stepdistill.annotator.teacher.reply import ReplyContext

HERE = Endpoint(name="localhost", path="/any")
SCHEMA = {"type": "object", "properties": {"label": {"type": "string"}}}
BY_NAME: dict[str, Dialect] = {**DIALECTS}
FORMAT: dict[str, Any] = {
    "type": "json_schema",
    "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA},
}
JSON = {"type": "json_object"}
OPTIONS = {
    "temperature": 0.5,
    "top_p": 0.9,
    "stop": "END",
    "seed": 7,
    "logprobs": True,
    "top_logprobs": 5,
    "response_format": FORMAT,
    "reasoning_effort": "low",
}
QUESTION = [{"role": "user", "content": "Why?"}]
WIRES: dict[str, dict[str, Any]] = {
    "responses": {
        "model": "any",
        "store": False,
        "instructions": "Be brief.",
        "input": QUESTION,
        "max_output_tokens": 7,
        "temperature": 0.5,
        "top_p": 0.9,
        "include": ["message.output_text.logprobs"],
        "top_logprobs": 5,
        "text": {"format": {"type": "json_schema", **FORMAT["json_schema"]}},
        "reasoning": {"effort": "low"},
    },
    "anthropic": {
        "model": "any",
        "system": "Be brief.",
        "messages": QUESTION,
        "max_tokens": 7,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop_sequences": ["END"],
        "thinking": {"type": "adaptive"},
        "output_config": {
            "effort": "low",
            "format": {"type": "json_schema", "schema": SCHEMA},
        },
    },
    "gemini": {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [{"role": "user", "parts": [{"text": "Why?"}]}],
        "generationConfig": {
            "maxOutputTokens": 7,
            "temperature": 0.5,
            "topP": 0.9,
            "stopSequences": ["END"],
            "seed": 7,
            "responseLogprobs": True,
            "logprobs": 5,
            "responseMimeType": "application/json",
            "responseJsonSchema": SCHEMA,
            "thinkingConfig": {"thinkingLevel": "LOW"},
        },
    },
}


def wire(name: str, options: dict[str, Any], system: str = "") -> dict[str, Any]:
    request = RequestForm(HERE, "any", options).request(system, "Why?")
    return orjson.loads(orjson.dumps(BY_NAME[name].wire(request, Limit(7, "max_tokens"))))


def read(name: str, reply: object, **headers: str) -> Answer:
    context = ReplyContext(limit=7, model="any", request_id="req_1", headers=headers)
    return BY_NAME[name].read(orjson.dumps(reply), context)


@pytest.mark.parametrize("name", WIRES)
def test_a_question_is_asked_in_the_words_of_each(name: str):
    assert wire(name, OPTIONS, "Be brief.") == WIRES[name]


@pytest.mark.parametrize(
    ("name", "left_out"),
    [
        ("chat", []),
        ("responses", ["stop", "seed"]),
        ("anthropic", ["seed", "logprobs", "top_logprobs"]),
        ("gemini", []),
    ],
)
def test_what_a_dialect_has_no_words_for_is_known(name: str, left_out: list[str]):
    assert BY_NAME[name].unsaid(OPTIONS) == left_out


@pytest.mark.parametrize(
    ("name", "own", "found"),
    [
        (
            "anthropic",
            {"thinking": {"type": "enabled", "budget_tokens": 1024}, "output_config": {"x": 1}},
            {"thinking": {"type": "enabled", "budget_tokens": 1024}, "output_config": {"x": 1}},
        ),
        ("anthropic", {"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
        ("gemini", {"safetySettings": [{"a": 1}]}, {"safetySettings": [{"a": 1}]}),
        ("responses", {"verbosity": "low"}, {"text": {"verbosity": "low"}}),
        (
            "responses",
            {"response_format": {"type": "json_object"}},
            {"text": {"format": {"type": "json_object"}}},
        ),
    ],
)
def test_fields_of_its_own_pass_as_they_are(name: str, own: dict[str, Any], found: dict[str, Any]):
    assert found.items() <= wire(name, own).items()


def test_geminis_own_settings_are_joined_with_those_of_the_template():
    own = {"generationConfig": {"thinkingConfig": {"includeThoughts": True}}, "temperature": 1}
    config = wire("gemini", {**own, "reasoning_effort": "high"})["generationConfig"]
    assert config["thinkingConfig"] == {"includeThoughts": True, "thinkingLevel": "HIGH"}
    assert (config["temperature"], config["maxOutputTokens"]) == (1, 7)


def test_a_budget_of_thoughts_leaves_the_answer_its_room():
    own = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    assert wire("anthropic", own)["max_tokens"] == 7 + 1024
    for budget, room in ((512, 512), (0, 0), (-1, 0)):
        own = {"generationConfig": {"thinkingConfig": {"thinkingBudget": budget}}}
        assert wire("gemini", own)["generationConfig"]["maxOutputTokens"] == 7 + room


@pytest.mark.parametrize(
    ("name", "base", "path"),
    [
        ("chat", "/v1", "/v1/chat/completions"),
        ("responses", "/v1", "/v1/responses"),
        ("anthropic", "", "/v1/messages"),
        ("anthropic", "/v1", "/v1/messages"),
        ("anthropic", "/anthropic", "/anthropic/v1/messages"),
        ("gemini", "", "/v1beta/models/any:generateContent"),
        ("gemini", "/v1beta", "/v1beta/models/any:generateContent"),
        ("gemini", "/v1", "/v1/models/any:generateContent"),
    ],
)
def test_each_is_found_with_and_without_its_version(name: str, base: str, path: str):
    dialect = BY_NAME[name]
    assert dialect.path(dialect.root(base), "any") == path


ANTHROPIC: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-x-20260101",
    "content": [
        {"type": "thinking", "thinking": "Hm.", "signature": "x"},
        {"type": "redacted_thinking", "data": "x"},
        {"type": "text", "text": "Because "},
        {"type": "text", "text": "no."},
    ],
    "stop_reason": "end_turn",
    "usage": {
        "input_tokens": 10,
        "cache_read_input_tokens": 30,
        "cache_creation_input_tokens": 5,
        "output_tokens": 12,
        "output_tokens_details": {"thinking_tokens": 4},
        "service_tier": "priority",
    },
}
GEMINI: dict[str, Any] = {
    "candidates": [
        {
            "content": {
                "role": "model",
                "parts": [
                    {"text": "Hm.", "thought": True},
                    {"text": "Because "},
                    {"text": "no.", "thoughtSignature": "x"},
                ],
            },
            "finishReason": "STOP",
        }
    ],
    "usageMetadata": {
        "promptTokenCount": 45,
        "cachedContentTokenCount": 30,
        "candidatesTokenCount": 8,
        "thoughtsTokenCount": 4,
        "totalTokenCount": 57,
    },
    "modelVersion": "gemini-x-001",
    "responseId": "x",
}
RESPONSES: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "model": "gpt-x-2026",
    "output": [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]},
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Because no.", "annotations": []}],
        },
    ],
    "service_tier": "flex",
    "usage": {
        "input_tokens": 45,
        "input_tokens_details": {"cached_tokens": 30, "cache_write_tokens": 0},
        "output_tokens": 12,
        "output_tokens_details": {"reasoning_tokens": 4},
        "total_tokens": 57,
    },
}


@pytest.mark.parametrize(
    ("name", "reply", "model", "written", "tier"),
    [
        ("anthropic", ANTHROPIC, "claude-x-20260101", 5, "priority"),
        ("gemini", GEMINI, "gemini-x-001", 0, None),
        ("responses", RESPONSES, "gpt-x-2026", 0, "flex"),
    ],
)
def test_one_answer_comes_out_of_each(
    name: str, reply: dict[str, Any], model: str, written: int, tier: str | None
):
    answer = read(name, reply)
    assert (answer.text, answer.thoughts, answer.ending) == ("Because no.", "Hm.", "whole")
    assert answer.usage == Usage(45, 12, 30, 4, written)
    assert (answer.model, answer.tier, answer.request_id) == (model, tier, "req_1")


def test_geminis_tier_is_in_a_header():
    assert read("gemini", GEMINI, **{"x-gemini-service-tier": "flex"}).tier == "flex"
    assert read("gemini", GEMINI, **{"x-gemini-service-tier": "standard"}).tier is None


CUT: dict[str, Any] = {"candidates": [{"content": {}, "finishReason": "MAX_TOKENS"}]}


@pytest.mark.parametrize(
    ("name", "reply", "ending"),
    [
        ("anthropic", {**ANTHROPIC, "stop_reason": "max_tokens"}, "truncated"),
        ("anthropic", {**ANTHROPIC, "stop_reason": "model_context_window_exceeded"}, "truncated"),
        ("anthropic", {**ANTHROPIC, "stop_reason": "refusal", "content": []}, "refused"),
        ("anthropic", {**ANTHROPIC, "stop_reason": "stop_sequence"}, "whole"),
        ("gemini", {"candidates": [{"finishReason": "SAFETY"}]}, "filtered"),
        ("gemini", {"candidates": [{"finishReason": "PROHIBITED_CONTENT"}]}, "filtered"),
        ("gemini", CUT, "truncated"),
        (
            "responses",
            {
                **RESPONSES,
                "status": "incomplete",
                "incomplete_details": {"reason": "max_output_tokens"},
            },
            "truncated",
        ),
        (
            "responses",
            {
                **RESPONSES,
                "status": "incomplete",
                "incomplete_details": {"reason": "content_filter"},
            },
            "filtered",
        ),
        (
            "responses",
            {
                **RESPONSES,
                "output": [
                    {"type": "message", "content": [{"type": "refusal", "refusal": "I won't."}]}
                ],
            },
            "refused",
        ),
    ],
)
def test_how_it_ended_is_understood(name: str, reply: dict[str, Any], ending: str):
    assert read(name, reply).ending == ending


@pytest.mark.parametrize(
    ("name", "reply", "error", "says"),
    [
        ("gemini", {"promptFeedback": {"blockReason": "SAFETY"}}, ContentRefused, "filter"),
        (
            "anthropic",
            {"type": "error", "error": {"type": "rate_limit_error", "message": "slow"}},
            RateLimited,
            "slow",
        ),
        (
            "responses",
            {
                **RESPONSES,
                "status": "failed",
                "output": [],
                "error": {"code": "rate_limit_exceeded", "message": "slow"},
            },
            RateLimited,
            "slow",
        ),
        ("responses", {**RESPONSES, "status": "queued", "output": []}, Unreadable, "not ready"),
        ("anthropic", {"hello": 1}, Unreadable, "without an answer"),
        ("gemini", {"candidates": []}, Unreadable, "without an answer"),
    ],
)
def test_what_is_no_answer_is_the_error_that_it_means(
    name: str, reply: dict[str, Any], error: type[TeacherError], says: str
):
    with pytest.raises(error, match=says):
        read(name, reply)


@pytest.mark.parametrize("name", DIALECTS)
def test_a_gateway_may_reply_as_chat_does_to_whatever_it_is_asked(name: str):
    chat = {"choices": [{"message": {"content": "Because no."}, "finish_reason": "stop"}]}
    assert read(name, chat).text == "Because no."


@pytest.mark.parametrize(
    ("name", "reply"),
    [
        ("anthropic", {**ANTHROPIC, "usage": None, "model": None}),
        ("anthropic", {**ANTHROPIC, "content": "Because no.", "usage": {"input_tokens": None}}),
        ("gemini", {"candidates": GEMINI["candidates"]}),
        ("gemini", [GEMINI]),
        ("responses", {"output": RESPONSES["output"]}),
    ],
)
def test_an_odd_envelope_costs_no_answer(name: str, reply: Any):
    assert read(name, reply).text == "Because no."


def test_log_probabilities_are_read_alike():
    token: dict[str, Any] = {"token": "no", "logprob": -0.5, "bytes": None, "top_logprobs": []}
    top = [{"token": "no", "logprob": -0.5}, {"token": "yes", "logprob": -1.0}]
    chat = {
        "choices": [
            {
                "message": {"content": "no"},
                "finish_reason": "stop",
                "logprobs": {"content": [{**token, "top_logprobs": top}]},
            }
        ]
    }
    block = {"type": "output_text", "text": "no", "logprobs": [{**token, "top_logprobs": top}]}
    responses = {"output": [{"type": "message", "content": [block]}]}
    candidates = [{"token": each["token"], "logProbability": each["logprob"]} for each in top]
    gemini = {
        "candidates": [
            {
                "content": {"parts": [{"text": "no"}]},
                "finishReason": "STOP",
                "logprobsResult": {
                    "chosenCandidates": candidates[:1],
                    "topCandidates": [{"candidates": candidates}],
                },
            }
        ]
    }
    kept = read("chat", chat).logprobs
    assert kept is not None
    assert read("responses", responses).logprobs == kept
    assert read("gemini", gemini).logprobs == kept
