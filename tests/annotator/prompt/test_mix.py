"""A mix keeps its shares on every prefix, joins label and rationale, and moves nobody later."""

from collections import Counter
from itertools import islice
from math import lcm
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from stepdistill.annotator.prompt.mix import (
    Assignment,
    Mix,
    assign,
    check_templates,
    load_mix,
    single,
)
from stepdistill.common.errors import PromptError
from tests.annotator.prompt.made import prompts_folder

ROWS = 300
HALVES = "{label: {plain: 0.5, long: 0.5}}"


@st.composite
def shares(draw: st.DrawFn) -> dict[str, float]:
    """Shares of one to four templates; some of them may be nothing."""
    parts = draw(st.lists(st.integers(0, 20), min_size=1, max_size=4).filter(any))
    return {name: part / sum(parts) for name, part in zip("abcd", parts, strict=False)}


def as_shares(parts: list[int]) -> dict[str, float]:
    return {name: part / sum(parts) for name, part in zip("abcde", parts, strict=False)}


MIXES = st.builds(
    Mix, seed=st.integers(0, 99), label=shares(), rationale=st.just(dict[str, float]()) | shares()
)


def drawn(mix: Mix, rows: int = ROWS) -> list[Assignment]:
    return list(islice(assign(mix), rows))


@given(MIXES)
@settings(max_examples=60)
def test_on_every_prefix_each_pair_is_within_one_row_of_its_share(mix: Mix):
    far = Counter(drawn(mix, 5000))
    taken: Counter[Assignment] = Counter()
    for rows, pair in enumerate(drawn(mix), start=1):
        taken[pair] += 1
        for each, count in far.items():
            # The share itself, known from a far larger draw to within one row of it.
            assert abs(taken[each] - rows * count / 5000) <= 1 + ROWS / 5000 + 1e-6


@given(MIXES)
@settings(max_examples=60)
def test_each_template_gets_its_share_of_labels_and_of_rationales(mix: Mix):
    pairs = drawn(mix)
    labels = Counter(pair.label for pair in pairs)
    rationales = Counter(pair.rationale for pair in pairs)

    # Some pairs make one template's rows up, each within one row.
    for name, share in mix.label.items():
        assert abs(labels[name] - share * ROWS) <= 4 + 1e-6
    for name, share in mix.rationale.items():
        assert abs(rationales[name] - share * ROWS) <= 4 + 1e-6
    assert labels.keys() <= mix.templates
    assert rationales.keys() <= (mix.templates if mix.rationale else {None})


@given(label=shares(), rationale=shares())
@settings(max_examples=60)
def test_label_and_rationale_share_a_template_as_often_as_the_shares_allow(
    label: dict[str, float], rationale: dict[str, float]
):
    most = sum(min(share, rationale.get(name, 0.0)) for name, share in label.items())
    pairs = drawn(Mix(label=label, rationale=rationale))

    same = sum(pair.label == pair.rationale for pair in pairs)
    assert abs(same - most * ROWS) <= 4 + 1e-6


