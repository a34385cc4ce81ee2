"""What `annotate new` shows: what a file holds, what it was taken for, and what was made of it."""

from collections import Counter
from collections.abc import Mapping, Sequence

import orjson
from rich.table import Table

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.importing.found import Found
from stepdistill.annotator.importing.label_column import LabelColumn
from stepdistill.annotator.importing.splits import SPLITS, interval
from stepdistill.annotator.importing.survey import Survey, cell
from stepdistill.annotator.settings.importing import NewSettings
from stepdistill.annotator.settings.rows import PROMPTS
from stepdistill.common.files.json_file import json_line
from stepdistill.common.kinds.kind import text_of
from stepdistill.common.urls import shown

_LABELS_SHOWN = 20
_COLUMNS_SHOWN = 40
_LEAST_WIDTH = 8  # of an example, where a terminal is narrow
_GAP = 2  # between columns
_LONGEST_NAME = 24
Counts = Mapping[str, Counter[str]]


def show_found(output: ConsoleOutput, found: Found | Survey) -> None:
    """The file's columns, a line each, with what its first rows have there."""
    survey = found if isinstance(found, Survey) else found.survey
    lines = [
        (
            _cut(path, _LONGEST_NAME),
            column.type,
            f"{column.filled:,}",
            column.different,
            "" if isinstance(found, Survey) else _cut(found.role(path), _LONGEST_NAME),
        )
        for path, column in list(survey.columns.items())[:_COLUMNS_SHOWN]
    ]
    headings = ("column", "type", "filled", "different", "taken as")
    used = sum(max(map(len, each)) + _GAP for each in zip(headings, *lines, strict=True))
    room = max(_LEAST_WIDTH, (output.width - used) // max(1, len(survey.first)) - _GAP)
    table = Table(box=None, pad_edge=False)
    for heading in (*headings, *map(str, range(1, len(survey.first) + 1))):
        right = heading in ("filled", "different")
        table.add_column(heading, justify="right" if right else "left", no_wrap=True)
    for line, path in zip(lines, survey.columns, strict=False):
        table.add_row(*line, *(_cut(_example(cell(path)(row)), room) for row in survey.first))
    output.show(f"{survey.file}: {survey.rows:,} rows, {len(survey.columns):,} columns")
    output.table(table)
    if len(survey.columns) > _COLUMNS_SHOWN:
        output.show(f"and {len(survey.columns) - _COLUMNS_SHOWN:,} more columns")
    output.show("")


def show_made(
    output: ConsoleOutput, settings: NewSettings, found: Found, counts: Counts, repeated: int
) -> None:
    """The splits by label, how it was understood, where all lies, and what comes next."""
    output.table(_table(found.labels, counts))
    output.show(f"Labels   {_described(found.labels)}")
    if repeated:
        output.show(f"Twice    {_rows(repeated)} what an earlier one says, and shares its split")
    for line in _intervals(counts):
        output.show(line)
    columns = found.columns
    read = ", ".join(f"{column} {{{name}}}" for name, column in columns.fields.items())
    ids = f"; rows are named by {columns.id}" if columns.id else ""
    left_out = ", ".join(f"{path} ({why})" for path, why in columns.left_out.items())
    output.show(f"Columns  {read}{ids}")
    if left_out:
        output.show(f"Left out {left_out}: --text takes one in")
    output.show(
        f"Prompts  {settings.prompts / settings.task}/ (task.yaml, templates.yaml: make the words "
        "yours)"
    )
    output.show(f"Rows     {settings.data_out}/ ({', '.join(f'{each}.jsonl' for each in SPLITS)})")
    for number, command in enumerate(next_commands(settings)):
        output.show(f"{'Next     ' if number == 0 else '         '}{command}")


def next_commands(settings: NewSettings) -> list[str]:
    """The three commands that come next, as they can be copied."""
    prompts = "" if settings.prompts == PROMPTS else f" --prompts {settings.prompts}"
    return [
        f"annotate prompts check {settings.task}{prompts}",
        f"annotate estimate {settings.task} --teacher gpt-6-luna{prompts}",
        f"annotate run {settings.task} --teacher simulated --split {','.join(SPLITS)}{prompts}",
    ]


def found_json(
    settings: NewSettings,
    found: Found,
    counts: Counts,
    remarks: Sequence[str],
    repeated: int,
) -> dict[str, object]:
    """All that was found, for programs."""
    survey, columns, labels = found.survey, found.columns, found.labels
    are_names = labels.label.kind in ("classes", "multi")
    return {
        "task": settings.task,
        "file": shown(settings.file),
        "rows": survey.rows,
        "columns": _columns(found),
        "first_rows": [orjson.loads(json_line(row)) for row in survey.first],
        "label": list(columns.labels),
        "id": columns.id,
        "text": list(columns.texts),
        "left_out": dict(columns.left_out),
        "kind": labels.label.kind,
        "why": labels.why,
        "classes": {name: _count(labels, name) for name in labels.label.classes}
        if are_names
        else {},
        "unlabelled": labels.unlabelled,
        "repeated": repeated,
        "splits": {split: dict(rows) for split, rows in counts.items()},
        "remarks": list(remarks),
        "prompts": str(settings.prompts / settings.task),
        "data": str(settings.data_out),
        "next": next_commands(settings),
    }


def _columns(found: Found) -> list[dict[str, object]]:
    return [
        {
            "name": path,
            "type": column.type,
            "filled": column.filled,
            "different": None if column.values is None else len(column.values),
            "role": found.role(path),
        }
        for path, column in found.survey.columns.items()
    ]


def _count(labels: LabelColumn, name: str) -> int:
    """Rows of a class, alone or among others."""
    if labels.label.kind == "classes":
        return labels.counts.get(name, 0)
    return sum(n for value, n in labels.counts.items() if name in labels.names_in(value))


def _described(labels: LabelColumn) -> str:
    """The kind that was guessed, from what, and how to have another."""
    spec = labels.label
    words = f"{spec.kind}: {labels.why}"
    if spec.tolerance is not None:
        low, high = spec.minimum, spec.maximum
        bounds = "no bounds" if low is None or high is None else f"bounds {low:g} and {high:g}"
        words += f"; {bounds}, right within {spec.tolerance:g}"
    return f"{words} (--kind for another, task.yaml for the rest)"


def _intervals(counts: Counts) -> list[str]:
    """How far a score on each split may be trusted, by its rows with a label."""
    labelled = {split: counts[split].total() - counts[split][""] for split in SPLITS[1:]}
    if not any(labelled.values()):
        return []
    words = [
        f"{low:.0%} to {high:.0%} by {split} ({n:,} labelled rows)"
        for split, n in labelled.items()
        for low, high in [interval(n)]
    ]
    return [f"Sure     80% right would mean {', '.join(words)}"]


def _table(labels: LabelColumn, counts: Counts) -> Table:
    table = Table("label", box=None, pad_edge=False)
    for split in SPLITS:
        table.add_column(split, justify="right")
    values = list(labels.counts) if any(labels.counts.values()) else []
    for value in values[:_LABELS_SHOWN]:
        table.add_row(_cut(value, 50), *(f"{counts[split][value]:,}" for split in SPLITS))
    if len(values) > _LABELS_SHOWN:
        rest = values[_LABELS_SHOWN:]
        sums = (sum(counts[split][value] for value in rest) for split in SPLITS)
        table.add_row(f"{len(rest):,} more", *(f"{n:,}" for n in sums))
    if labels.unlabelled:
        table.add_row("(none)", *(f"{counts[split]['']:,}" for split in SPLITS))
    table.add_row("all", *(f"{counts[split].total():,}" for split in SPLITS))
    return table


def _example(value: object) -> str:
    return " ".join(text_of(value).split())[:200] or "-"


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}\u2026"


def _rows(n: int) -> str:
    return "1 row says" if n == 1 else f"{n:,} rows say"
