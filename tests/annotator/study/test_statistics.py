"""The formulas against published values, and against what must hold of any."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepdistill.annotator.study.ranking import PairedComparison, holm, mcnemar


@pytest.mark.parametrize(
    ("one", "other", "p"),
    [
        (0, 0, 1.0),
        (5, 5, 1.0),
        (0, 6, 0.03125),  # 2 / 2^6
        (1, 9, 0.021484375),  # 2 (1 + 10) / 2^10
        (6, 16, 0.05248),  # R: binom.test(6, 22)
        (9, 21, 0.04277),  # R: binom.test(9, 30)
    ],
)
def test_mcnemar_is_the_exact_sign_test(one: int, other: int, p: float) -> None:
    assert mcnemar(one, other) == pytest.approx(p, abs=1e-5)
    assert mcnemar(other, one) == mcnemar(one, other)


def test_holm_corrects_as_r_does() -> None:
    # R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=30))
def test_corrected_values_are_no_smaller_and_keep_their_order(p_values: list[float]) -> None:
    corrected = holm(p_values)
    assert all(p <= c <= 1 for p, c in zip(p_values, corrected, strict=True))
    by_p = [c for _, c in sorted(zip(p_values, corrected, strict=True))]
    assert by_p == sorted(by_p)


def paired(both: int, only_one: int, only_other: int, neither: int) -> PairedComparison:
    return PairedComparison(both=both, only_one=only_one, only_other=only_other, neither=neither)


def test_paired_intervals_are_newcombes() -> None:
    # Newcombe (1998), the paper on paired data: method 10 for 36, 12, 2 and 0 of 50.
    assert paired(36, 12, 2, 0).interval == pytest.approx((0.0569, 0.3404), abs=5e-5)
    assert paired(0, 0, 0, 0).interval == (-1, 1)


@given(st.lists(st.integers(0, 60), min_size=4, max_size=4))
def test_a_paired_interval_holds_its_difference_and_mirrors(table: list[int]) -> None:
    both, one, other, neither = table
    found = paired(both, one, other, neither)
    low, high = found.interval
    assert -1 - 1e-9 <= low <= found.difference <= high + 1e-9
    assert high <= 1 + 1e-9
    if sum(table):
        assert found.difference == pytest.approx((one - other) / sum(table))
        assert paired(both, other, one, neither).interval == pytest.approx((-high, -low))


def test_rows_that_both_answered_are_compared() -> None:
    one = {"a": True, "b": True, "c": False, "d": False, "e": True}
    other = {"a": True, "b": False, "c": True, "d": False, "f": True}
    assert PairedComparison.of(one, other) == paired(1, 1, 1, 1)
