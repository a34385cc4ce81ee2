"""`annotate new`."""

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from stepdistill.annotator.commands.new_view import found_json, show_found, show_made
from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.dataset.row_check import row_remarks
from stepdistill.annotator.dataset.sources import Source, table_files
from stepdistill.annotator.importing.found import Found, NoLabelError, find
from stepdistill.annotator.importing.new_task import check_names, write_task
from stepdistill.annotator.importing.splits import divide, free_paths, whole_row, write_splits
from stepdistill.annotator.importing.survey import Survey, survey_file
from stepdistill.annotator.prompt.task import load_task
from stepdistill.annotator.settings.console import JSON, JsonSettings
from stepdistill.annotator.settings.importing import NewSettings
from stepdistill.common.errors import ConfigError
from stepdistill.common.files.json_file import RawRow
from stepdistill.common.files.remote import local_path
from stepdistill.common.files.row_file import remarks_on
from stepdistill.common.urls import is_url, shown
from stepdistill.common.whole_file import made_anew


def new_command(settings: NewSettings, console: JsonSettings = JSON) -> None:
    """Make a task of a file of your own: its folder of prompts, and train, valid and test.

    Shows what the file holds and what it is taken for; on a terminal it asks
    where that is not sure. Rows that say the same share a split. Rows without a
    label go to train, where the teacher labels them; where few have one, valid
    and test get these first.

    Examples:

        annotate new tickets tickets.csv

        annotate new tickets tickets.xlsx --label team --text subject --text body

        annotate new mails mails.jsonl --labels praise,question --text content.body
    """
    folder = settings.prompts / settings.task
    if folder.exists():
        raise ConfigError(f"{folder}: there already: take another name, or edit its files")
    free_paths(settings.data_out)
    output = ConsoleOutput(quiet=console.is_quiet)
    survey = _surveyed(settings.file, output)
    found = _found(settings, survey, output, console)
    if not console.as_json:
        show_found(output, found)
    check_names(survey.file, found.columns, found.labels.label)
    counts, n_repeated = _made(settings, found)
    remarks = [*found.remarks, *_of_rows(settings, found)]
    for line in remarks:
        output.warn(line)
    if console.as_json:
        output.json(found_json(settings, found, counts, remarks, n_repeated))
    else:
        show_made(output, settings, found, counts, n_repeated)


def _made(settings: NewSettings, found: Found) -> tuple[dict[str, Counter[str]], int]:
    """Make the task, all of it or nothing: each split's rows by label, and how many rows say what
    an earlier one says."""
    survey, columns, data = found.survey, found.columns, settings.data_out
    shares = {"valid": settings.valid, "test": settings.test}
    division = divide(survey, columns, found.labels, shares)
    folder = settings.prompts / settings.task
    with made_anew(folder):
        write_task(folder, shown(settings.file), columns, found.labels.label, data)
        written = write_splits(survey, columns, division, data)
    counts = {split: found.labels.by_label(rows) for split, rows in written.items()}
    return counts, division.repeated


def _surveyed(name: str, output: ConsoleOutput) -> Survey:
    """What a file holds, be it here or at a URL; how it is read is said."""
    file = local_path(name)
    # Of a shard at a URL the others are not here.
    files = [file] if is_url(name) and file.is_file() else table_files(file)
    for remark in remarks_on(files[0]):
        output.say(f"{shown(name)}: {remark}")
    if len(files) > 1 or file.is_dir():
        output.say(f"{shown(name)}: rows are those of {', '.join(each.name for each in files)}")
    return survey_file(file, files)


def _of_rows(settings: NewSettings, found: Found) -> list[str]:
    """What is odd about the rows, as a run would say it of them."""
    task = load_task(settings.prompts, settings.task)

    def rows() -> Iterator[RawRow]:
        return (whole_row(found.columns, row) for row in found.survey.read())

    source = Source(name=shown(settings.file), rows=rows, count=lambda: None, digest="")
    return row_remarks(task, source, "train", None)


def _found(
    settings: NewSettings, survey: Survey, output: ConsoleOutput, console: JsonSettings
) -> Found:
    """What the file is taken for; asked for where the label is not sure. Raises NoLabelError: it
    is not, and nobody is there to ask."""
    try:
        return find(settings, survey)
    except NoLabelError as error:
        if settings.yes or console.as_json or not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise
        show_found(output, survey)
        return find(_asked(settings, survey, error), survey)


def _asked(settings: NewSettings, survey: Survey, error: NoLabelError) -> NewSettings:
    """The settings by what a person answers. Raises NoLabelError: nothing."""
    candidates = [",".join(paths) for paths in error.candidates]
    likeliest = f" [{candidates[0]}]" if candidates else ""
    sys.stderr.write(
        "Which column is the label? Several, with commas, make sets of labels. If the\n"
        "file has none: the names to choose from, as a,b,c, or - for free text.\n"
    )
    while True:
        sys.stderr.write(f"Label{likeliest}: ")
        sys.stderr.flush()
        line = sys.stdin.readline()
        words = [word.strip() for word in line.split(",") if word.strip()]
        words = words or (candidates[0].split(",") if candidates and line else [])
        if not line:
            raise error
        if words == ["-"]:
            return replace(settings, unlabelled=True)
        if words and all(word in survey.columns for word in words):
            return replace(settings, label=tuple(words))
        if len(words) > 1 and not any(word in survey.columns for word in words):
            return replace(settings, labels=tuple(dict.fromkeys(words)))
        sys.stderr.write(f"Columns are {', '.join(survey.columns)}; names are at least two.\n")
