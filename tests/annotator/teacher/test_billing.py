"""What a body's fields do to its bill, and which endings of a request may be billed."""

from typing import Any

import pytest

from stepdistill.annotator.teacher.billing import may_be_billed, tokens_beyond, why_unbounded

MODEL = "any-model"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"model": MODEL, "temperature": 0, "top_p": 0.9, "seed": 7, "stop": ["\n"]},
        {"n": 1, "best_of": None, "use_beam_search": False, "stream": True},
        {"service_tier": "flex"},
        {"service_tier": "default"},
        {"modalities": ["text"]},
        {"reasoning_effort": "high", "verbosity": "low"},
        {"response_format": {"type": "json_object"}, "guided_regex": "a|b"},
        {"chat_template_kwargs": {"enable_thinking": False}},
        {"reasoning": {"effort": "low", "exclude": True}},
        {"thinking": {"type": "enabled", "budget_tokens": 1024}},
        {"extra_body": {"google": {"thinking_config": {"thinking_budget": 0}}}},
        {"max_completion_tokens": 4000, "min_tokens": 10},
        {"thinking": {"type": "adaptive", "display": "summarized"}},
        {"output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {}}}},
        {"text": {"verbosity": "low", "format": {"type": "json_object"}}, "truncation": "auto"},
        {"generationConfig": {"topP": 0.9, "candidateCount": 1, "maxOutputTokens": 9000}},
        {"generationConfig": {"thinkingConfig": {"thinkingBudget": 0, "includeThoughts": True}}},
        {"safetySettings": [{"category": "any"}], "serviceTier": "flex"},
    ],
)
def test_fields_whose_worst_case_is_known(fields: dict[str, Any]):
    assert why_unbounded(fields, MODEL) is None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"n": 8}, "`n: 8` is paid that often"),
        ({"n": True}, "`n: True`"),
        ({"n": "8"}, "`n: 8`"),
        ({"best_of": 4}, "best_of"),
        ({"use_beam_search": True}, "use_beam_search"),
        ({"service_tier": "priority"}, "nobody can say what `service_tier: priority` adds"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"tools": [{"type": "web_search"}]}, "tools"),
        ({"plugins": [{"id": "web"}]}, "plugins"),
        ({"prediction": {"type": "content", "content": "yes"}}, "prediction"),
        ({"model": "a-dearer-one"}, "a-dearer-one"),
        ({"models": ["a-dearer-one"]}, "models"),
        ({"max_completion_tokens": -1}, "bounds nothing"),
        ({"num_predict": "many"}, "bounds nothing"),
        ({"extra_body": {"n": 8}}, "`n: 8`"),
        ({"options": {"num_predict": -1}}, "num_predict"),
        ({"generationConfig": {"candidateCount": 3}}, "`candidateCount: 3` is paid that often"),
        ({"generationConfig": {"thinkingConfig": {"thinkingBudget": -1}}}, "bounds nothing"),
        ({"generationConfig": {"responseModalities": ["IMAGE"]}}, "responseModalities"),
        ({"output_config": {"task_budget": {"total": 9}}}, "task_budget"),
        ({"serviceTier": "priority"}, "serviceTier"),
        ({"speed": "fast"}, "speed"),
        ({"inference_geo": "us"}, "inference_geo"),
        ({"cache_control": {"type": "ephemeral"}}, "cache_control"),
        ({"reasoning": {"max_tokens": None, "new": 1}}, "`new: 1`"),
        ({"something_new": "x" * 500}, "something_new"),
    ],
)
def test_fields_that_may_lift_a_bill_are_named(fields: dict[str, Any], words: str):
    why = why_unbounded({"temperature": 0, **fields}, MODEL)

    assert why is not None
    assert words in why
    assert len(why) < 200


@pytest.mark.parametrize(
    ("fields", "tokens"),
    [
        ({"temperature": 0, "seed": 40_000}, 0),
        ({"max_tokens": 50}, 0),
        ({"max_completion_tokens": 1_000}, 900),
        ({"max_tokens": 300, "max_completion_tokens": 1_000}, 900),
        ({"thinking_budget": 2_000}, 2_000),
        ({"thinking": {"type": "enabled", "budget_tokens": 2_000}}, 2_000),
        ({"reasoning": {"max_tokens": 2_000}}, 2_000),
        ({"options": {"num_predict": 500}}, 400),
        ({"generationConfig": {"maxOutputTokens": 500}}, 400),
        ({"generationConfig": {"thinkingConfig": {"thinkingBudget": 2_000}}}, 2_000),
        ({"generationConfig": {"thinkingConfig": {"thinkingBudget": -1}}}, 0),
        ({"extra_body": {"google": {"thinking_config": {"thinking_budget": 7}}}}, 7),
    ],
)
def test_what_an_answer_may_have_beyond_its_limit(fields: dict[str, Any], tokens: int):
    assert tokens_beyond(fields, 100) == tokens


@pytest.mark.parametrize("status", [408, 499, 500, 502, 504, 520, 524, 599])
def test_what_may_have_been_worked_on_may_be_billed(status: int):
    assert may_be_billed(status, "")


@pytest.mark.parametrize("status", [0, 400, 401, 403, 404, 409, 425, 429, 498, 501, 503, 521, 529])
def test_what_was_not_begun_is_not(status: int):
    assert not may_be_billed(status, "The server is busy.")


def test_a_proxy_that_lost_its_server_may_be_billed_for_what_that_did():
    words = "upstream connect error or disconnect/reset before headers. reset reason: connection"

    assert may_be_billed(503, words)
