"""What follows from an account: what one of each costs, groups, which templates are best."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import accumulate

from stepdistill.annotator.estimate.estimate import PlannedCost
from stepdistill.annotator.report.account import Account, CostPlace, Paid
from stepdistill.annotator.report.account import Account, CostPlace, Judged, Paid
from stepdistill.annotator.report.report import RunReport
from stepdistill.annotator.run.run_notes import RunNote
from stepdistill.annotator.store.answer import Mode

THIS_RUN = "this run"
BY = ("split", "template", "part", "mode")


def usd_per(account: Account) -> dict[str, float | None]:
    """What one of each costs, in USD; None where there is none of it."""
    usd, whole = float(account.total.usd), account.whole
    counts = {
        "row": account.rows,
        "label": whole.labels,
        "rationale": whole.rationales,
        "correct_label": whole.correct,
    }
    return {name: usd / n if n else None for name, n in counts.items()}


def grouped(paid: Mapping[CostPlace, Paid], by: str) -> dict[str, Paid]:
    """What was paid, by `run`, `split`, `template`, `part` or `mode`."""
    groups: defaultdict[str, Paid] = defaultdict(Paid)
    for place, each in paid.items():
        groups[getattr(place, by)] += each
    return dict(groups)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What a template achieved at which cost of a row."""

    template: str
    basis: str  # on which rows, and who read the answers
    rows: int  # with a gold label
    accuracy: float  # 0..1
    row_usd: float
    efficient: bool = False  # no other is as cheap and as good


def points(report: RunReport) -> list[Point]:
    """The run's templates and those of its teacher that the task's metadata knows, the cheapest
    first."""
    own = [
        Point(
            template=name,
            basis=THIS_RUN,
            rows=judged.gold,
            accuracy=judged.accuracy,
            row_usd=judged.row_usd,
        )
        for name, judged in report.account.judged.items()
        if judged.accuracy is not None
    ]
    same = {(each.template, each.rows, each.accuracy) for each in own}  # an experiment's own
    known = [e for e in _known(report) if (e.template, e.rows, e.accuracy) not in same]
    found = sorted((*own, *known), key=lambda each: (each.row_usd, -each.accuracy))
    bests = accumulate((each.accuracy for each in found), max, initial=-1.0)
    return [
        replace(each, efficient=each.accuracy > best)
        for each, best in zip(found, bests, strict=False)
    ]


def _known(report: RunReport) -> Iterator[Point]:
    for result in report.results:
        setting = result.setting
        if setting.teacher != report.note.teacher:
            continue
        for name, score in result.templates.items():
            if score.cost_per_row_usd is not None:
                yield Point(
                    template=name,
                    basis=f"{setting.rows} of {setting.split}, reader {setting.reader}",
                    rows=score.rows,
                    accuracy=score.accuracy,
                    row_usd=score.cost_per_row_usd,
                )


def best_and_own(known: list[Point]) -> list[Point]:
    """The points that a table has room for."""
    return [each for each in known if each.efficient or each.basis == THIS_RUN]


def difference(report: RunReport) -> float | None:
    """How far the actual cost is from the likely one, as a share of it; None without both."""
    if report.planned is None:
        return None
    _, likely = likely_usd(report.planned, report.note)
    return float(report.account.paid_usd) / likely - 1 if likely else None


def likely_usd(planned: PlannedCost, note: RunNote) -> tuple[Mode, float]:
    """What was likely in the mode in which the run was started; online where in both."""
    if {start.mode for start in note.starts} == {"batch"}:
        return "batch", planned.batch_usd.likely
    return "online", planned.online_usd.likely
