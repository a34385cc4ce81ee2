"""`annotate new`."""

import re
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from stepdistill.annotator.commands.options import AsJson
from stepdistill.annotator.console.screen import ConsoleOutput
from stepdistill.annotator.importing.new_task import Labels, count_labels, find_columns, write_task
from stepdistill.annotator.importing.splitting import SPLITS, write_splits
from stepdistill.common.errors import ConfigError

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_LABELS_SHOWN = 20


def new_command(  # budget: a command's options are its parameters
    task: Annotated[str, typer.Argument(help="The new task's name, as tickets.")],
    file: Annotated[Path, typer.Argument(help="Rows: CSV, JSON lines or Parquet.")],
    *,
    label: Annotated[str, typer.Option(help="The column with the label; may be empty in rows.")],
    text: Annotated[
        list[str] | None,
        typer.Option(help="A column to read; may be repeated. Default: all but label and id."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--id", help="The column that names rows; default: id, if any.")
    ] = None,
    prompts: Annotated[Path, typer.Option(help="Where the task's folder goes.")] = Path("prompts"),
    data_out: Annotated[
        Path | None, typer.Option(help="Where the splits go; default data/TASK.")
    ] = None,
    valid: Annotated[float, typer.Option(min=0, max=1, help="Share of rows to select by.")] = 0.1,
    test: Annotated[float, typer.Option(min=0, max=1, help="Share of rows to be judged on.")] = 0.1,
    as_json: AsJson = False,
) -> None:
    """Make a task of a file of your own: its folder of prompts, and train, valid and test.

    Rows that say the same share a split. Rows without a label go to train: the teacher labels them.

    Examples:

        annotate new tickets tickets.csv --label team --text subject --text message
    """
    if not _NAME.fullmatch(task):
        raise ConfigError(f"task {task}: small letters, digits, - and _")
    if valid + test >= 1:
        raise ConfigError(f"--valid {valid:g} --test {test:g}: nothing is left to train on")
    columns = find_columns(file, label, text or (), name)
    labels = count_labels(file, columns)
    data = data_out or Path("data") / task
    if (prompts / task).exists():
        raise ConfigError(f"{prompts / task}: there already: take another name, or edit its files")
    counts = write_splits(file, columns, data, {"valid": valid, "test": test})
    write_task(prompts / task, file, columns, labels)
    screen = ConsoleOutput(quiet=as_json)
    if as_json:
        screen.json({"task": task, "splits": counts, "classes": labels.are_classes})
        return
    screen.table(_table(labels, counts))
    if not labels.are_classes:
        screen.show(
            f"{len(labels.counts)} different labels: free text, not a closed set of classes"
        )
    screen.show(f"Prompts  {prompts / task}/ (task.yaml, templates.yaml: make the words yours)")
    screen.show(f"Rows     {data}/ ({', '.join(f'{split}.jsonl' for split in SPLITS)})")
    screen.show(f"Next     annotate prompts check {task}")


def _table(labels: Labels, counts: dict[str, Counter[str]]) -> Table:
    table = Table("label", box=None, pad_edge=False)
    for split in SPLITS:
        table.add_column(split, justify="right")
    for value in list(labels.counts)[:_LABELS_SHOWN]:
        table.add_row(value, *(f"{counts[split][value]:,}" for split in SPLITS))
    if labels.without:
        table.add_row("(none)", *(f"{counts[split]['']:,}" for split in SPLITS))
    table.add_row("all", *(f"{counts[split].total():,}" for split in SPLITS))
    return table
