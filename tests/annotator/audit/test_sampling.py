"""Rows are chosen at random within strata, the same on every call; more of them hold the fewer."""

from statistics import fmean

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stepdistill.annotator.audit.estimate import JudgedStratum, estimate
from stepdistill.annotator.audit.sampling import Design, Floats, Signals, make_design

Bools = NDArray[np.bool_]
_LABELS = ("yes", "no", "maybe", "rare")


def a_population(n: int, seed: int = 0) -> tuple[Floats, list[str], Bools]:
    """Doubts, labels, and whether each label is right: the doubtful ones less often."""
    chance = np.random.default_rng(seed)
    doubt = chance.choice([0.15, 0.2, 0.3, 0.45, 0.6], n, p=[0.5, 0.2, 0.1, 0.1, 0.1])
    labels = [_LABELS[int(k)] for k in chance.choice(4, n, p=[0.5, 0.3, 0.17, 0.03])]
    return doubt, labels, chance.random(n) > 1.2 * doubt


def judged_as(design: Design, right: Bools) -> list[JudgedStratum]:
    of = design.of_row[design.order]
    return [
        JudgedStratum(
            rows=stratum.rows,
            judged=int((of == number).sum()),
            right=int(right[design.order][of == number].sum()),
        )
        for number, stratum in enumerate(design.strata)
    ]


@settings(deadline=None)
@given(
    n=st.integers(1, 400),
    wanted=st.integers(1, 500),
    seed=st.integers(0, 99),
    has_labels=st.booleans(),
)
def test_a_larger_choice_holds_the_smaller(
    n: int, wanted: int, seed: int, has_labels: bool
) -> None:
    doubt, labels, _ = a_population(n, seed)
    draws = np.random.default_rng(seed).random(n)
    given_labels = labels if has_labels else None
    small = make_design(doubt, given_labels, draws, wanted)
    large = make_design(doubt, given_labels, draws, wanted + 37)
    assert len(small.order) == min(n, wanted) == len(set(small.order.tolist()))
    assert large.order[: len(small.order)].tolist() == small.order.tolist()
    assert sum(stratum.rows for stratum in small.strata) == n
    assert all(taken <= s.rows for taken, s in zip(small.taken(), small.strata, strict=True))
    again = make_design(doubt, given_labels, draws, wanted)
    assert again.order.tolist() == small.order.tolist()


def test_every_row_of_a_stratum_has_the_same_chance() -> None:
    doubt, labels, _ = a_population(120)
    counts, chance, draws = np.zeros(120), np.random.default_rng(1), 4_000
    for _ in range(draws):
        design = make_design(doubt, labels, chance.random(120), 40)
        counts[design.order] += 1
    design = make_design(doubt, labels, chance.random(120), 40)
    for number, (stratum, taken) in enumerate(zip(design.strata, design.taken(), strict=True)):
        shares = counts[design.of_row == number] / draws
        expected = taken / stratum.rows
        assert abs(shares - expected).max() < 5 * (0.25 / draws) ** 0.5


@pytest.mark.parametrize("n", [40, 100])
def test_estimates_are_unbiased_and_their_intervals_cover(n: int) -> None:
    doubt, labels, right = a_population(800)
    chance, draws = np.random.default_rng(2), 600
    found = [
        estimate(judged_as(make_design(doubt, labels, chance.random(800), n), right))
        for _ in range(draws)
    ]
    truth = float(right.mean())
    shares = [each.share for each in found if each is not None]
    assert len(shares) == draws
    # Five standard errors of the mean of so many draws.
    assert abs(fmean(shares) - truth) < 5 * float(np.std(shares)) / draws**0.5
    covered = fmean(each.low <= truth <= each.high for each in found if each is not None)
    assert 0.925 <= covered <= 0.985


def test_doubtful_rows_are_taken_more_often_and_none_is_left_out() -> None:
    doubt, _, _ = a_population(2_000)
    design = make_design(doubt, None, np.random.default_rng(3).random(2_000), 200)
    rates = [taken / s.rows for taken, s in zip(design.taken(), design.strata, strict=True)]
    assert 0 < rates[0] < rates[-1] < 2 * rates[0]


def test_what_makes_a_label_doubtful() -> None:
    sure = Signals(votes=1.0, templates=1.0, student=True, reader=1.0).doubt
    assert sure == Signals().doubt
    for less in (
        Signals(votes=0.6),
        Signals(templates=0.5),
        Signals(student=False),
        Signals(reader=0.7),
    ):
        assert less.doubt > sure
    assert Signals(votes=0.0, templates=0.0, student=False).doubt == 0.6
