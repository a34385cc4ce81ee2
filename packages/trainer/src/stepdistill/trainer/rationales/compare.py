"""`stepdistill rationales compare FOLDER...`: what a teacher's reasons do for a small student.

Students of several seeds learn the same labels with so many of the reasons, and are judged on the
same rows; the difference has an interval over both seeds and rows.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import orjson
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from stepdistill.common.intervals import Gain, gain_of
from stepdistill.trainer.data.shards import read_data
from stepdistill.trainer.rationales.students import TriedStudent, Tries
from stepdistill.trainer.settings.rationales import CompareRationalesSettings

HARDLY = 0.05  # above the commonest label: students that are no better have learnt next to nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class RateResult:
    """How good students are that learn from so many of the reasons."""

    rate: float
    students: Sequence[TriedStudent]

    @property
    def accuracies(self) -> list[float]:
        """By seed, 0..1."""
        return [each.right.count("1") / len(each.right) for each in self.students]

    def over(self, other: "RateResult") -> Gain:
        """What they are better by than students of another rate."""
        mine, its = ([each.right for each in one.students] for one in (self, other))
        return gain_of(mine, its)


def compare(settings: CompareRationalesSettings) -> None:
    """The command. Raises DistillError."""
    config = settings.training(settings.train, settings.valid)
    tries = Tries(config, read_data(config), settings.keep)
    found: list[TriedStudent] = []
    for student in tries.students(settings.rates, settings.seeds):
        found.append(student)
        if not settings.quiet:
            which = f", {student.rate:g} of the reasons" if len(settings.rates) > 1 else ""
            sys.stderr.write(
                f"student {len(found)} of {len(settings.rates) * settings.seeds}{which}: "
                f"{student.right.count('1') / len(student.right):.3f} right\n"
            )
    results = [
        RateResult(rate=rate, students=[each for each in found if each.rate == rate])
        for rate in settings.rates
    ]
    if settings.json:
        sys.stdout.write(orjson.dumps(_facts(settings, results, tries)).decode() + "\n")
    else:
        _show(settings, results, tries)


def _facts(
    settings: CompareRationalesSettings, results: Sequence[RateResult], tries: Tries
) -> dict[str, object]:
    """The object of `--json`."""
    first = results[0]
    return {
        "model": settings.model,
        "steps": settings.steps,
        "seeds": settings.seeds,
        "rows": len(first.students[0].right),
        "majority": tries.by_majority,
        "rates": [
            {
                "rate": each.rate,
                "reasons": each.students[0].reasons,
                "accuracy": fmean(each.accuracies),
                "gain": None if each is first else each.over(first).mean,
                "gain_interval": None if each is first else each.over(first).interval,
                "right": [student.right for student in each.students],
            }
            for each in results
        ],
    }


def _show(settings: CompareRationalesSettings, results: Sequence[RateResult], tries: Tries) -> None:
    first = results[0]
    table = Table("rate", "reasons", "accuracy", "worst - best seed", "gain", box=SIMPLE)
    for each in results:
        gain = "" if each is first else _in_points(each.over(first))
        seeds = f"{min(each.accuracies):.3f} - {max(each.accuracies):.3f}"
        reasons = f"{each.students[0].reasons:,}"
        table.add_row(f"{each.rate:g}", reasons, f"{fmean(each.accuracies):.3f}", seeds, gain)
    console = Console(markup=False, emoji=False)
    console.print(table)
    rows = len(first.students[0].right)
    console.print(
        f"{settings.seeds} students ({settings.model}, {settings.steps:,} steps) of each rate, "
        f"judged on {rows:,} rows; gain over rate {first.rate:g} in points, with its 95 % interval "
        "over seeds and rows",
        soft_wrap=True,
        highlight=False,
    )
    best = max(fmean(each.accuracies) for each in results)
    if best < tries.by_majority + HARDLY:
        console.print(
            f"They are hardly better than the commonest label ({tries.by_majority:.3f}), so they "
            "say little of reasons: more --steps or a larger --model would say more",
            soft_wrap=True,
            highlight=False,
        )


def _in_points(gain: Gain) -> str:
    low, high = gain.interval
    return f"{100 * gain.mean:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
