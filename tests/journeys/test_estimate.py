"""What a run will cost is known before: in tokens, in money, at other models, rates and prompts."""

from pathlib import Path

import pytest

from tests.journeys.conftest import Annotate
from tests.journeys.money import with_prices

DEMO = ("demo", "--teacher", "simulated", "--samples", "400")


def test_a_probe_tells_within_3_percent_what_the_run_will_cost(
    annotate: Annotate, tmp_path: Path
) -> None:
    with_prices(tmp_path)
    before = annotate("estimate", *DEMO, "--probe", "100", "--json")
    assert before.code == 0, before.err
    run = annotate("run", *DEMO, "--json")
    after = annotate("estimate", *DEMO, "--json")

    said = before.json
    assert said["stored"] + said["to_ask"] == said["rows"] == 400
    assert said["stored"] == pytest.approx(100, abs=5)
    assert run.json["asked"] == said["to_ask"]  # what the probe asked is not paid for again
    assert run.json["cost_usd"] == pytest.approx(said["online_usd"]["likely"], rel=0.03)
    assert said["online_usd"]["low"] < said["online_usd"]["likely"] < said["online_usd"]["high"]
    assert said["batch_usd"]["likely"] == pytest.approx(said["online_usd"]["likely"] / 2)
    assert after.json["online_usd"] == {"low": 0, "likely": 0, "high": 0}
    assert (after.json["stored"], after.json["to_ask"]) == (400, 0)


def test_without_a_probe_it_is_a_guess_that_says_so_and_nobody_is_asked(
    annotate: Annotate, tmp_path: Path
) -> None:
    with_prices(tmp_path)
    done = annotate("estimate", *DEMO, "--requests-per-minute", "40")

    assert done.code == 0, done.err
    assert "400 rows: 400 requests to ask, 0 answered by the store (free)" in done.out
    assert "guessed: --probe 50 would tell (label-first)" in done.out
    assert "1 in, 4 out USD for 1M tokens (made up, since 2026-01-01), as of 20" in done.out
    assert "online at least 10 min 00 s at these limits" in done.out
    assert not (tmp_path / "runs" / "store").exists()


@pytest.mark.slow
def test_metadata_of_an_experiment_tells_the_length_of_answers(
    annotate: Annotate, tmp_path: Path
) -> None:
    with_prices(tmp_path)
    annotate("experiment", "demo", "--teacher", "simulated", "--test-size", "30")
    done = annotate("estimate", *DEMO, "--store", "another", "--templates", "all", "--json")

    said = done.json
    assert said["lines"][0]["basis"] == "by 30 answers in metadata.yaml"
    by_template = {
        each["name"]: each["online_usd"]["likely"] for each in said["variants"]["template"]
    }
    assert by_template.keys() == {"label-first", "reason-first", "plain-sentence"}
    assert min(by_template, key=lambda name: by_template[name]) == "plain-sentence"


def test_models_and_rates_are_compared(annotate: Annotate, tmp_path: Path) -> None:
    mix = tmp_path / "apart.yaml"
    mix.write_text("label: {label-first: 1}\nrationale: {reason-first: 1}\n")
    words = ("--compare", "gpt-4o-mini", "--rationale-rates", "0,0.5,1", "--mix", mix, "--json")
    done = annotate("estimate", "demo", "--teacher", "gpt-6-luna", *words)

    variants = done.json["variants"]
    luna, mini = (each["online_usd"]["likely"] for each in variants["model"])
    assert luna < mini
    asked = [each["to_ask"] for each in variants["rationale rate"]]
    assert asked[0] == 1200
    assert asked[1] == pytest.approx(1800, rel=0.05)
    assert asked[2] == 2400


@pytest.mark.slow
def test_few_shot_is_compared_at_the_same_price(annotate: Annotate, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text(
        '{"id": "1", "question": "Where do fish live?", "choices": ["sea", "sky", "oven", "sun", '
        '"hat"], "answer": "sea"}\n'
    )
    done = annotate(
        "estimate", "cqa", "--data", rows, "--teacher", "gpt-6-luna", "--few-shot", "--json"
    )
    few = done.json["few_shot"]

    assert few["shots"] == 7
    zero, shown = few["zero_shot"], few["few_shot_with_zero_shot_answers"]
    assert zero["answer_tokens"] == pytest.approx(shown["answer_tokens"])
    assert shown["prompt_tokens"]["likely"] > 5 * zero["prompt_tokens"]["likely"]
    assert 0 < few["saved_with_equal_answers"] < 1
    shown = annotate("estimate", "cqa", "--data", rows, "--teacher", "gpt-6-luna", "--few-shot")
    assert "less where all answers are equally long: less than the 85 % claimed" in shown.out
    drawn = annotate("plots", "--out", "figures", "--task", "cqa", "--json")
    assert list(drawn.json["figures"]) == ["few-shot-costs"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("--teacher", "mine", "--base-url", "http://localhost:1/v1"),
            "no price is known for mine",
        ),
        (("--teacher", "gpt-6-luna", "--compare", "nobody"), "no price is known for nobody"),
        (("--teacher", "gpt-6-luna", "--rationale-rates", "2"), "shares from 0 to 1"),
        (("--teacher", "gpt-6-luna", "--few-shot"), "few-shot.yaml: not found"),
        (("--teacher", "gpt-6-luna", "--prices", "none.yaml"), "none.yaml: cannot be read"),
    ],
)
def test_what_cannot_be_priced_is_said_in_one_line(
    annotate: Annotate, words: tuple[str, ...], said: str
) -> None:
    done = annotate("estimate", "demo", *words)

    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--compare", "nobody"), "no price is known for nobody"),
        (("--templates", "nothing"), "task demo has no template nothing"),
        (("--rationale-rates", "2"), "shares from 0 to 1"),
        (("--few-shot",), "few-shot.yaml: not found"),
    ],
)
def test_a_probe_is_not_paid_for_where_the_estimate_is_refused(
    annotate: Annotate, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    with_prices(tmp_path)
    done = annotate("estimate", *DEMO, "--probe", "10", *words)

    assert done.code == 2
    assert said in done.err
    assert not (tmp_path / "runs" / "store").exists()


def test_the_teacher_among_the_compared_is_listed_once(annotate: Annotate, tmp_path: Path) -> None:
    with_prices(tmp_path)
    done = annotate("estimate", *DEMO, "--compare", "simulated,gpt-4o-mini", "--json")

    assert [each["name"] for each in done.json["variants"]["model"]] == ["simulated", "gpt-4o-mini"]
