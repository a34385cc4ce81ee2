"""What `annotate parse` shows: readings by template and rule, or what changes between two."""

from collections import Counter
from collections.abc import Iterable
from itertools import islice

from rich.table import Table

from stepdistill.annotator.console.screen import ConsoleOutput
from stepdistill.annotator.reading.reading import Reading
from stepdistill.annotator.study.reading_diff import KINDS, Change, ReadingTally, rule_name

_SHOWN = 20
_NO_LABEL = "none"


class ReadingTable:
    """Counts readings by template and rule."""

    def __init__(self) -> None:
        self._answers: Counter[tuple[str, str]] = Counter()
        self._rationales: Counter[tuple[str, str]] = Counter()
        self._confidence: Counter[tuple[str, str]] = Counter()

    def add(self, template: str, reading: Reading) -> None:
        """Count one answer's reading."""
        key = template, rule_name(reading)
        self._answers[key] += 1
        self._rationales[key] += reading.rationale is not None
        self._confidence[key] += reading.confidence  # pyright: ignore[reportArgumentType]  # a sum

    def show(self, screen: ConsoleOutput) -> None:
        """The table, and the totals below it."""
        table = Table(box=None, pad_edge=False)
        for name in ("template", "rule"):
            table.add_column(name, no_wrap=True)
        for name in ("answers", "with rationale", "mean confidence"):
            table.add_column(name, justify="right")
        last = ""
        for key in sorted(self._answers, key=_by_template):
            n, (template, rule) = self._answers[key], key
            confidence = f"{self._confidence[key] / n:.2f}"
            shown = "" if template == last else template
            table.add_row(shown, rule, f"{n:,}", f"{self._rationales[key]:,}", confidence)
            last = template
        screen.table(table)
        n = self._answers.total()
        unread = sum(n for (_, rule), n in self._answers.items() if rule.startswith(_NO_LABEL))
        rationales = self._rationales.total()
        screen.show(
            f"{n:,} answers: {n - unread:,} labels ({(n - unread) / n:.1%}), "
            f"{rationales:,} rationales ({rationales / n:.1%})"
        )


def show_changes(changes: Iterable[Change], tally: ReadingTally, screen: ConsoleOutput) -> None:
    """The changes by rule, and the first of them by row; the rest are only counted."""
    changes = iter(changes)
    first = list(islice(changes, _SHOWN))
    n = len(first) + sum(1 for _ in changes)
    table = Table(box=None, pad_edge=False)
    for name in ("rule before", "rule after"):
        table.add_column(name, no_wrap=True)
    for name in KINDS:
        table.add_column(name, justify="right")
    for rules, kinds in sorted(tally.by_rules.items(), key=lambda each: -each[1].total()):
        table.add_row(*rules, *(f"{kinds[kind]:,}" for kind in KINDS))
    screen.table(table)
    screen.show(f"{tally.compared:,} answers, {n:,} read differently")
    if first:
        screen.table(_rows(first))
    if n > _SHOWN:
        screen.show(f"... and {n - _SHOWN:,} more: --jsonl shows all")


def _rows(changes: list[Change]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("template", "split", "index", "change", "before", "after"):
        table.add_column(name, no_wrap=name != "after", justify="left")
    for change in changes:
        template, split, index = change.place
        sides = (_told(change, reading) for reading in (change.before, change.after))
        table.add_row(template, split, str(index), change.kind, *sides)
    return table


def _told(change: Change, reading: Reading | None) -> str:
    if reading is None:
        return "not read"
    if change.kind != "rationale":
        return reading.label if reading.label is not None else f"none ({reading.reason})"
    words = len((reading.rationale or "").split())
    return f"{words} words" if words else "none"


def _by_template(key: tuple[str, str]) -> tuple[int, str, str]:
    """Numbered templates by number."""
    template, rule = key
    return (int(template) if template.isdecimal() else 0), template, rule
