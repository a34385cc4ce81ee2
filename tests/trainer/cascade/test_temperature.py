"""Confidence comes to mean how often the student is right, and nothing else changes."""

from math import log

import numpy as np
import pytest

from stepdistill.trainer.cascade.temperature import confidence, fitted_temperature
from stepdistill.trainer.model.answers import StudentAnswer


def answer(*shares: float, place: int = 0, times: float = 1.0) -> StudentAnswer:
    logs = tuple(times * log(share) for share in shares)
    return StudentAnswer(label="x", probability=shares[place], logs=logs, place=place)


def test_at_one_it_is_the_probability() -> None:
    assert confidence(answer(0.7, 0.2, 0.1), 1.0) == 0.7
    assert confidence(answer(0.1, 0.7, 0.2, place=1), 1.0) == 0.7
    assert confidence(answer(0.5), 1.0) == 1.0  # the only choice that there is
    spoken = StudentAnswer(label="x", probability=0.4, logs=(log(0.4),))
    assert confidence(spoken, 1.0) == 0.4


def test_above_one_it_is_humbler() -> None:
    assert confidence(answer(0.9, 0.1), 2.0) == pytest.approx(0.75)
    certain = StudentAnswer(label="x", probability=1.0, logs=(0.0,))
    assert confidence(certain, 1.0) > 0.99


@pytest.mark.parametrize("times", [0.5, 1.0, 3.0])
def test_it_finds_by_how_much_a_student_boasts(times: float) -> None:
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.5, 0.99, 2_000)
    answers = [answer(each, 1 - each, times=times) for each in sure.tolist()]
    right = (rng.random(2_000) < sure).tolist()
    assert fitted_temperature(answers, right) == pytest.approx(times, rel=0.15)


def test_a_few_rows_without_an_error_make_no_prophet() -> None:
    answers = [answer(0.6, 0.4)] * 5
    assert 0.3 < fitted_temperature(answers, [True] * 5) < 1.0
    assert fitted_temperature([], []) == pytest.approx(1.0, abs=0.01)
    mixed = [answer(0.6, 0.4), answer(0.5, 0.3, 0.2), answer(1.0)]
    assert 0.1 <= fitted_temperature(mixed, [True, False, True]) <= 10
