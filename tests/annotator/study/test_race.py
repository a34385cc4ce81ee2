"""A race asks little, stops the poor, keeps the good, and says how sure it is."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepdistill.annotator.study.race import Correct, Race, RaceRules, run_race, stop_risks

Outcomes = dict[str, list[bool]]


def planted(seed: int, qualities: Sequence[float], n_rows: int) -> Outcomes:
    """Templates of these accuracies, over rows that are easy or hard for all of them."""
    chance = random.Random(seed)
    shift = [chance.choice((-0.3, 0.0, 0.3)) for _ in range(n_rows)]
    return {
        f"t{n}": [chance.random() < quality + each for each in shift]
        for n, quality in enumerate(qualities)
    }


def raced(outcomes: Outcomes, rules: RaceRules | None = None) -> tuple[Race, list[tuple[str, int]]]:
    """The race, and everything that it asked for: template and rows."""
    asked: list[tuple[str, int]] = []

    def ask(names: Sequence[str], rows: int) -> dict[str, Correct]:
        asked.extend((name, rows) for name in names)
        return {name: outcomes[name][:rows] for name in names}

    n_rows = len(next(iter(outcomes.values())))
    return run_race(list(outcomes), n_rows, rules or RaceRules(), ask), asked


def best_of(outcomes: Outcomes) -> int:
    return max(map(sum, outcomes.values()))


def test_one_good_template_among_forty_is_found_for_two_fifths_of_the_answers() -> None:
    qualities = [0.5] * 39 + [0.7]
    found = 0
    for seed in range(40):
        outcomes = planted(seed, qualities, 80)
        race, _ = raced(outcomes)
        assert race.share <= 0.4
        found += best_of(outcomes) - sum(outcomes[race.finalists[0]]) <= 0.02 * 80
    assert found >= 38


def test_the_stated_chance_is_about_how_often_a_better_one_was_stopped() -> None:
    missed, stated = 0, 0.0
    for seed in range(150):
        chance = random.Random(1000 + seed)
        outcomes = planted(seed, [0.6 + chance.gauss(0, 0.04) for _ in range(40)], 60)
        race, _ = raced(outcomes)
        missed += best_of(outcomes) - sum(outcomes[race.finalists[0]]) > 1
        stated += race.error
    assert 0.4 * stated <= missed <= 2.5 * stated
    assert stated / 150 < 0.2


def test_a_smaller_error_costs_more_answers_and_a_share_of_all_leaves_no_doubt() -> None:
    outcomes = planted(3, [0.6] * 30, 60)
    careless, _ = raced(outcomes, RaceRules(error=1.0))
    careful, _ = raced(outcomes, RaceRules(error=0.01, share=1.0))
    certain, _ = raced(outcomes, RaceRules(error=0.0, share=1.0))
    assert careless.share < careful.share <= certain.share
    assert careful.error <= 0.01
    assert certain.error == 0
    assert sum(outcomes[certain.finalists[0]]) == best_of(outcomes) or certain.share < 1


def test_templates_are_asked_the_same_rows_in_waves_of_fewer_templates() -> None:
    _, asked = raced(planted(1, [0.5] * 20 + [0.8], 100), RaceRules(error=1.0))
    waves: dict[int, int] = {}
    for _, rows in asked:
        waves[rows] = waves.get(rows, 0) + 1
    assert waves == {16: 21, 32: 10, 56: 5, 100: 3}


@given(
    n_templates=st.integers(1, 12),
    n_rows=st.integers(1, 30),
    seed=st.integers(0, 1000),
    error=st.floats(0, 1),
    share=st.floats(0, 1),
)
@settings(max_examples=100)
def test_any_race_ends_with_a_finalist_and_every_template_accounted_for(
    n_templates: int, n_rows: int, seed: int, error: float, share: float
) -> None:
    outcomes = planted(seed, [0.5] * n_templates, n_rows)
    race, _ = raced(outcomes, RaceRules(error=error, share=share))
    assert race.correct.keys() == outcomes.keys()
    assert sorted([*race.finalists, *race.stopped]) == sorted(outcomes)
    assert race.finalists
    assert 0 <= race.error <= 1
    assert 0 < race.share <= 1
    for name, correct in race.correct.items():
        assert correct == outcomes[name][: len(correct)]


@pytest.mark.parametrize(
    ("correct", "low", "high"),
    [
        ([True] * 10, 0.2, 1.0),  # did as well as the best, so far
        ([False] * 10, 0.0, 0.001),
    ],
)
def test_the_risk_is_large_for_a_good_start_and_small_for_a_poor_one(
    correct: list[bool], low: float, high: float
) -> None:
    chance = random.Random(4)
    field = {f"f{n}": [chance.random() < 0.5 for _ in range(10)] for n in range(20)}
    whole = {"best": [True] * 10 + [False, True] * 15}
    found = stop_risks({**whole, **field, "it": correct}, 40, 0)
    assert low <= found["it"] <= high


def test_there_is_no_risk_where_everything_was_asked() -> None:
    assert stop_risks({"a": [True, False], "b": [False, False]}, 2, 0) == {}
