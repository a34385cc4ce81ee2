"""Of a reply's log-probabilities that is kept which can be found again in the answer's text."""

from itertools import pairwise
from math import log
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepdistill.annotator.store.logprobs import doubts_in, kept_logprobs
from stepdistill.annotator.teacher.logprobs import logprobs_in, probability_of
from tests.annotator.teacher.replies import a_reply, read


def said(token: str, probability: float = 1.0, **others: float) -> dict[str, Any]:
    told = [{"token": token, "logprob": log(probability)}]
    told += [{"token": other, "logprob": log(each)} for other, each in others.items()]
    return {"token": token, "logprob": log(probability), "top_logprobs": told}


def found(content: list[dict[str, Any]], text: str) -> list[tuple[str, float, dict[str, float]]]:
    kept = logprobs_in({"content": content}, text)
    return [
        (text[each.start : each.end], round(each.probability or -1, 2), dict(each.others))
        for each in doubts_in(kept or [])
    ]


def test_a_reply_keeps_what_was_in_doubt_and_nothing_else():
    content = [said("Label: "), said("yes", 0.7, no=0.29), said("\n"), said("ok", 0.9999)]
    logprobs = {"content": content, "refusal": None}
    choice = {"message": {"content": "Label: yes\nok"}, "finish_reason": "stop"}
    answer = read(a_reply(choices=[{**choice, "logprobs": logprobs}]))

    assert answer.logprobs == [[7, 3, 357, "no", 1238]]
    assert read(a_reply(choices=[choice])).logprobs is None


def test_tokens_that_are_no_part_of_the_text_are_passed_over():
    content = [said("<think>yes</think>"), said(" yes", 0.6, no=0.4), said("<|im_end|>", 0.5)]
    assert found(content, "yes") == [("yes", 0.6, {"no": pytest.approx(0.4, abs=1e-3)})]


def test_a_character_that_two_tokens_spell_is_put_together():
    content: list[dict[str, Any]] = [
        {"token": "\\xe6", "bytes": [0xE6], "logprob": -0.1, "top_logprobs": []},
        {
            "token": "\\xad\\xa3",
            "bytes": [0xAD, 0xA3],
            "logprob": log(0.8),
            "top_logprobs": [{"token": "?", "bytes": [0xAD, 0xA4], "logprob": log(0.2)}],
        },
    ]
    assert found(content, "\u6b63")[1][2] == {"\u6b64": pytest.approx(0.2, abs=1e-3)}


def test_the_lists_of_old_completions_say_the_same():
    fields = {
        "tokens": ["yes", "."],
        "token_logprobs": [log(0.75), 0.0],
        "top_logprobs": [{"yes": log(0.75), "no": log(0.25)}, None],
    }
    assert logprobs_in(fields, "yes.") == [[0, 3, 288, "no", 1386]]


@pytest.mark.parametrize("logprob", [None, float("-inf"), float("nan"), 3, True, "-0.1"])
def test_what_is_no_logarithm_is_not_known(logprob: object):
    assert probability_of(logprob) is None
    kept = logprobs_in({"content": [{"token": "yes", "logprob": logprob}]}, "yes")
    assert [each.probability for each in doubts_in(kept or [])] == [None]


@pytest.mark.parametrize("fields", [None, 7, {}, {"content": [1, None, {"token": 3}]}, [], "x"])
def test_what_says_nothing_is_none(fields: object):
    assert logprobs_in(fields, "yes") is None
    assert logprobs_in({"content": [said("no")]}, "yes") is None
    assert logprobs_in({"content": [said("no")]}, "") is None


def test_between_the_names_of_labels_only_that_there_was_doubt_is_kept():
    content = [said("Not"), said(" sure", 0.5), said(" at", 0.5), said(" all:"), said(" not", 0.5)]
    content += [
        said(" Spam"),
        said("\n", 0.6, me=0.4),
        said("As", 0.3),
        said(" ham", 0.9, spam=0.1),
    ]
    text = "".join(token["token"] for token in content)
    kept = logprobs_in({"content": content}, text, ("not_spam", "ham"))
    assert kept is not None
    found = [(text[each.start : each.end], each.probability) for each in doubts_in(kept)]
    assert [words for words, _ in found] == [" sure at", " not", "\n", "As", " ham"]
    assert [probability is None for _, probability in found] == [True, False, False, True, False]
    nowhere = logprobs_in({"content": content}, text, ("other",))
    assert nowhere == [[3, len(text) - 3]]


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
)


@given(st.dictionaries(st.sampled_from(["content", "tokens", "token_logprobs"]), JSON), JSON)
def test_nothing_odd_costs_an_answer(fields: dict[str, Any], each: object):
    logprobs_in(fields, "yes")
    logprobs_in({"content": [{"token": "yes", "logprob": each, "top_logprobs": [each]}]}, "yes")


@given(st.text(min_size=1), st.data())
def test_any_parting_of_a_text_in_tokens_finds_its_characters(text: str, data: st.DataObject):
    raw = text.encode(errors="replace")
    cuts = sorted({0, len(raw), *data.draw(st.lists(st.integers(0, len(raw))))})
    content = [
        {"token": "", "bytes": [*raw[one:two]], "logprob": -1.0, "top_logprobs": []}
        for one, two in pairwise(cuts)
    ]
    kept = logprobs_in({"content": content}, text)
    assert kept is not None
    doubts = list(doubts_in(kept))
    assert "".join(text[each.start : each.end] for each in doubts) == text
    assert kept_logprobs(doubts) == kept
