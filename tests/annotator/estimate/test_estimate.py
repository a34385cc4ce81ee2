"""An estimate is its work at its price: what is stored is free, what is not known has a range."""

from decimal import Decimal
from typing import Any

import pytest

from stepdistill.annotator.estimate.estimate import GUESS, Estimate, Expected, Terms, estimate
from stepdistill.annotator.estimate.three_points import ThreePoints
from stepdistill.annotator.estimate.workload import (
    AnswerLengths,
    PromptSample,
    RequestLoad,
    Workload,
)
from stepdistill.annotator.money.prices import Price
from stepdistill.annotator.store.answer import Usage
from stepdistill.annotator.teacher.spec import RateLimits
from tests.annotator.study.made import a_score


def a_price(prompt: str, completion: str) -> Price:
    of_prompt, of_answer = Decimal(prompt), Decimal(completion)
    return Price(
        prompt=of_prompt,
        completion=of_answer,
        cached=of_prompt,
        written=of_prompt,
        source="made up",
    )


def some_work(**changes: Any) -> Workload:
    """100 requests of 50 tokens, 60 characters each; 40 more are stored."""
    sample = PromptSample()
    for _ in range(100):
        sample.add(tokens=50, n_bytes=60)
    load = RequestLoad(stored=40, to_ask=100, bytes=6_000, characters=6_000, sample=sample)
    return Workload(encoding="cl100k_base", rows=140, loads={("plain", "both"): load}, **changes)


def some_terms(**changes: Any) -> Terms:
    parts: dict[str, Any] = {
        "model": "m",
        "online": a_price("0.01", "0.02"),
        "batch": a_price("0.005", "0.01"),
        "limits": RateLimits(),
        "max_tokens": 100,
        "scores": {},
    }
    return Terms(**{**parts, **changes})


def an_estimate(work: Workload, **limits: float) -> Estimate:
    expected = Expected(ThreePoints(10, 20, 40), "made up")
    return estimate(work, some_terms(limits=RateLimits(**limits), otherwise=expected))


def test_cost_is_tokens_at_the_price_and_what_is_stored_is_free():
    found = an_estimate(some_work())

    assert (found.work.rows, found.work.stored, found.work.to_ask) == (140, 40, 100)
    assert found.online_usd == pytest.approx((50 + 20, 50 + 40, 50 + 80))
    assert found.batch_usd == pytest.approx((35, 45, 65))
    assert found.most_usd == pytest.approx(50 + 200)


def test_repeated_requests_are_paid_for_once():
    found = an_estimate(some_work(repeated=50))

    assert found.work.to_ask == 50
    assert found.online_usd.likely == pytest.approx(45)


def test_time_is_that_of_the_tighter_limit():
    assert an_estimate(some_work()).online_s is None
    assert an_estimate(some_work(), requests_per_minute=50).online_s == 120
    # a request counts what it may answer, 100 tokens, as that is more than its prompt
    found = an_estimate(some_work(), requests_per_minute=50, tokens_per_minute=1_000)
    assert found.online_s == 600


def expected(answers: int = 0, **changes: Any) -> tuple[ThreePoints, str]:
    given = AnswerLengths()
    for n in range(answers):
        given.add(Usage(prompt=1, completion=90 + 20 * (n % 2)))
    return some_terms(**{"max_tokens": 512, **changes}).expected("plain", given)


def test_answers_in_the_store_tell_most():
    tokens, basis = expected(answers=100, scores={"plain": a_score()})

    assert (tokens.likely, basis) == (100, "by 100 answers in the store")
    assert 97 < tokens.low < 100 < tokens.high < 103


def test_a_few_answers_tell_less_than_the_metadata():
    tokens, basis = expected(answers=3, scores={"plain": a_score(rows=100)})

    assert (tokens.likely, basis) == (10, "by 100 answers in metadata.yaml")


def test_without_either_it_is_a_guess_that_says_so_and_no_answer_is_longer_than_allowed():
    assert expected() == (GUESS, "guessed: --probe 50 would tell")
    assert expected(max_tokens=60)[0] == ThreePoints(8, 55, 60)
