"""The drift alarm: whether rows that come are still like the validation rows.

The promise of a cascade is about rows like those, so somebody must look. Of each row that comes two
things are known at once: how sure the student is, and which label it gives. Each is ranked among
all that came before, the validation rows included. While rows are alike, every rank is as likely as
every other, whatever came before (Vovk et al., 2003); so whoever bets against that gains nothing,
and the chance that a stake of 1 ever becomes 200 is 1 in 200 at most. Half of a stake is bet on a
tilt of the ranks (lower or higher than they were, or more in the middle or at both ends), spread
over tilts of several strengths: a weak shift is seen soon. The other half is bet on a histogram of
the ranks so far, whatever its shape. There are two stakes, one on each of the two things known, so
a false alarm has a chance of 1 % at most over any number of rows.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate, product
from math import exp, floor, log
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from stepdistill.common.uniform import uniform_of_text

ALARM_RISK = 0.01  # of a false alarm, however long one looks
_STAKES = ("confidence", "labels")
_LOG_ALARM = log(len(_STAKES) / ALARM_RISK)
_FINEST, _MOST_LOGIT = 0.25, 14.0  # width of a bin of confidence, and the last one, in logits
_BINS = int(2 * _MOST_LOGIT / _FINEST) + 1
_BET_BINS = 10
# Ranks of each bin that are taken for seen beforehand: with few a bet is bold, with many it is
# slow. It is spread over both.
_PRIORS = (2.0, 12.0)
# Densities 1 + a x + b (3 x^2 - 1) / 2 of a rank as x in [-1, 1], Legendre's first two: all these
# are above 0 everywhere.
_TILTS = np.array(
    [
        (a, b)
        for a, b in product((-0.6, -0.3, 0.0, 0.3, 0.6), (-0.4, 0.0, 0.4, 0.7))
        if (a or b) and abs(a) + abs(min(b, 0)) < 1 and (b < 0.7 or abs(a) < 0.6)
    ]
)
_SHARES = (0.1, 0.5, 0.9)  # of the rows, by which a change of confidence is told
_MOST_LABELS = 12  # that are told apart; more of them share places
OTHER = "(other)"
Cause = Literal["confidence", "labels"]


class Reference(BaseModel):
    """What the validation rows were like."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    confidence: list[int]  # rows by bin of confidence, from the least sure on
    labels: dict[str, int] | None  # rows by label; None: labels are not a set
    # Which labels share a place is told by their names alone: to keep the commonest ones apart
    # would be to look at these rows first, and others are never quite as these.
    shares_places: bool = False


def reference_of(
    confidences: list[float], labels: list[str] | None, names: Sequence[str] = ()
) -> Reference:
    """What some rows are like. labels: None where they are of no closed set. names: of all labels
    that there are, where these are the labels and few."""
    bins = [0] * _BINS
    for each in confidences:
        bins[_bin_of(each)] += 1
    if labels is None:
        return Reference(confidence=bins, labels=None)
    found = Counter(labels)
    if not 0 < len(names) <= _MOST_LABELS or found.keys() - set(names):
        return Reference(confidence=bins, labels=dict(sorted(found.items())), shares_places=True)
    told = {name: found[name] for name in names}
    return Reference(confidence=bins, labels={**told, OTHER: 0})