@given(
    label=st.lists(st.integers(0, 20), min_size=1, max_size=5).filter(any),
    rationale=st.lists(st.integers(0, 20), min_size=1, max_size=5).filter(any),
    seed=st.integers(0, 99),
)
@settings(max_examples=100)
def test_shares_and_overlap_are_exact_where_the_rows_can_be_divided_so(
    label: list[int], rationale: list[int], seed: int
):
    rows = lcm(sum(label), sum(rationale))
    mix = Mix(seed=seed, label=as_shares(label), rationale=as_shares(rationale))
    pairs = drawn(mix, rows)

    for parts, found in (
        (label, Counter(pair.label for pair in pairs)),
        (rationale, Counter(pair.rationale for pair in pairs)),
    ):
        assert found == {
            n: part * rows // sum(parts) for n, part in zip("abcde", parts, strict=False) if part
        }
    most = sum(
        min(one * rows // sum(label), other * rows // sum(rationale))
        for one, other in zip(label, rationale, strict=False)
    )
    assert sum(pair.label == pair.rationale for pair in pairs) == most


@given(mix=MIXES, few=st.integers(0, 50), more=st.integers(0, 50))
def test_adding_rows_moves_nobody_and_a_seed_draws_the_same_again(mix: Mix, few: int, more: int):
    assert drawn(mix, few + more)[:few] == drawn(mix, few)


def test_seeds_differ():
    halves = {"a": 0.5, "b": 0.5}
    draws = {tuple(drawn(Mix(seed=seed, label=halves), 40)) for seed in range(10)}

    assert len(draws) > 5


def test_equal_shares_do_not_fall_into_step_with_the_rows():
    labels = [pair.label for pair in drawn(Mix(label={"a": 0.5, "b": 0.5}), 200)]

    assert 20 < labels[::2].count("a") < 80


def test_a_mix_without_rationales_asks_for_none():
    assert {pair.rationale for pair in drawn(Mix(label={"a": 0.3, "b": 0.7}))} == {None}


def test_one_template_gives_both_parts_of_every_row():
    assert set(drawn(single("a"))) == {Assignment(label="a", rationale="a")}


@pytest.mark.parametrize(
    ("label", "rationale"),
    [
        ({"a": 0.5}, {}),
        ({"a": 0.5, "b": 0.6}, {}),
        ({"a": 1.0}, {"a": 0.9}),
        ({"a": 1.5, "b": -0.5}, {}),
        ({"a": float("nan")}, {}),
        ({}, {"a": 1.0}),
    ],
)
def test_shares_that_are_none_are_refused(label: dict[str, float], rationale: dict[str, float]):
    with pytest.raises(ValidationError):
        Mix(label=label, rationale=rationale)


def test_a_mix_is_found_by_name_and_by_path(tmp_path: Path):
    prompts = prompts_folder(tmp_path / "prompts", halves=HALVES)
    path = tmp_path / "mine.yaml"
    path.write_text("{seed: 3, label: {plain: 1}, rationale: {long: 1}}")

    assert load_mix(prompts, "sums", "halves") == Mix(label={"plain": 0.5, "long": 0.5})
    assert load_mix(prompts, "sums", str(path)).seed == 3


def test_a_mix_that_is_missing_is_told_which_there_are(tmp_path: Path):
    prompts = prompts_folder(tmp_path, halves=HALVES, default=HALVES)

    with pytest.raises(PromptError, match=r"no mix .*other\.yaml .*sums: default, halves"):
        load_mix(prompts, "sums", "other")
    with pytest.raises(PromptError, match=r"no mix mine\.yaml"):
        load_mix(prompts, "sums", "mine.yaml")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{label: {plain: 0.5}}", "the label shares sum to 0.5, not to 1"),
        ("{label: {plain: 1}, rationale: {plain: 2}}", "the rationale shares sum to 2"),
        ("{label: {plain: half}}", "`label.plain`"),
        ("{labels: {plain: 1}}", "label"),
        ("{label: ", "not YAML"),
    ],
)
def test_a_wrong_mix_file_is_named_with_what_is_wrong(tmp_path: Path, text: str, says: str):
    prompts = prompts_folder(tmp_path, wrong=text)

    with pytest.raises(PromptError) as refused:
        load_mix(prompts, "sums", "wrong")

    assert "wrong.yaml" in str(refused.value)
    assert says in str(refused.value)


def test_a_template_that_the_task_lacks_is_named_with_those_it_has():
    mix = Mix(label={"plain": 0.5, "short": 0.5}, rationale={"long": 1.0})

    check_templates(mix.templates, {"plain", "short", "long"}, "sums")
    with pytest.raises(PromptError, match=r"no template short \(has: long, plain\)"):
        check_templates(mix.templates, {"plain", "long"}, "sums")


def test_a_template_without_a_share_is_not_needed():
    check_templates(Mix(label={"plain": 1.0, "gone": 0.0}).templates, {"plain"}, "sums")
