"""A race of contenders with prices: what is bought, what is left out, and how sure that is said."""

import random
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from stepdistill.annotator.study.tournament.draws import BuyRule, RowResults
from stepdistill.annotator.study.tournament.elimination import Elimination, TournamentRules

World = Mapping[str, tuple[float, float | None]]  # name -> accuracy, USD for a row


def raced(
    world: World, seed: int, n_rows: int, rules: TournamentRules | None = None
) -> tuple[Elimination, dict[str, int]]:
    """The race, and how many rows of each were asked in all."""
    chance = random.Random(seed)
    right = {
        name: [chance.random() < accuracy for _ in range(n_rows)]
        for name, (accuracy, _) in world.items()
    }
    asked = dict.fromkeys(world, 0)

    def ask(names: Sequence[str], rows: int) -> dict[str, RowResults]:
        for name in names:
            assert rows > asked[name] or rules is not None
            asked[name] = rows
        return {name: results(right[name][:rows], world[name][1]) for name in names}

    race = Elimination(
        n_rows=n_rows, rules=rules or TournamentRules(seed=seed), running=list(world)
    )
    race.run(ask)
    return race, asked


def results(correct: list[bool], usd: float | None) -> RowResults:
    return RowResults(correct=correct, usd=None if usd is None else [usd] * len(correct))


CLEAR: World = {
    **{f"small/{n}": (0.6 - 0.05 * n, 0.0001) for n in range(3)},
    **{f"middle/{n}": (0.75 - 0.05 * n, 0.001) for n in range(3)},
    **{f"large/{n}": (0.92 - 0.05 * n, 0.01) for n in range(3)},
}


def test_the_clearly_best_is_bought_for_two_fifths_of_the_cost() -> None:
    races = [raced(CLEAR, seed, 600)[0] for seed in range(12)]
    assert sum(race.buy == "large/0" for race in races) >= 11
    assert all(race.share <= 0.4 for race in races)
    assert all(race.left_out_risk <= 0.05 for race in races)


def test_of_equally_good_ones_the_cheap_one_is_bought() -> None:
    world: World = {"cheap": (0.9, 0.001), "dear": (0.9, 0.02), "poor": (0.5, 0.001)}
    rules = TournamentRules(buy=BuyRule(margin=0.06), share=1.0)
    bought = [raced(world, seed, 600, rules)[0].buy for seed in range(10)]
    assert bought.count("cheap") >= 9


def test_what_costs_no_less_and_is_worse_is_left_out_and_what_is_cheap_is_not() -> None:
    world: World = {"cheap": (0.6, 0.0001), "dear": (0.7, 0.01), "dear and poor": (0.5, 0.01)}
    race, asked = raced(world, 1, 600, TournamentRules(share=1.0))
    assert race.left_out == ["dear and poor"]
    assert asked["dear and poor"] < asked["cheap"] == asked["dear"]


def test_a_label_that_is_worth_little_is_bought_cheaply() -> None:
    world: World = {"cheap": (0.7, 0.0001), "dear": (0.9, 0.01)}

    def buys(worth_usd: float) -> str:
        buy = BuyRule(worth_usd=worth_usd)
        return raced(world, 1, 400, TournamentRules(buy=buy, share=1.0))[0].buy

    assert (buys(0.01), buys(1.0)) == ("cheap", "dear")


def test_an_unknown_price_is_neither_bought_in_place_of_a_known_one_nor_left_out_for_it() -> None:
    world: World = {"known": (0.85, 0.01), "unknown": (0.86, None), "both": (0.5, None)}
    rules = TournamentRules(buy=BuyRule(margin=0.1), share=1.0)
    race, asked = raced(world, 2, 400, rules)
    assert race.buy == "known"
    assert asked["unknown"] == asked["known"] > asked["both"]


def test_a_teacher_that_fails_is_forgotten_and_the_others_race_on() -> None:
    def ask(names: Sequence[str], rows: int) -> dict[str, RowResults]:
        fails = {"b"} if rows > 20 else set[str]()
        return {name: results([True] * rows, 0.01) for name in names if name not in fails}

    race = Elimination(n_rows=100, rules=TournamentRules(), running=["a", "b", "c"])
    race.run(ask)
    assert race.results.keys() == {"a", "c"}
    assert race.buy in {"a", "c"}


def test_without_a_race_everybody_is_asked_everything_at_once() -> None:
    race, asked = raced(CLEAR, 5, 50, TournamentRules(all_rows=True))
    assert set(asked.values()) == {50}
    assert race.share == pytest.approx(1.0)
    assert (race.left_out, race.left_out_risk) == ([], 0.0)


@pytest.mark.parametrize("n_rows", [1, 2, 15, 17])
def test_few_rows_make_a_race_that_ends(n_rows: int) -> None:
    race, _ = raced(CLEAR, 1, n_rows)
    assert race.buy in CLEAR
    assert 0 <= race.doubt <= 1


def test_what_is_free_is_raced_by_answers_and_beside_what_is_not_by_dollars() -> None:
    free: World = {name: (accuracy, 0.0) for name, (accuracy, _) in CLEAR.items()}
    assert raced(free, 1, 300)[0].share <= 0.4
    mixed: World = {**CLEAR, "free": (0.3, 0.0)}
    race, asked = raced(mixed, 1, 300)
    assert (race.buy, asked["free"]) == ("large/0", race.rows)


def test_the_same_seed_plays_the_same_race() -> None:
    one, other = (raced(CLEAR, 7, 200)[0] for _ in range(2))
    assert (one.buy, one.doubt, one.left_out_risk) == (other.buy, other.doubt, other.left_out_risk)
    assert np.array_equal(one.draws, other.draws)
