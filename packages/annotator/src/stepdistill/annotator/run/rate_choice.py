"""Which rate of reasons is worth it, by what small students have right at each that was tried.

Where reasons are bought apart from labels, more are bought as long as that pays: the gain over the
last rate that paid has to be worth what the step cost, likely (`--point-worth`), or, where nobody
says what accuracy is worth, to be more than noise. That the next reasons bring no more each than
the last ones is taken for granted.

Where label and reasons come in one answer, all reasons are paid for whatever the rate: then they
are all kept, unless students do better with fewer by more than noise.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from stepdistill.annotator.errors import CeilingReached
from stepdistill.common.intervals import gain_of

RATES = (0.0, 0.2, 0.4, 0.7, 1.0)
FREE_RATES = (0.0, 0.4, 1.0)  # where they cost nothing but the students' time
_LIKELY, _SURELY = 0.8, 0.95
_HARDLY = 0.05  # above the commonest label: students that are no better have learnt next to nothing
_WIDE_POINTS = 5.0  # half an interval, from which on it says little


class TriedRate(BaseModel):
    """A rate that students were trained at. Shares are 0..1."""

    model_config = ConfigDict(frozen=True)

    rate: float
    reasons: int  # records of train that have some
    usd: float | None  # of these shards' answers, of all splits; None: no price is known
    right: tuple[str, ...]  # by seed: of each validation row 1 or 0
    accuracy: float  # of the students, mean over seeds
    majority: float = 0.0  # what always saying the commonest label would have right
    against: float | None = None  # the rate that it was compared with
    gain: float | None = None  # of accuracy over that one, as the two below: its 95 % interval
    gain_low: float | None = None
    gain_high: float | None = None
    chance: float | None = None  # that the gain is worth what it cost

    def over(self, other: "TriedRate", worth: float | None) -> "TriedRate":
        """The same, compared with another. worth: USD of a point; None: nobody says."""
        gain = gain_of(self.right, other.right)
        low, high = gain.interval
        if worth is None or self.usd is None or other.usd is None:
            chance = gain.chance_above(0.0)
        else:
            cost = self.usd - other.usd
            chance = gain.chance_above(cost / worth / 100) if worth else float(cost <= 0)
        found = {"gain": gain.mean, "gain_low": low, "gain_high": high, "chance": chance}
        return self.model_copy(update={"against": other.rate, **found})

    def facts(self) -> dict[str, object]:
        """For programs."""
        return self.model_dump(exclude={"right"})

    def in_words(self) -> str:
        """A line of what it came to."""
        usd = "" if self.usd is None else f", {self.usd:.4f} USD with the labels"
        return f"{self.rate:.0%}: {self.reasons:,} reasons{usd}, {self.accuracy:.1%} right"

    def gain_in_words(self) -> str:
        """What it brings against the rate that it was compared with."""
        gain, low, high = (100 * (n or 0.0) for n in (self.gain, self.gain_low, self.gain_high))
        this, other = _named(self.rate), _named(self.against or 0.0)
        return f"{this}: {gain:+.1f} points against {other} ({low:+.1f} to {high:+.1f})"


@dataclass(frozen=True, slots=True, kw_only=True)
class RateChoice:
    """The rate that is taken."""

    rate: float
    why: str
    tried: tuple[TriedRate, ...]

    @property
    def in_words(self) -> str:
        """Why, as a sentence without its end, and what doubt there is."""
        best = max(self.tried, key=lambda one: one.accuracy)
        if best.accuracy >= best.majority + _HARDLY:
            return self.why
        return (
            f"{self.why}; but these students are hardly better than the commonest label "
            f"({best.majority:.1%} right) and say little of reasons: a larger --rationale-student "
            "or more --rationale-steps would say more"
        )


TryRate = Callable[[float], TriedRate | None]
"""Buys what a rate wants, and trains students; None: the teacher left rows unanswered."""


def buy_while_it_pays(try_rate: TryRate, worth: float | None) -> RateChoice | None:
    """More and more reasons as long as that pays. worth: USD of one more point of accuracy.

    None: rows were not answered, so nothing can be said. Raises DistillError.
    """
    first = try_rate(RATES[0])
    if first is None:
        return None
    kept, tried = first, [first]

    def choice(why: str) -> RateChoice:
        return RateChoice(rate=kept.rate, why=why, tried=tuple(tried))

    for rate in RATES[1:]:
        if _is_too_dear(tried, rate, worth):
            return choice(f"reasons of {rate:.0%} would cost more than a student without an error")
        try:
            found = try_rate(rate)
        except CeilingReached:
            return choice(f"--max-cost was reached before the reasons of {rate:.0%} were bought")
        if found is None:
            return None
        one = found.over(kept, worth)
        tried.append(one)
        if (one.chance or 0.0) < (_SURELY if worth is None else _LIKELY):
            return choice(_why_not(one, worth))
        kept = one
    return choice(f"each step paid; {kept.gain_in_words()}")


def keep_what_helps(try_rate: TryRate) -> RateChoice | None:
    """All of the reasons, which are paid for, unless fewer are better. None and errors as above."""
    every = try_rate(FREE_RATES[-1])
    tried = list[TriedRate]()
    for rate in FREE_RATES[:-1]:
        one = every and try_rate(rate)
        if one is None or every is None:
            return None
        tried.append(one.over(every, None))
    assert every is not None
    better = [one for one in tried if (one.chance or 0.0) >= _SURELY]
    best = max(better, key=lambda one: one.accuracy, default=every)
    how = "students do no better with fewer" if best is every else "students do better with fewer"
    gains = "; ".join(one.gain_in_words() for one in (tried if best is every else [best]))
    paid = "label and reasons come in one answer, so all are paid for at any rate"
    return RateChoice(rate=best.rate, why=f"{paid}; {how}: {gains}", tried=(*tried, every))


def _named(rate: float) -> str:
    return f"reasons of {rate:.0%}" if rate else "no reasons"


def _is_too_dear(tried: list[TriedRate], rate: float, worth: float | None) -> bool:
    """Whether the next reasons would not be worth it even to students that then made no error: at
    what the last ones cost, and at first at what labels do."""
    last, before = tried[-1], tried[-2:][0]
    if worth is None or last.usd is None or before.usd is None:
        return False
    unit = last.usd if last is before else (last.usd - before.usd) / (last.rate - before.rate)
    return unit * (rate - last.rate) > 100 * worth * (1 - last.accuracy)


def _why_not(one: TriedRate, worth: float | None) -> str:
    if worth is None:
        verdict = f"no more than noise{_too_noisy(one)}"
    else:
        verdict = f"worth what they cost with a chance of {one.chance:.0%}, too small to go on"
    left = "" if one.rate >= 1 else f"; those of the other {1 - one.rate:.0%} were not bought"
    return f"{one.gain_in_words()}, {verdict}{left}"


def _too_noisy(one: TriedRate) -> str:
    half = 50 * ((one.gain_high or 0.0) - (one.gain_low or 0.0))
    if half < _WIDE_POINTS:
        return ""
    return (
        f" (and {half:.0f} points of noise are much: more --rationale-seeds, --rationale-steps or "
        "rows of split valid would tell more)"
    )