class DriftAlarm:
    """Looks at rows as they come. alarm: what is unlike by now, None as long as nothing is."""

    def __init__(self, reference: Reference) -> None:
        self.rows = 0  # that came
        self.alarm: Cause | None = None
        self.alarm_row: int | None = None  # how many rows had come by then
        self._reference = reference
        self._labels_found = Counter[str]()  # of the rows that came
        self._bins_found = [0] * _BINS
        labels = reference.labels or {OTHER: 0}
        self._places = {name: place for place, name in enumerate(labels)}
        counts = [*labels.values()]
        if reference.shares_places:
            counts = [0] * _MOST_LABELS
            for name, n in labels.items():
                counts[_shared_place(name)] += n
        self._confidence = _Stake(reference.confidence)
        self._labels = _Stake(counts)

    def look(self, confidence: float, label: str | None) -> bool:
        """One more row; whether it raises the alarm, which it does once."""
        self.rows += 1
        number, place = self.rows, _bin_of(confidence)
        self._bins_found[place] += 1
        self._confidence.bet(place, uniform_of_text(f"drift/confidence/{number}"))
        if self._reference.labels is not None:
            name = OTHER if label is None else label
            self._labels_found[name] += 1
            self._labels.bet(self._place_of(name), uniform_of_text(f"drift/labels/{number}"))
        if self.alarm is not None or self.evidence < _LOG_ALARM:
            return False
        surer = self._confidence.log_value >= self._labels.log_value
        self.alarm, self.alarm_row = "confidence" if surer else "labels", number
        return True

    def _place_of(self, label: str) -> int:
        if self._reference.shares_places:
            return _shared_place(label)
        return self._places.get(label, len(self._places) - 1)

    @property
    def evidence(self) -> float:
        """The log of the larger stake; the alarm is at log 200."""
        return max(self._confidence.log_value, self._labels.log_value)

    @property
    def change(self) -> str:
        """What is unlike, in words: the label whose share differs most, or how sure rows are."""
        known = self._reference
        if self.alarm == "labels" and known.labels is not None:
            now = {name: n / self.rows for name, n in self._labels_found.items()}
            n = max(1, sum(known.labels.values()))
            before = {name: each / n for name, each in known.labels.items()}
            names = sorted({*now, *before})
            most = max(names, key=lambda name: abs(now.get(name, 0.0) - before.get(name, 0.0)))
            return (
                f"`{most}` is given to {now.get(most, 0.0):.0%} of these rows, and was to "
                f"{before.get(most, 0.0):.0%} of the validation rows"
            )
        each = ((_quantile(b, q) for b in (self._bins_found, known.confidence)) for q in _SHARES)
        changes = [(abs(now - before), now, before) for now, before in each]
        _, now, before = most = max(changes)
        return (
            f"{_SHARES[changes.index(most)]:.0%} of these rows have a confidence below "
            f"{_share(now):.3f}, and had one below {_share(before):.3f} on the validation rows"
        )


def _shared_place(label: str) -> int:
    return int(uniform_of_text(f"drift/place/{label}") * _MOST_LABELS)


def _quantile(bins: list[int], share: float) -> float:
    """The confidence that this share of the rows is below, as a logit, by its bin."""
    wanted = share * sum(bins)
    place = next(place for place, below in enumerate(accumulate(bins)) if below >= wanted)
    return (place + 0.5) * _FINEST - _MOST_LOGIT


def _share(logit: float) -> float:
    return 1 / (1 + exp(-logit))


class _Stake:
    """A stake of 1 that is bet on ranks among the values so far. counts: of these, by value."""

    def __init__(self, counts: list[int]) -> None:
        self._counts = list(counts)
        self._ranks = [0] * _BET_BINS  # that came, by tenths
        self._by_histogram = np.zeros(len(_PRIORS))  # logs
        self._by_tilt = np.zeros(len(_TILTS))
        self._seen = 0

    @property
    def log_value(self) -> float:
        """The log of what the stake is worth."""
        halves = [_log_mean(self._by_histogram), _log_mean(self._by_tilt)]
        return _log_mean(np.array(halves))

    def bet(self, value: int, tie: float) -> None:
        """Bet on the rank of a value. tie: a uniform number, by which equals are ranked."""
        self._counts[value] += 1
        below, equal, n = sum(self._counts[:value]), self._counts[value], sum(self._counts)
        rank = (below + tie * equal) / n
        place = min(floor(rank * _BET_BINS), _BET_BINS - 1)
        for number, prior in enumerate(_PRIORS):
            share = (self._ranks[place] + prior) / (self._seen + prior * _BET_BINS)
            self._by_histogram[number] += log(share * _BET_BINS)
        x = 2 * rank - 1
        self._by_tilt += np.log1p(_TILTS @ (x, (3 * x * x - 1) / 2))
        self._ranks[place] += 1
        self._seen += 1


def _log_mean(logs: NDArray[np.float64]) -> float:
    """The log of the mean of what these are logs of."""
    highest = float(logs.max())
    return highest + log(float(np.exp(logs - highest).mean()))


def _bin_of(confidence: float) -> int:
    """Bins are finer where students are: near 1."""
    inner = min(max(confidence, 1e-9), 1 - 1e-9)
    logit = log(inner / (1 - inner))
    return int((min(max(logit, -_MOST_LOGIT), _MOST_LOGIT) + _MOST_LOGIT) / _FINEST)
