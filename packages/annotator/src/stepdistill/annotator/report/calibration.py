"""Calibration: whether the teacher is right as often as it is sure, where gold labels tell.

How sure it is comes from its log-probabilities, or from the share of its votes where it told none.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import log
from operator import add
from typing import NamedTuple, Self

from stepdistill.common.intervals import wilson
from stepdistill.common.kinds.kind import Kind
from stepdistill.common.record import Record

# Finer towards the end: most labels are given with near certainty.
_EDGES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
_LEAST = 1e-4  # a share that log-probabilities are never surer than: ln of it is the worst loss


class SurenessBin(NamedTuple):
    """Labels that the teacher was about as sure of."""

    low: float  # 0..1, the least that it was sure of one
    high: float
    rows: int
    said: float  # how sure it was, in the mean
    right: float  # how many of them are right, as a share

    @property
    def bounds(self) -> tuple[float, float]:
        """Between which the share that is right lies, in 95 of 100 such samples."""
        return wilson(self.right * self.rows, self.rows)


@dataclass(slots=True, kw_only=True)
class TeacherCalibration:
    """Sums over the records with a gold label of which it is known how sure the teacher was."""

    told: int = 0  # rows by log-probabilities; the others by votes
    _loss: float = 0.0
    _squares: float = 0.0
    _bins: list[list[float]] = field(default_factory=lambda: [[0, 0.0, 0] for _ in _EDGES[1:]])

    def add(self, record: Record, kind: Kind) -> None:
        """One record."""
        shares = _shares(record)
        if shares is None or record.label is None or record.gold is None:
            return
        choices = kind.choices(record.input)
        gold = [share for name, share in shares.items() if kind.same(name, record.gold, choices)]
        # Of votes, what could not be read counts against the label, as it does elsewhere.
        confidence = record.sureness or 0.0
        self.told += record.label_probs is not None
        n_labels = len(choices) or len(kind.spec.classes)
        rest = max(0.0, 1 - sum(shares.values())) / max(1, n_labels - len(shares))
        self._loss -= log(max(sum(gold) if gold else rest, _LEAST))
        self._squares += sum(share**2 for share in shares.values()) + 1
        self._squares -= 2 * (sum(gold) if gold else rest)
        bin_ = self._bins[_bin_of(confidence)]
        bin_[0] += 1
        bin_[1] += confidence
        bin_[2] += kind.same(record.label, record.gold, choices)

    def include(self, other: Self) -> None:
        """Records that were counted elsewhere."""
        self.told += other.told
        self._loss += other._loss
        self._squares += other._squares
        for mine, its in zip(self._bins, other._bins, strict=True):
            mine[:] = map(add, mine, its)

    @property
    def rows(self) -> int:
        """How many were counted."""
        return int(sum(n for n, _, _ in self._bins))

    @property
    def source(self) -> str:
        """Where it is from, in a word or two."""
        if self.told == self.rows:
            return "logprobs"
        return "logprobs and votes" if self.told else "votes"

    @property
    def bins(self) -> list[SurenessBin]:
        """Those with rows, the least sure first."""
        return [
            SurenessBin(_EDGES[i], _EDGES[i + 1], int(n), said / n, right / n)
            for i, (n, said, right) in enumerate(self._bins)
            if n
        ]

    @property
    def ece(self) -> float:
        """The expected calibration error: how far sureness and share of right ones lie apart, in
        the mean over the rows, 0 to 1."""
        return sum(each.rows * abs(each.said - each.right) for each in self.bins) / self.rows

    @property
    def brier(self) -> float:
        """The mean square error of a row's shares over all labels: 0 to 2, 0 is best."""
        return self._squares / self.rows

    @property
    def nll(self) -> float:
        """The mean loss -ln of the gold label's share, in nats, of at most 9.2 a row."""
        return self._loss / self.rows

    @property
    def facts(self) -> dict[str, object] | None:
        """For programs; None without rows."""
        if not self.rows:
            return None
        return {
            "rows": self.rows,
            "source": self.source,
            "ece": self.ece,
            "brier": self.brier,
            "nll": self.nll,
            "bins": [each._asdict() for each in self.bins],
        }


def _shares(record: Record) -> Mapping[str, float] | None:
    if record.label_probs is not None or not record.label_votes:
        return record.label_probs
    n = sum(record.label_votes.values())
    return {name: count / n for name, count in record.label_votes.items()}


def _bin_of(confidence: float) -> int:
    return bisect_right(_EDGES[:-1], confidence) - 1
