"""What a reply says of its tokens, as far as it can be believed."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepdistill.annotator.store.answer import Usage
from tests.annotator.teacher.replies import a_reply, read


@pytest.mark.parametrize(
    "usage",
    [
        *(None, {}, [1], {"prompt_tokens_details": None}, {"prompt_tokens": float("inf")}),
        {"prompt_tokens_details": {"cached_tokens": None}},
        {"prompt_tokens_details": "few"},
    ],
)
def test_an_answer_without_usage_counts_no_tokens(usage: dict[str, Any] | None):
    assert read(a_reply(usage=usage)).usage == Usage(is_whole=False)


@pytest.mark.parametrize(
    "odd",
    [None, -1, True, 2.5, "many", [7], {"n": 7}, 1 << 31, 1 << 62, 1e300],
)
@pytest.mark.parametrize("name", ["prompt_tokens", "completion_tokens"])
def test_a_count_that_cannot_be_is_unknown_and_the_answer_is_kept(name: str, odd: object):
    answer = read(a_reply(usage={"prompt_tokens": 12, "completion_tokens": 7, name: odd}))

    assert answer.text == "yes"
    assert answer.unknown == (name == "prompt_tokens", name == "completion_tokens")
    assert (answer.usage.prompt, answer.usage.completion) == (
        0 if answer.unknown[0] else 12,
        0 if answer.unknown[1] else 7,
    )


COUNTS = st.none() | st.integers(-1, 20) | st.sampled_from([True, 2.0, "7", 1 << 31])
DETAILS = st.none() | st.fixed_dictionaries(
    {}, optional={name: COUNTS for name in ("cached_tokens", "reasoning_tokens")}
)


@given(
    st.fixed_dictionaries(
        {"prompt_tokens": COUNTS, "completion_tokens": COUNTS},
        optional={
            "total_tokens": st.integers(0, 30),
            "prompt_tokens_details": DETAILS,
            "completion_tokens_details": DETAILS,
        },
    )
)
def test_counts_are_the_same_whatever_stands_beside_them(usage: dict[str, Any]):
    # A field of its own, as Groq's, is not what the short way is for.
    beside = {**usage, "queue_time": 0.1}
    assert read(a_reply(usage=usage)).usage == read(a_reply(usage=beside)).usage


def test_no_tokens_are_a_count_only_of_no_text():
    usage = {"prompt_tokens": 12, "completion_tokens": 0}
    silent = {"prompt_tokens": 12}

    assert read(a_reply({"content": None}, usage=usage)).is_counted
    assert not read(a_reply({"content": None, "reasoning": "Hm."}, usage=usage)).is_counted
    assert not read(a_reply(usage=usage)).is_counted
    assert not read(a_reply({"content": None}, usage=silent)).is_counted
    assert not read(a_reply(usage={"prompt_tokens": 0, "completion_tokens": 7})).is_counted


@pytest.mark.parametrize(
    ("more", "completion"),
    [
        ({"total_tokens": 19}, 7),
        ({"total_tokens": 3}, 7),
        ({"total_tokens": 219}, 207),
        ({"completion_tokens_details": {"reasoning_tokens": 5}}, 7),
        ({"completion_tokens_details": {"reasoning_tokens": 200}}, 207),
        ({"total_tokens": 219, "completion_tokens_details": {"reasoning_tokens": 200}}, 207),
    ],
)
def test_what_is_thought_beside_the_completion_is_counted(more: dict[str, Any], completion: int):
    usage = {"prompt_tokens": 12, "completion_tokens": 7, **more}

    assert read(a_reply(usage=usage)).usage.completion == completion


@pytest.mark.parametrize("cached", [-4, True, 4.5, 1 << 62])
def test_what_was_cached_is_part_of_the_prompt_or_nothing(cached: object):
    details = {"cached_tokens": cached, "cache_write_tokens": 900}
    used = {"prompt_tokens": 12, "completion_tokens": 7, "prompt_tokens_details": details}
    usage = read(a_reply(usage=used)).usage

    assert (usage.cached, usage.written) == (0, 12)


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": "12", "completion_tokens": 7.0},
        {"prompt_tokens": 12, "completion_tokens": 7, "prompt_tokens_details": {}},
    ],
)
def test_tokens_are_counted_however_their_number_is_written(usage: dict[str, Any]):
    assert read(a_reply(usage=usage)).usage == Usage(prompt=12, completion=7)
