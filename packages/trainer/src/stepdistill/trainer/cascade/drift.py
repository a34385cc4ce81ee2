"""The drift alarm: whether rows that come are still like the validation rows.

The promise of a cascade is about rows like those, so somebody must look. Of each row that comes two
things are known at once: how sure the student is, and which label it gives. Each is ranked among
all that came before, the validation rows included. While rows are alike, every rank is as likely as
every other, whatever came before (Vovk et al., 2003); so whoever bets against that gains nothing,
and the chance that a stake of 1 ever becomes 200 is 1 in 200 at most. The bets are a histogram of
the ranks so far. There are two stakes, one on each, so a false alarm has a chance of 1 % at most
over any number of rows.
"""

from math import exp, floor, log
from typing import Literal

from pydantic import BaseModel, ConfigDict

from stepdistill.common.uniform import uniform_of_text

ALARM_RISK = 0.01  # of a false alarm, however long one looks
_STAKES = ("confidence", "labels")
_LOG_ALARM = log(len(_STAKES) / ALARM_RISK)
_FINEST, _MOST_LOGIT = 0.25, 14.0  # width of a bin of confidence, and the last one, in logits
_BINS = int(2 * _MOST_LOGIT / _FINEST) + 1
_BET_BINS = 10
# Ranks of each bin that are taken for seen beforehand: with few a bet is bold, with many it is
# slow. A stake is spread over both.
_PRIORS = (2.0, 12.0)
_MOST_LABELS = 12  # that are told apart; the rest is one
OTHER = "(other)"
Cause = Literal["confidence", "labels"]


class Reference(BaseModel):
    """What the validation rows were like."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    confidence: list[int]  # rows by bin of confidence, from the least sure on
    labels: dict[str, int] | None  # rows by label, the commonest first; None: labels are not a set


def reference_of(confidences: list[float], labels: list[str] | None) -> Reference:
    """What some rows are like. labels: None where they are of no closed set."""
    bins = [0] * _BINS
    for each in confidences:
        bins[_bin_of(each)] += 1
    if labels is None:
        return Reference(confidence=bins, labels=None)
    names = sorted(set(labels), key=lambda name: (-labels.count(name), name))
    told = {name: labels.count(name) for name in names[:_MOST_LABELS]}
    rest = len(labels) - sum(told.values())
    return Reference(confidence=bins, labels={**told, OTHER: rest})


class DriftAlarm:
    """Looks at rows as they come. alarm: what is unlike by now, None as long as nothing is."""

    def __init__(self, reference: Reference) -> None:
        self.rows = 0  # that came
        self.alarm: Cause | None = None
        self.alarm_row: int | None = None  # how many rows had come by then
        self._names = None if reference.labels is None else list(reference.labels)
        self._confidence = _Stake(reference.confidence)
        self._labels = _Stake(list((reference.labels or {OTHER: 0}).values()))

    def look(self, confidence: float, label: str | None) -> bool:
        """One more row; whether it raises the alarm, which it does once."""
        self.rows += 1
        number = self.rows
        self._confidence.bet(_bin_of(confidence), uniform_of_text(f"drift/confidence/{number}"))
        if self._names is not None:
            place = self._names.index(label) if label in self._names else len(self._names) - 1
            self._labels.bet(place, uniform_of_text(f"drift/labels/{number}"))
        if self.alarm is not None or self.evidence < _LOG_ALARM:
            return False
        surer = self._confidence.log_value >= self._labels.log_value
        self.alarm, self.alarm_row = "confidence" if surer else "labels", number
        return True

    @property
    def evidence(self) -> float:
        """The log of the larger stake; the alarm is at log 200."""
        return max(self._confidence.log_value, self._labels.log_value)


class _Stake:
    """A stake of 1 that is bet on ranks among the values so far. counts: of these, by value."""

    def __init__(self, counts: list[int]) -> None:
        self._counts = list(counts)
        self._ranks = [0] * _BET_BINS  # that came, by tenths
        self._logs = [0.0] * len(_PRIORS)
        self._seen = 0

    @property
    def log_value(self) -> float:
        """The log of what the stake is worth."""
        highest = max(self._logs)
        mean = sum(exp(each - highest) for each in self._logs) / len(self._logs)
        return highest + log(mean)

    def bet(self, value: int, tie: float) -> None:
        """Bet on the rank of a value. tie: a uniform number, by which equals are ranked."""
        self._counts[value] += 1
        below, equal, n = sum(self._counts[:value]), self._counts[value], sum(self._counts)
        rank = (below + tie * equal) / n
        place = min(floor(rank * _BET_BINS), _BET_BINS - 1)
        for number, prior in enumerate(_PRIORS):
            share = (self._ranks[place] + prior) / (self._seen + prior * _BET_BINS)
            self._logs[number] += log(share * _BET_BINS)
        self._ranks[place] += 1
        self._seen += 1


def _bin_of(confidence: float) -> int:
    """Bins are finer where students are: near 1."""
    inner = min(max(confidence, 1e-9), 1 - 1e-9)
    logit = log(inner / (1 - inner))
    return int((min(max(logit, -_MOST_LOGIT), _MOST_LOGIT) + _MOST_LOGIT) / _FINEST)
