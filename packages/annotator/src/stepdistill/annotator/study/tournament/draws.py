"""What may be true of contenders whose answers to some rows are known: draws, and what to buy then.

A draw is one way the world may be, by the Bayesian bootstrap (Rubin 1981): every row gets a random
weight, and a contender's accuracy is the weighted share of its rows that it got right. All share
the rows' weights, so an easy row is nobody's luck, and they are compared in pairs without a
formula. One right and one wrong row of its own are added for each, so that ten right answers of ten
are not taken for certainty: alone, its accuracy is then Beta(right + 1, wrong + 1), as after a flat
prior.

Draws are seeded, so a race that is played again from the store goes as it went.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
_DRAWS = 2000
_CELLS = 2_000_000  # weights that are held at once
# Prices that differ by no more than this share are one price: tokens vary from row to row.
SAME_PRICE = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class RowResults:
    """What is known of a contender, row by row in the order drawn."""

    correct: list[bool]  # whether the label is right
    usd: list[float] | None  # what the answer costs where it is cheapest to have; None: not known

    @property
    def rows(self) -> int:
        """How many rows it was asked."""
        return len(self.correct)

    @property
    def mean_usd(self) -> float | None:
        """Of a row."""
        return None if self.usd is None else sum(self.usd) / max(1, len(self.usd))


@dataclass(frozen=True, slots=True, kw_only=True)
class BuyRule:
    """What is to be bought: the cheapest contender that is at most `margin` less accurate than the
    most accurate one; or, where it is known what a right label is worth, the one that leaves most
    of that when it is paid.

    Among those of one price it is the most accurate.
    """

    margin: float = 0.02  # share of the rows
    worth_usd: float | None = None  # of a right label

    @property
    def slack(self) -> float:
        """Share of the rows by which contenders may differ and be as good: half the margin."""
        return self.margin / 2

    def good(self, accuracy: Floats, usd: Floats) -> Flags:
        """By draw and contender, whether it would be right to buy it, give or take the slack.

        accuracy: by draw and contender. usd: of a row, by contender; inf where it is not known.
        """
        best = accuracy.max(axis=1, keepdims=True)
        if self.worth_usd is not None and np.isfinite(usd).any():
            left = self.worth_usd * accuracy - usd
            return left >= left.max(axis=1, keepdims=True) - self.worth_usd * self.margin
        enough = accuracy >= best - self.margin - self.slack
        surely = accuracy >= best - self.margin + self.slack
        cheapest = np.where(surely, usd, np.inf).min(axis=1, keepdims=True)
        return enough & (usd <= cheapest * (1 + SAME_PRICE))

    def choice(self, accuracy: Floats, usd: Floats) -> int:
        """Which contender a person buys who knows accuracy and price of each."""
        if self.worth_usd is not None and np.isfinite(usd).any():
            return int((self.worth_usd * accuracy - usd).argmax())
        enough = accuracy >= accuracy.max() - self.margin
        cheapest = usd[enough].min()
        return int(np.where(enough & (usd <= cheapest * (1 + SAME_PRICE)), accuracy, -1).argmax())


def accuracies(results: Sequence[RowResults], seed: int) -> Floats:
    """Accuracies as they may be: by draw and contender."""
    return _drawn(results, seed)[0]


def usd_per_correct(results: Sequence[RowResults], seed: int) -> Floats:
    """US dollars of a right label as they may be: by draw and contender; inf: no price is known."""
    right, usd = _drawn(results, seed)
    return usd / right


def _drawn(results: Sequence[RowResults], seed: int) -> tuple[Floats, Floats]:
    n_rows, n = max(each.rows for each in results), len(results)
    asked, correct, usd = (np.zeros((n_rows, n)) for _ in range(3))
    for place, each in enumerate(results):
        asked[: each.rows, place] = 1
        correct[: each.rows, place] = each.correct
        usd[: each.rows, place] = np.inf if each.usd is None else each.usd
    known = np.isfinite(usd).all(axis=0)
    usd[:, ~known] = 0
    random = np.random.default_rng(seed)
    share, price = np.empty((_DRAWS, n)), np.empty((_DRAWS, n))
    at_once = max(1, _CELLS // n_rows)
    for start in range(0, _DRAWS, at_once):
        part = slice(start, min(_DRAWS, start + at_once))
        weights = random.standard_exponential((part.stop - start, n_rows))
        right, wrong = random.standard_exponential((2, part.stop - start, n))
        weight = weights @ asked
        share[part] = (weights @ correct + right) / (weight + right + wrong)
        price[part] = weights @ usd / weight
    price[:, ~known] = np.inf
    return share, price


def no_dearer(results: Sequence[RowResults]) -> Flags:
    """[one, other]: whether the other costs no more than the one, on the rows that both were asked.
    Of an unknown price nobody says so, but that it is no higher than another unknown one."""
    n = len(results)
    found = np.zeros((n, n), dtype=np.bool_)
    for one, mine in enumerate(results):
        for other, its in enumerate(results):
            rows = min(mine.rows, its.rows)
            if one == other or its.usd is None:
                found[one, other] = one == other or mine.usd is None
            elif mine.usd is not None:
                most = sum(mine.usd[:rows]) * (1 + SAME_PRICE)
                found[one, other] = sum(its.usd[:rows]) <= most
    return found


def left_out_risk(accuracy: Floats, no_dearer: Flags, kept: Flags, slack: float) -> float:
    """The chance that one of those that are not kept is by more than the slack more accurate than
    every kept one that costs no more: then it belonged to the efficient frontier."""
    missed = np.zeros(len(accuracy), dtype=np.bool_)
    for one in np.flatnonzero(~kept):
        others = kept & no_dearer[one]
        best = accuracy[:, others].max(axis=1) if others.any() else np.zeros(len(accuracy))
        missed |= accuracy[:, one] > best + slack
    return float(missed.mean())
