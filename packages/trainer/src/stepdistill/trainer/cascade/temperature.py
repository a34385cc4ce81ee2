"""Temperature: one number by which a student's confidence comes to mean how often it is right.

A student's log probabilities are divided by it before they become probabilities; above 1 it makes
them humbler. It moves no label, and hardly the order of rows: the promise needs no temperature.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stepdistill.trainer.model.answers import StudentAnswer

DIGITS = 6  # of a probability, as people get it: what is printed is what is compared
_TRIED = np.exp(np.linspace(np.log(0.1), np.log(10.0), 93))  # 46th: 1.0
# How far from 1 it is believed to be beforehand, as the standard deviation of its logarithm: a few
# rows of which none is wrong do not make the student a prophet.
_SPREAD = 0.7
_EDGE = 1e-6


def confidence(answer: StudentAnswer, temperature: float) -> float:
    """How sure the student is of its label, 0..1. The answer has kept its log probabilities."""
    weights = np.exp(_choices(answer) / temperature)
    return round(float(weights[0] / weights.sum()), DIGITS)


def fitted_temperature(answers: Sequence[StudentAnswer], right: Sequence[bool]) -> float:
    """The temperature by which these answers are as sure as they are right: the likeliest one, on a
    grid from 0.1 to 10; 1 where there are no answers."""
    hits, logs = np.array(right, dtype=bool), _padded(answers)
    best, least = 1.0, np.inf
    for temperature in _TRIED:
        weights = np.exp(logs / temperature)  # (answers, choices): the label's own come first
        sure = np.clip(weights[:, 0] / weights.sum(1), _EDGE, 1 - _EDGE)
        loss = -np.log(np.where(hits, sure, 1 - sure)).sum()
        loss += (np.log(temperature) / _SPREAD) ** 2 / 2
        if loss < least:
            best, least = float(temperature), float(loss)
    return round(best, 4)


def _padded(answers: Sequence[StudentAnswer]) -> NDArray[np.float64]:
    """(answers, choices): what `_choices` says of each, -inf where one has fewer."""
    found = list(map(_choices, answers))
    logs = np.full((len(found), max(map(len, found), default=1)), -np.inf)
    for row, each in zip(logs, found, strict=True):
        row[: len(each)] = each
    return logs


def _choices(answer: StudentAnswer) -> NDArray[np.float64]:
    """Log probabilities of all that could have been said, the label first; the highest is 0."""
    if answer.place is None:  # words of its own, or any others
        own = min(answer.logs[0], -_EDGE)
        logs = np.array([own, np.log1p(-np.exp(own))])
    else:
        others = answer.logs[: answer.place] + answer.logs[answer.place + 1 :]
        logs = np.array([answer.logs[answer.place], *others])
    return logs - logs.max()
