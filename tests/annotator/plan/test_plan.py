"""A plan says for every row who is asked what, the same on every pass."""

from pathlib import Path
from typing import Any, cast

import pytest

from stepdistill.annotator.dataset.sources import open_source
from stepdistill.annotator.plan.model_options import ModelOptions
from stepdistill.annotator.plan.plan import Plan
from stepdistill.annotator.prompt.mix import Mix, single
from stepdistill.annotator.prompt.template import Template
from tests.annotator.dataset.made import RAW, a_task, write_rows
from tests.annotator.made import ENDPOINT, a_request

TEMPLATES = {
    "plain": Template(id="plain", user="{text}"),
    "long": Template(id="long", system="Be kind to {text}.", user="{text}?", options={"seed": 1}),
}
HALVES = {"plain": 0.5, "long": 0.5}
APART = Mix(label={"plain": 1.0}, rationale={"long": 1.0})


def a_plan(folder: Path, mix: Mix, **changes: Any) -> Plan:
    task = a_task(id="uid")
    source = open_source(task, str(write_rows(folder / "train.jsonl", RAW)), "train")
    parts: dict[str, Any] = {
        "task": task,
        "split": "train",
        "source": source,
        "samples": None,
        "mix": mix,
        "templates": TEMPLATES,
        "model": "any-model",
        "endpoint": ENDPOINT,
    }
    return Plan(**{**parts, **changes})


def test_a_template_filled_with_a_row_is_what_is_asked(tmp_path: Path):
    first = next(a_plan(tmp_path, single("long")).rows())

    text = RAW[0]["text"]
    system, user = f"Be kind to {text}.", f"{text}?"
    assert first.label == a_request(user, system=system, options={"seed": 1})


def test_label_and_rationale_of_one_template_are_one_request(tmp_path: Path):
    plan = a_plan(tmp_path, single("plain"))

    assert [row.requests for row in plan.rows()] == [(row.label,) for row in plan.rows()]
    assert all(row.rationale is row.label for row in plan.rows())
    assert not plan.asks_twice


def test_label_and_rationale_of_two_templates_are_two_requests(tmp_path: Path):
    plan = a_plan(tmp_path, APART)

    assert all(len(row.requests) == 2 for row in plan.rows())
    assert plan.asks_twice


def test_only_who_names_a_label_is_asked_how_probable_it_is(tmp_path: Path):
    options = ModelOptions().with_logprobs(5)
    row = next(a_plan(tmp_path, APART, options=options).rows())
    asked = a_plan(tmp_path, APART).rows()

    told = {"logprobs": True, "top_logprobs": 5}
    assert told.items() <= row.label.body.items()
    assert row.rationale == next(asked).rationale  # the reasons keep their key


def test_without_rationales_one_request_is_made(tmp_path: Path):
    plan = a_plan(tmp_path, Mix(label=HALVES))

    assert all(row.rationale is None and len(row.requests) == 1 for row in plan.rows())
    assert not plan.asks_twice


@pytest.mark.parametrize(("samples", "n"), [(None, 3), (2, 2), (0, 0), (99, 3)])
def test_it_knows_how_many_rows_there_are_and_counts_the_same(
    tmp_path: Path, samples: int | None, n: int
):
    plan = a_plan(tmp_path, single("plain"), samples=samples)

    assert plan.count_rows() == n == len(list(plan.rows()))


def test_two_passes_are_the_same(tmp_path: Path):
    plan = a_plan(tmp_path, Mix(label=HALVES, rationale=HALVES))

    assert list(plan.rows()) == list(plan.rows())


def test_the_prompts_hash_follows_what_is_used_and_nothing_else(tmp_path: Path):
    plan = a_plan(tmp_path, single("plain"))
    unused = {**TEMPLATES, "long": Template(id="long", user="other")}
    edited = {**TEMPLATES, "plain": Template(id="plain", user="{text}!")}

    same = a_plan(tmp_path, single("plain"), templates=unused)
    assert same.prompts_hash == plan.prompts_hash
    for other in (a_plan(tmp_path, single("plain"), templates=edited), a_plan(tmp_path, APART)):
        assert other.prompts_hash != plan.prompts_hash


def test_the_task_hash_follows_the_task(tmp_path: Path):
    plan = a_plan(tmp_path, single("plain"))

    assert plan.task_hash == a_plan(tmp_path, APART).task_hash
    assert plan.task_hash != a_plan(tmp_path, APART, task=a_task(title="another")).task_hash


def test_votes_ask_the_label_s_question_again_as_other_samples(tmp_path: Path):
    plan = a_plan(tmp_path, APART, votes=3)

    first = next(plan.rows())
    text = RAW[0]["text"]
    assert first.votes == tuple(a_request(text, sample=sample) for sample in (1, 2))
    assert len({request.key for request in first.requests}) == len(first.requests) == 4
    assert plan.asks_twice


def test_a_structured_template_asks_for_an_object(tmp_path: Path):
    templates = {"plain": Template(id="plain", user="{text}", structured=True)}
    plan = a_plan(tmp_path, single("plain"), templates=templates)

    body = next(plan.rows()).label.body
    assert cast(Any, body["response_format"])["type"] == "json_schema"
    left_out = a_plan(
        tmp_path,
        single("plain"),
        templates=templates,
        options=ModelOptions(leave_out=["response_format"]),
    )
    assert "response_format" not in next(left_out.rows()).label.body


def test_uniform_numbers_decide_who_is_asked_for_reasons_of_their_own(tmp_path: Path):
    plan = a_plan(tmp_path, APART)
    numbers = [plan.uniform(planned.row) for planned in plan.rows()]
    middle = sorted(numbers)[1]

    some = a_plan(tmp_path, APART, rationales_below=middle)
    asked = [planned.rationale is not None for planned in some.rows()]
    assert asked == [number < middle for number in numbers]
    assert 0 <= min(numbers) < max(numbers) < 1
