"""How well each class is told, and which are taken for which: counts, and tables of 80 columns."""

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.box import SIMPLE
from rich.table import Table

from stepdistill.common.kinds.kind import Kind
from stepdistill.common.terminal import one_line
from stepdistill.trainer.data.examples import EvalExample
from stepdistill.trainer.scores import ClassScore

NO_CLASS = "(none of them)"
_MOST_IN_MATRIX = 8  # classes: more do not fit into 80 columns beside each other
_MOST_CLASSES = 20  # lines of a table; --json has the others
_MOST_MIXED_UP = 10
_WIDEST_NAME = 30

Confusion = dict[str, dict[str, int]]
"""gold class -> class answered, or NO_CLASS -> rows; without those of no row."""


def confusion(
    answers: Sequence[str | None], examples: Sequence[EvalExample], kind: Kind
) -> Confusion | None:
    """Which classes were answered for which; None where a label is not one class of a set."""
    if not kind.is_one_class:
        return None
    names = {kind.form(name): name for name in kind.spec.classes}
    pairs = Counter(
        (
            names.get(kind.form(example.gold), example.gold),
            names.get(kind.form(answer or ""), NO_CLASS),
        )
        for answer, example in zip(answers, examples, strict=True)
    )
    rows: Confusion = {}
    for (gold, answer), n in pairs.items():
        rows.setdefault(gold, {})[answer] = n
    return rows


def class_table(classes: Mapping[str, ClassScore]) -> Table:
    """Precision, recall and F1 of each class; of many, those that are told worst."""
    known = {name: each for name, each in classes.items() if each.n or each.named}
    title = None
    if len(known) > _MOST_CLASSES:
        title = f"the {_MOST_CLASSES} of {len(known)} classes with the lowest F1; --json has all"
        worst = sorted(known, key=lambda name: known[name].f1)[:_MOST_CLASSES]
        known = {name: known[name] for name in worst}
    table = _table("class", "rows", "answered", "precision", "recall", "F1", title=title)
    for name, each in known.items():
        shares = (f"{share:.3f}" for share in (each.precision, each.recall, each.f1))
        table.add_row(_short(name), f"{each.n:,}", f"{each.named:,}", *shares)
    return table


def classes_met(found: Confusion, classes: Sequence[str]) -> list[str]:
    """Those of some row or answer, in the order of the task's; others behind."""
    met = {*found, *(name for row in found.values() for name in row)} - {NO_CLASS}
    known = [name for name in classes if name in met]
    return known + sorted(met - {*known})


def confusion_table(found: Confusion, classes: Sequence[str]) -> Table | None:
    """All classes against all, where they fit; else what is mixed up most. None: nothing is."""
    names = classes_met(found, classes)
    if len(names) > _MOST_IN_MATRIX:
        return _mixed_up(found)
    none = [NO_CLASS] if any(NO_CLASS in row for row in found.values()) else []
    numbers = [str(number) for number in range(1, len(names) + 1)]
    heads = (*numbers, *(["none"] if none else []))
    table = _table("gold, and what was answered", *heads, title=None)
    for number, gold in zip(numbers, names, strict=True):
        row = found.get(gold, {})
        cells = (f"{row[name]:,}" if name in row else "." for name in (*names, *none))
        table.add_row(f"{number}  {_short(gold)}", *cells)
    return table


def _mixed_up(found: Confusion) -> Table | None:
    pairs = [
        (n, gold, answer)
        for gold, row in found.items()
        for answer, n in row.items()
        if answer != gold
    ]
    if not pairs:
        return None
    title = None
    if len(pairs) > _MOST_MIXED_UP:
        title = f"the {_MOST_MIXED_UP} most frequent of {len(pairs)} confusions; --json has all"
    table = Table("gold", "answered", title=title, title_justify="left", box=SIMPLE)
    table.add_column("rows", justify="right")
    for n, gold, answer in sorted(pairs, key=lambda pair: (-pair[0], pair[1:]))[:_MOST_MIXED_UP]:
        table.add_row(_short(gold), _short(answer), f"{n:,}")
    return table


def _table(first: str, *others: str, title: str | None) -> Table:
    table = Table(first, title=title, title_justify="left", box=SIMPLE, padding=(0, 1, 0, 0))
    for name in others:
        table.add_column(name, justify="right")
    return table


def _short(name: str) -> str:
    """A long name without its middle: those of one task often begin alike, or end so."""
    shown, half = one_line(name), _WIDEST_NAME // 2
    return shown if len(shown) <= _WIDEST_NAME else f"{shown[: half - 2]}...{shown[-half + 1 :]}"
