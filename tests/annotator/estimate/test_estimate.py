"""An estimate is its work at its price: what is stored is free, what is not known has a range."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from stepdistill.annotator.estimate.estimate import Estimate, Terms, estimate
from stepdistill.annotator.estimate.expectations import Expectations
from stepdistill.annotator.estimate.span import Span
from stepdistill.annotator.estimate.workload import AnswerSample, RequestLoad, Workload
from stepdistill.annotator.money.prices import Price
from stepdistill.annotator.prompt.few_shot import load_few_shot
from stepdistill.annotator.prompt.task import load_task
from stepdistill.annotator.teacher.spec import RateLimits
from stepdistill.common.errors import PromptError
from tests.journeys.conftest import ROOT


def a_price(prompt: str, completion: str) -> Price:
    each, said = Decimal(prompt), Decimal(completion)
    return Price(prompt=each, completion=said, cached=each, written=each, source="made up")


def some_work(**changes: Any) -> Workload:
    """100 requests of 50 tokens, 60 characters each; 40 more are stored."""
    sample = AnswerSample()
    for _ in range(100):
        sample.add(tokens=50, n_bytes=60)
    load = RequestLoad(stored=40, to_ask=100, bytes=6_000, characters=6_000, sample=sample)
    return Workload(encoding="cl100k_base", rows=140, loads={("plain", "both"): load}, **changes)


def an_estimate(work: Workload, **limits: float) -> Estimate:
    terms = Terms(
        model="m",
        online=a_price("0.01", "0.02"),
        batch=a_price("0.005", "0.01"),
        expectations=Expectations(max_tokens=100, scores={}, without=(Span(10, 20, 40), "made up")),
        limits=RateLimits(**limits),
    )
    return estimate(work, terms)


def test_cost_is_tokens_at_the_price_and_what_is_stored_is_free():
    found = an_estimate(some_work())

    assert (found.rows, found.stored, found.to_ask) == (140, 40, 100)
    assert found.online_usd == pytest.approx((50 + 20, 50 + 40, 50 + 80))
    assert found.batch_usd == pytest.approx((35, 45, 65))
    assert found.most_usd == pytest.approx(50 + 200)


def test_repeated_requests_are_paid_for_once():
    found = an_estimate(some_work(twice=50))

    assert found.to_ask == 50
    assert found.online_usd.likely == pytest.approx(45)


def test_time_is_that_of_the_tighter_limit():
    assert an_estimate(some_work()).online_s is None
    assert an_estimate(some_work(), requests_per_minute=50).online_s == 120
    # a request counts what it may answer, 100 tokens, as that is more than its prompt
    found = an_estimate(some_work(), requests_per_minute=50, tokens_per_minute=1_000)
    assert found.online_s == 600


@pytest.mark.parametrize("task", ["cqa", "anli1"])
def test_the_few_shot_prompts_are_there_and_whole(task: str):
    spec = load_task(ROOT / "prompts", task)
    shown = load_few_shot(ROOT / "prompts" / task / "few-shot.yaml", spec)

    assert len(shown.shots) == 7
    assert shown.template.id == "few-shot-7"
    user = shown.template.user
    assert all(answer in user for answer in shown.answers)
    assert user.index(shown.answers[-1]) < user.index("{")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("question: '{nothing}'\nshots: [{fields: {}, rationale: r, label: l}]", "{nothing}"),
        ("question: '{question}'\nshots: []", "shots"),
        ("question: '{question}'\nshots: [{fields: {}, rationale: r, label: l}]", "shot 1 lacks"),
        (
            "question: '{question}'\nshots: [{fields: {question: '{x}'}, rationale: r, label: l}]",
            "shot 1 has a placeholder",
        ),
    ],
)
def test_examples_that_do_not_fit_the_task_are_refused(tmp_path: Path, text: str, said: str):
    path = tmp_path / "few-shot.yaml"
    path.write_text(text)

    with pytest.raises(PromptError, match=said):
        load_few_shot(path, load_task(ROOT / "prompts", "cqa"))


def test_a_few_shot_file_that_is_not_there_is_said(tmp_path: Path):
    with pytest.raises(PromptError, match="not found"):
        load_few_shot(tmp_path / "few-shot.yaml", load_task(ROOT / "prompts", "demo"))
