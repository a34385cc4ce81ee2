"""Refusals that do not depend on the rate: a share of all requests, whatever is sent.

A gateway that is short of workers, or other people's load, refuses one in ten at two requests a
second as at two hundred. Whoever slows down for each of these stands still in the end. So every
cut of the rate is a trial: for a while after it requests go at a lower rate, and it is kept what
share of them is refused. Where a limit was passed, that share falls with the rate (of r requests a
second, L get through); where it stays while the rate falls, it is nobody's doing. The latter is
taken for so once it is likelier by far, and for as long as later trials bear it out: what fewer are
refused lowers the share, down to none.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

ENOUGH = 30  # requests that say something by themselves
_BY_FAR = 7.0  # log of how much likelier: a thousand times
_LEAST_REFUSED = 4
_MOST_SHARE = 0.6  # more is no trouble beside the answers
_NOISE = 0.001  # share that a limiter refuses for other reasons, e.g. two clocks
_CELLS = 16
_SURE = 8  # refusals that do not fall to a quarter of that by chance
_LEAST_SHARE = 0.005  # less is not worth knowing
_RECENT, _LONG = 128, 1024  # requests
_SIGMAS, _SLACK = 3.5, 2  # of what is expected, before it is more than that


@dataclass(slots=True)
class _Trial:
    """Requests that went at a lower rate, for having been refused at a higher one."""

    from_s: float
    until_s: float
    sent: int = 0
    refused: int = 0

    @property
    def per_s(self) -> float:
        return self.sent / max(self.until_s - self.from_s, 1e-9)


class BackgroundRefusals:
    """The share of requests that is refused at any rate, 0 until it is known."""

    def __init__(self) -> None:
        self.share = 0.0
        self.tried_per_s = 0.0  # the highest rate of the trials in which it was found
        self._trials: list[_Trial] = []
        self._recent = self._recent_refused = self._long = self._long_refused = 0.0

    def sent(self, now: float) -> None:
        """A request goes."""
        if self._trials and now < self._trials[-1].until_s:
            self._trials[-1].sent += 1
        if self.share:
            self._recent += 1 - self._recent / _RECENT
            self._recent_refused *= 1 - 1 / _RECENT
            self._long += 1 - self._long / _LONG
            self._long_refused *= 1 - 1 / _LONG
            if self._long > _LONG / 8:
                self._at_most(self._long_refused, self._long)

    def refused(self, started_s: float) -> bool:
        """A request that went at started_s was refused: whether that is more than is usual."""
        for trial in reversed(self._trials):
            if trial.from_s <= started_s:
                trial.refused += started_s < trial.until_s
                break
        self._recent_refused += 1
        self._long_refused += 1
        n, share = self._recent, self.share
        usual = n * share + _SIGMAS * math.sqrt(n * share * (1 - share)) + _SLACK
        return not share or self._recent_refused > usual

    def go_on(self, until_s: float) -> None:
        """The rate stays lower until then."""
        if self._trials:
            self._trials[-1].until_s = until_s

    def cut(self, now: float, until_s: float) -> bool:
        """The rate is cut now, and lower until then. Returns whether it is known since now that as
        many were refused at any rate."""
        if self._trials:
            self._trials[-1].until_s = min(now, self._trials[-1].until_s)
        found = self._find()
        sent, refused = _totals(self._trials)
        if self.share and not found and sent >= ENOUGH:
            self._at_most(refused, sent)
        self._trials = [] if found else [*self._trials[1 - _CELLS :], _Trial(now, until_s)]
        self._recent = self._recent_refused = self._long = self._long_refused = 0.0
        return found

    def _find(self) -> bool:
        """Whether one share explains the trials far better than any limit does."""
        # Where none got through, a minute may be spent: that says nothing about the rate.
        trials = [trial for trial in self._trials if trial.sent > trial.refused]
        while trials and not _is_steady(trials):
            trials.pop(0)  # a limit has come, or has gone, since then
        sent, refused = _totals(trials)
        if refused < _LEAST_REFUSED or not self.share < refused / sent <= _MOST_SHARE:
            return False
        share = refused / sent
        limits = [
            trial.per_s * part for trial in trials for part in (1, 1 - trial.refused / trial.sent)
        ]
        base = max(self.share, _NOISE)
        by_limit = max(
            _log_likelihood(trials, [1 - (1 - base) * min(1, limit / t.per_s) for t in trials])
            for limit in limits
        )
        if _log_likelihood(trials, [share] * len(trials)) - by_limit < _BY_FAR:
            return False
        self.share = min(_MOST_SHARE, _upper(refused, sent))
        self.tried_per_s = max(trial.per_s for trial in trials)
        return True

    def _at_most(self, refused: float, sent: float) -> None:
        """Fewer may be refused than it was thought."""
        expected = self.share * sent
        is_wrong = expected >= _SURE and refused < expected / 4
        self.share = refused / sent if is_wrong else min(self.share, _upper(refused, sent))
        if self.share < _LEAST_SHARE:
            self.share = 0.0


def _upper(refused: float, sent: float) -> float:
    """What the share may be, if so many were refused."""
    return (refused + 2 * math.sqrt(refused) + 3) / sent


def _totals(trials: Iterable[_Trial]) -> tuple[int, int]:
    each = [(trial.sent, trial.refused) for trial in trials]
    return sum(sent for sent, _ in each), sum(refused for _, refused in each)


def _is_steady(trials: list[_Trial]) -> bool:
    """Whether one share explains all of them (chi squared)."""
    sent, refused = _totals(trials)
    share = refused / sent
    if share in (0, 1):
        return True
    odd = sum((t.refused - t.sent * share) ** 2 / t.sent for t in trials) / (share * (1 - share))
    return odd <= len(trials) + 3 * math.sqrt(2 * len(trials))


def _log_likelihood(trials: list[_Trial], shares: list[float]) -> float:
    """Of what was refused, where these shares are to be expected."""
    total = 0.0
    for trial, share in zip(trials, shares, strict=True):
        expected = min(max(share, _NOISE), 1 - _NOISE)
        total += trial.refused * math.log(expected)
        total += (trial.sent - trial.refused) * math.log(1 - expected)
    return total
