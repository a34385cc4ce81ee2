"""`annotate new`."""

from collections import Counter

from rich.table import Table

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.dataset.row_check import row_remarks
from stepdistill.annotator.dataset.sources import open_source
from stepdistill.annotator.importing.label_column import LabelColumn, label_column
from stepdistill.annotator.importing.new_task import (
    SPLITS,
    check_names,
    find_columns,
    write_splits,
    write_task,
)
from stepdistill.annotator.prompt.task import load_task
from stepdistill.annotator.settings.console import JSON, JsonSettings
from stepdistill.annotator.settings.importing import NewSettings
from stepdistill.common.errors import ConfigError
from stepdistill.common.files.row_file import remarks_on

_LABELS_SHOWN = 20


def new_command(settings: NewSettings, console: JsonSettings = JSON) -> None:
    """Make a task of a file of your own: its folder of prompts, and train, valid and test.

    Rows that say the same share a split. Rows without a label go to train: the teacher labels them.

    Examples:

        annotate new tickets tickets.csv --label team --text subject --text message
    """
    task, folder, data = settings.task, settings.prompts / settings.task, settings.data_out
    columns = find_columns(settings.file, settings.label, settings.text, settings.id)
    labels = label_column(settings.file, settings.label, settings.kind)
    if folder.exists():
        raise ConfigError(f"{folder}: there already: take another name, or edit its files")
    check_names(settings.file, columns, labels.label)
    output = ConsoleOutput(quiet=console.is_quiet)
    for remark in remarks_on(settings.file):
        output.say(f"{settings.file}: {remark}")
    shares = {"valid": settings.valid, "test": settings.test}
    written = write_splits(settings.file, columns, data, shares)
    counts = {split: labels.by_label(rows) for split, rows in written.items()}
    write_task(folder, settings.file, columns, labels.label, data)
    made = load_task(settings.prompts, task)
    for line in row_remarks(made, open_source(made, str(settings.file), "train"), "train", None):
        output.warn(line)
    if console.as_json:
        kind = labels.label.kind
        output.json({"task": task, "splits": counts, "classes": kind == "classes", "kind": kind})
        return
    output.table(_table(labels, counts))
    output.show(f"Labels   {_described(labels)}")
    read = ", ".join(f"{column} {{{name}}}" for name, column in columns.fields.items())
    left_out = ", ".join(columns.left_out)
    ids = f"; left out as ids: {left_out} (--text takes one in)" if left_out else ""
    output.show(f"Columns  {read}{ids}")
    output.show(f"Prompts  {folder}/ (task.yaml, templates.yaml: make the words yours)")
    output.show(f"Rows     {data}/ ({', '.join(f'{split}.jsonl' for split in SPLITS)})")
    output.show(f"Next     annotate prompts check {task}")


def _described(labels: LabelColumn) -> str:
    """The kind that was guessed, from what, and how to have another."""
    spec = labels.label
    words = f"{spec.kind}: {labels.why}"
    if spec.tolerance is not None:
        low, high = spec.minimum, spec.maximum
        bounds = "no bounds" if low is None or high is None else f"bounds {low:g} and {high:g}"
        words += f"; {bounds}, right within {spec.tolerance:g}"
    return f"{words} (--kind for another, task.yaml for the rest)"


def _table(labels: LabelColumn, counts: dict[str, Counter[str]]) -> Table:
    table = Table("label", box=None, pad_edge=False)
    for split in SPLITS:
        table.add_column(split, justify="right")
    for value in list(labels.counts)[:_LABELS_SHOWN]:
        table.add_row(value, *(f"{counts[split][value]:,}" for split in SPLITS))
    if labels.unlabelled:
        table.add_row("(none)", *(f"{counts[split]['']:,}" for split in SPLITS))
    table.add_row("all", *(f"{counts[split].total():,}" for split in SPLITS))
    return table
