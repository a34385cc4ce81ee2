#!/usr/bin/env python3
"""How often the intervals of `annotate what-if` hold what came of it, and how wide they are.

A case hides part of what is known, has the rest weighed as the command does, and looks whether the
intervals hold what was hidden. Nobody is asked. The answers are the original's recorded ones of
four datasets, where they lie beside the checkout (../shared/data), and those of the simulated
teacher to the demo task's rows: one that is sure of itself, and one that doubts. Kinds of cases:

    rows    a template's answers to some rows; hidden: those to all other rows
    mix     answers of several templates, to the same rows or each to its own; hidden: a run of them
            all as a mix, over all rows
    votes   fewer votes of some rows; hidden: up to five votes of all rows. Recorded answers were
            asked for once: there, five templates' answers to a row stand for five votes

What is looked at: right labels and USD of all rows (predictions), the share of records, USD of a
right label, and how much better another choice is. Set against the naive way: the share of the
shown rows with Wilson's interval, or their mean with that of a normal distribution, for all rows.

Example:

    python benchmarks/what_if_coverage.py --check --json benchmarks/results/what_if_coverage.json
"""

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from statistics import fmean

from measuring import Figure, Results, parser, report
from race_templates import REAL
from stepdistill.annotator.what_if.answered import NOT_KNOWN
from stepdistill.annotator.what_if.estimates import Interval
from stepdistill.annotator.what_if.outcome import Outcome, Untold, outcome_of, weigh
from stepdistill.common.intervals import Z_95, wilson
from what_if_cases import KINDS, Case, cases

HELD_AT_LEAST = 90.0
CASES = 100
ABOUT = ("right labels", "USD", "kept", "USD of a right one", "against the run")


def truth_of(case: Case) -> Outcome:
    """The very choice over all rows, with all answers."""
    made, base = weigh(case.whole, case.choice), weigh(case.whole, case.base)
    assert not isinstance(made, Untold)
    assert not isinstance(base, Untold)
    return outcome_of(made, base)


def naive(case: Case) -> dict[str, tuple[float, float]]:
    """The shares of the shown rows with Wilson's interval, and their mean cost, for all rows."""
    n_rows, low, high, usd_low, usd_high = case.whole.n_rows, 0.0, 0.0, 0.0, 0.0
    for name, share in case.choice.labels.items():
        each = case.part.asked[name]
        votes = min(case.choice.votes, int(each.stored[0]))
        right = each.right[:, votes - 1]
        bounds = wilson(float(right.sum()), len(right))
        low, high = low + share * bounds[0] * n_rows, high + share * bounds[1] * n_rows
        usd = each.usd[:, :votes].sum(axis=1) * case.choice.votes / votes
        half = Z_95 * float(usd.std(ddof=1)) / sqrt(len(usd))
        usd_low += share * (float(usd.mean()) - half) * n_rows
        usd_high += share * (float(usd.mean()) + half) * n_rows
    return {"right labels": (low, high), "USD": (usd_low, usd_high)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What was told of one thing, and what came of it; naive: the interval of the naive way."""

    about: str
    low: float
    value: float
    high: float
    truth: float
    held: bool
    naive: tuple[float, float] | None

    @property
    def naive_held(self) -> bool:
        """Whether the naive interval holds the truth."""
        return self.naive is not None and self.naive[0] <= self.truth <= self.naive[1]

    @property
    def width(self) -> float | None:
        """Of the interval, in widths of the naive one."""
        wide = 0.0 if self.naive is None else self.naive[1] - self.naive[0]
        return (self.high - self.low) / wide if wide else None


def measure(case: Case) -> list[Told]:
    """What is told of one case."""
    made, base = weigh(case.part, case.choice), weigh(case.part, case.base)
    assert not isinstance(made, Untold), made
    told, truth = outcome_of(made, None if isinstance(base, Untold) else base), truth_of(case)
    right, usd = value_of(truth.right), value_of(truth.usd)
    per_right = usd / right if right else NOT_KNOWN
    truths = (right, usd, value_of(truth.kept), per_right, value_of(truth.against))
    given = (told.right, told.usd, told.kept, told.usd_per_right, told.against)
    by_hand, found = naive(case), list[Told]()
    for about, interval, actual in zip(ABOUT, given, truths, strict=True):
        if interval is None:
            continue
        # A share of few rows goes up by a row at a time: half of one is no miss.
        slack = 0.5 / case.whole.n_rows if about == "kept" else 1e-9
        held = interval.low - slack <= actual <= interval.high + slack
        naive_one = by_hand.get(about)
        found.append(
            Told(about=about, truth=actual, held=held, naive=naive_one, **interval._asdict())
        )
    return found


def value_of(interval: Interval | None) -> float:
    return NOT_KNOWN if interval is None else interval.value


def described(case: Case, seed: int, told: Sequence[Told]) -> dict[str, object]:
    """One case as it is kept."""
    shown_rows = min(len(each.rows) for each in case.part.asked.values())
    return {
        **{"task": case.task, "kind": case.kind, "seed": seed, "rows": case.whole.n_rows},
        **{"shown": shown_rows, "votes": case.choice.votes, "mix": case.choice.mix.label},
        "told": [asdict(each) for each in told],
    }


def summed(results: Results, name: str, told: Sequence[Told], *, bar: bool) -> None:
    """How many of these hold, by what they are about."""
    for about in ABOUT:
        found = [each for each in told if each.about == about]
        if not found:
            continue
        figure = Figure(
            name=f"{name}: {about} held",
            samples=[100 * fmean(each.held for each in found)],
            unit=f"% of {len(found)}",
            at_least=HELD_AT_LEAST if bar else None,
        )
        results.figures.append(figure)
        widths = [each.width for each in found if each.width is not None]
        if widths:
            held = 100 * fmean(each.naive_held for each in found)
            results.figures += [
                Figure(name=f"{name}: {about}, width", samples=[fmean(widths)], unit="x naive"),
                Figure(name=f"{name}: {about}, naive held", samples=[held], unit="%"),
            ]


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--cases", type=int, default=CASES, help=f"how many ({CASES})")
    given = options.parse_args()
    n = 12 if given.smoke else given.cases
    real = REAL.is_dir() and not given.smoke
    if not REAL.is_dir():
        print(f"no recorded answers: {REAL} is not there")
    results = Results(benchmark="what_if_coverage", settings={"cases": n, "asked": 0})
    by_kind: dict[str, list[Told]] = {kind: [] for kind in KINDS}
    for case, seed in cases(n, real=real):
        told = measure(case)
        by_kind[case.kind] += told
        results.raw.append(described(case, seed, told))
    everything = [told for each in by_kind.values() for told in each]
    summed(results, "all", everything, bar=True)
    for kind, each in by_kind.items():
        summed(results, kind, each, bar=False)
    return report(results, given)


if __name__ == "__main__":
    sys.exit(main())
