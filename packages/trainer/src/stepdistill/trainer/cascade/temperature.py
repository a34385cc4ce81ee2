"""Temperature: one number by which a student's confidence comes to mean how often it is right.

A student's log probabilities are divided by it before they become probabilities; above 1 it makes
them humbler. It moves no label, and hardly the order of rows: the promise needs no temperature.
"""

from collections.abc import Sequence
from math import exp

import numpy as np

from stepdistill.trainer.model.answers import StudentAnswer

DIGITS = 6  # of a probability, as people get it: what is printed is what is compared
_TRIED = np.exp(np.linspace(np.log(0.1), np.log(10.0), 93))  # 46th: 1.0
# How far from 1 it is believed to be beforehand, as the standard deviation of its logarithm: a few
# rows of which none is wrong do not make the student a prophet.
_SPREAD = 0.7
_EDGE = 1e-6


def confidence(answer: StudentAnswer, temperature: float) -> float:
    """How sure the student is of its label, 0..1. The answer has kept its log probabilities."""
    if answer.place is None:  # its own words: it could have said anything
        return round(exp(answer.logs[0] / temperature), DIGITS)
    scaled = np.array(answer.logs) / temperature
    weights = np.exp(scaled - scaled.max())
    return round(float(weights[answer.place] / weights.sum()), DIGITS)


def fitted_temperature(answers: Sequence[StudentAnswer], right: Sequence[bool]) -> float:
    """The temperature by which these answers are as sure as they are right: the likeliest one, on a
    grid from 0.1 to 10; 1 where there are no answers."""
    hits = np.array(right, dtype=bool)
    best, least = 1.0, np.inf
    for temperature in _TRIED:
        sure = np.array([confidence(each, float(temperature)) for each in answers])
        sure = np.clip(sure, _EDGE, 1 - _EDGE)
        loss = -np.log(np.where(hits, sure, 1 - sure)).sum() if len(answers) else 0.0
        loss += (np.log(temperature) / _SPREAD) ** 2 / 2
        if loss < least:
            best, least = float(temperature), loss
    return round(best, 4)
