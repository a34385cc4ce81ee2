"""`annotate parse`: the store's answers, read again."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

from rich.table import Table

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.console.tables import plain_table
from stepdistill.annotator.reading.reading import Reading
from stepdistill.annotator.settings.study import ParseSettings
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.study.rereading import (
    CHANGES,
    Change,
    ReadingTally,
    Rereading,
    StoredAnswer,
    change_line,
    is_file,
    reading_line,
    readings_in,
    rule_name,
    teachers_of,
)

Reads = Callable[[StoredAnswer], Reading | None]


def parse_command(settings: ParseSettings) -> None:
    """Read the stored answers to a task's rows; nobody is asked, nothing is written.

    Examples:

        annotate parse svamp --data data/svamp --split test

        annotate parse cqa --data data/cqa --template 4 --reader original --jsonl

        annotate parse cqa --data data/cqa --diff original verdict
    """
    output, as_lines = ConsoleOutput(quiet=settings.jsonl), settings.jsonl
    sides = settings.diff or (settings.reader,)
    with ResponseStore.open(settings.store, write=False) as opened:
        teachers = (
            [settings.teacher]
            if settings.teacher
            else teachers_of(opened, output.progress_line("answers counted"))
        )
        names = tuple(dict.fromkeys(side for side in sides if not is_file(side)))
        rereading = Rereading(settings.asking(), teachers, settings.template, names)
        if rereading.left_out:
            output.say(f"{rereading.left_out} templates without regexes are left out")
        answers = rereading.answers(opened, output.progress_line("rows looked up"))
        reads = [_reads(side, names) for side in sides]
        if len(reads) == 2:
            _compare(answers, reads[0], reads[1], output, as_lines=as_lines)
        else:
            _read(answers, reads[0], output, as_lines=as_lines)


def _reads(side: str, names: tuple[str, ...]) -> Reads:
    """How one side of a comparison reads: a reader by name, or what a file has."""
    if is_file(side):
        known = readings_in(Path(side))
        return lambda answer: known.get(answer.id)
    place = names.index(side)
    return lambda answer: answer.readings[place]


def _read(
    answers: Iterator[StoredAnswer], reads: Reads, output: ConsoleOutput, *, as_lines: bool
) -> None:
    table = ReadingTable()
    for answer in answers:
        reading = reads(answer)
        assert reading is not None
        if as_lines:
            output.data(reading_line(answer, reading))
        else:
            table.add(answer.template, reading)
    if not as_lines:
        table.show(output)


def _compare(
    answers: Iterator[StoredAnswer],
    before: Reads,
    after: Reads,
    output: ConsoleOutput,
    *,
    as_lines: bool,
) -> None:
    tally = ReadingTally()
    pairs = ((answer.id, before(answer), after(answer)) for answer in answers)
    changes = tally.changes(pairs)
    if as_lines:
        for change in changes:
            output.data(change_line(change))
    else:
        show_changes(changes, tally, output)


_SHOWN = 20
_NO_LABEL = "none"


class ReadingTable:
    """A table of readings, counted by template and rule."""

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

    def show(self, output: ConsoleOutput) -> None:
        """The table, and the totals below it."""
        numbers = ("answers", "with rationale", "mean confidence")
        table = plain_table(["template", "rule"], numbers)
        last = ""
        for key in sorted(self._answers, key=_by_template):
            n, (template, rule) = self._answers[key], key
            confidence = f"{self._confidence[key] / n:.2f}"
            shown = "" if template == last else template
            table.add_row(shown, rule, f"{n:,}", f"{self._rationales[key]:,}", confidence)
            last = template
        output.table(table)
        n = self._answers.total()
        unread = sum(n for (_, rule), n in self._answers.items() if rule.startswith(_NO_LABEL))
        rationales = self._rationales.total()
        output.show(
            f"{n:,} answers: {n - unread:,} labels ({(n - unread) / n:.1%}), "
            f"{rationales:,} rationales ({rationales / n:.1%})"
        )


def show_changes(changes: Iterable[Change], tally: ReadingTally, output: ConsoleOutput) -> None:
    """The changes by rule, and the first of them by row; the rest are only counted."""
    changes = iter(changes)
    first = list(islice(changes, _SHOWN))
    n = len(first) + sum(1 for _ in changes)
    by_count = sorted(tally.by_rules.items(), key=lambda each: -each[1].total())
    rows = [(*rules, *(f"{kinds[kind]:,}" for kind in CHANGES)) for rules, kinds in by_count]
    output.table(plain_table(["rule before", "rule after"], CHANGES, rows))
    output.show(f"{tally.compared:,} answers, {n:,} read differently")
    if first:
        output.table(_rows(first))
    if n > _SHOWN:
        output.show(f"... and {n - _SHOWN:,} more: --jsonl shows all")


def _rows(changes: list[Change]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("template", "split", "index", "change", "before", "after"):
        table.add_column(name, no_wrap=name != "after", justify="left")
    for change in changes:
        template, split, index = change.id
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
