"""The share of right labels, its interval, and how many more judgements would halve it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepdistill.annotator.audit.estimate import JudgedStratum, estimate
from stepdistill.annotator.audit.findings import cohens_kappa
from stepdistill.common.intervals import wilson


@st.composite
def _strata(draw: st.DrawFn) -> list[JudgedStratum]:
    found: list[JudgedStratum] = []
    for _ in range(draw(st.integers(1, 9))):
        rows = draw(st.integers(1, 10_000))
        judged = draw(st.integers(0, min(rows, 200)))
        found.append(JudgedStratum(rows=rows, judged=judged, right=draw(st.integers(0, judged))))
    return found


@given(_strata())
def test_an_interval_holds_its_share_within_0_and_1(strata: list[JudgedStratum]) -> None:
    found = estimate(strata)
    judged = sum(each.judged for each in strata)
    if found is None:
        assert judged == 0
        return
    assert 0 <= found.low <= found.share + 1e-9 and found.share - 1e-9 <= found.high <= 1
    left = sum(each.rows for each in strata) - judged
    assert found.judged == judged
    assert found.halving is None if left == 0 else 0 < (found.halving or 0) <= left


def test_one_large_stratum_is_nearly_wilsons() -> None:
    found = estimate([JudgedStratum(rows=10**7, judged=200, right=150)])
    assert found is not None
    low, high = wilson(150, 200)
    assert found.low == pytest.approx(low, abs=0.004)
    assert found.high == pytest.approx(high, abs=0.004)


def test_all_right_is_not_taken_for_certain() -> None:
    found = estimate(
        [JudgedStratum(rows=900, judged=50, right=50), JudgedStratum(rows=100, judged=10, right=10)]
    )
    assert found is not None
    assert found.share == found.high == 1.0 and 0.88 < found.low < 0.97


def test_where_all_rows_are_judged_nothing_is_left_open() -> None:
    found = estimate(
        [JudgedStratum(rows=9, judged=9, right=8), JudgedStratum(rows=1, judged=1, right=0)]
    )
    assert found is not None
    assert (found.low, found.high, found.halving) == (0.8, 0.8, None)


def test_rows_of_a_stratum_without_judgement_count_as_their_neighbours() -> None:
    one, other = (
        JudgedStratum(rows=50, judged=5, right=4),
        JudgedStratum(rows=70, judged=6, right=1),
    )
    empty = JudgedStratum(rows=30, judged=0, right=0)
    found = estimate([empty, one, other])
    assert found == estimate([JudgedStratum(rows=80, judged=5, right=4), other])
    assert estimate([one, empty, other]) == found


def test_so_many_more_do_halve_it() -> None:
    few = estimate([JudgedStratum(rows=10**6, judged=100, right=80)])
    assert few is not None and few.halving is not None
    n = 100 + few.halving
    many = estimate([JudgedStratum(rows=10**6, judged=n, right=round(0.8 * n))])
    assert many is not None
    assert many.width == pytest.approx(few.width / 2, rel=0.05)


def test_kappa_as_published() -> None:
    # The example of the article on Cohen's kappa: 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no.
    pairs = [("yes", "yes")] * 20 + [("yes", "no")] * 5 + [("no", "yes")] * 10 + [("no", "no")] * 15
    assert cohens_kappa(pairs) == pytest.approx(0.4)
    assert cohens_kappa([("right", "right")] * 7) is None
    assert cohens_kappa([("a", "b"), ("b", "a")]) == -1.0
