"""What follows from an account: what one of each costs, groups, which templates are best."""

from collections import defaultdict
from collections.abc import Mapping

from annotator.accounts.account import Account, Judged, Paid, Place
from annotator.accounts.reporting import RunReport

BY = ("split", "template", "part", "mode")


def figures(account: Account) -> dict[str, float | None]:
    """What one of each costs, in USD; None where there is none of it."""
    usd, whole = float(account.total.usd), account.whole
    counts = {
        "row": account.rows,
        "label": whole.labels,
        "rationale": whole.rationales,
        "correct_label": whole.correct,
    }
    return {name: usd / n if n else None for name, n in counts.items()}


def grouped(paid: Mapping[Place, Paid], by: str) -> dict[str, Paid]:
    """What was paid, by `run`, `split`, `template`, `part` or `mode`."""
    groups: defaultdict[str, Paid] = defaultdict(Paid)
    for place, each in paid.items():
        groups[getattr(place, by)] += each
    return dict(groups)


def frontier(account: Account) -> list[str]:
    """Templates that no other beats in both accuracy and cost of a row, the cheapest first."""
    best, found = -1.0, list[str]()
    for name, judged in sorted(account.judged.items(), key=lambda each: row_usd(each[1])):
        if judged.accuracy is not None and judged.accuracy > best:
            best = judged.accuracy
            found.append(name)
    return found


def row_usd(judged: Judged) -> float:
    """What a row of a template cost."""
    return float(judged.usd) / judged.rows if judged.rows else 0.0


def difference(report: RunReport) -> float | None:
    """How far the actual cost is from the likely one, as a share of it; None without both."""
    if report.planned is None:
        return None
    modes = {start.mode for start in report.note.starts}
    planned = report.planned.batch_usd if modes == {"batch"} else report.planned.online_usd
    paid = report.account.paid_usd
    return float(paid) / planned[1] - 1 if planned[1] else None


def rate(account: Account) -> list[tuple[int, int]]:
    """Answers in each minute of the run from its first, as far as there were some."""
    first = min(account.by_minute, default=0)
    return [(minute - first, n) for minute, n in sorted(account.by_minute.items())]
