"""`annotate parse`: the store's answers, read again."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from stepdistill.annotator.commands.options import (
    BaseUrl,
    Data,
    Models,
    Prompts,
    ReaderName,
    Samples,
    Store,
    TaskName,
)
from stepdistill.annotator.commands.parse_tables import ReadingTable, show_changes
from stepdistill.annotator.console.screen import ConsoleOutput
from stepdistill.annotator.reading.readers import VERDICT
from stepdistill.annotator.reading.reading import Reading
from stepdistill.annotator.reading.record import read_answer
from stepdistill.annotator.settings.run import OUT, STORE, RunSettings
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.study.reading_diff import ReadingTally
from stepdistill.annotator.study.reading_lines import change_line, is_file, line_of, readings_in
from stepdistill.annotator.study.rereading import Rereading, StoredAnswer, teachers_of

Reads = Callable[[StoredAnswer], Reading | None]


def parse_command(  # budget: a command's options are its parameters
    task: TaskName,
    *,
    split: Annotated[str, typer.Option(help="The split of the rows.")] = "train",
    template: Annotated[
        list[str] | None, typer.Option(help="Only this template; may be repeated.")
    ] = None,
    reader: ReaderName = VERDICT,
    diff: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="BEFORE AFTER",
            help="What do two readers read differently? Either may be a file of --jsonl lines.",
        ),
    ] = None,
    teacher: Annotated[
        str | None, typer.Option(help="Whose answers; default: everybody's that the store has.")
    ] = None,
    data: Data = None,
    samples: Samples = None,
    base_url: BaseUrl = None,
    models: Models = None,
    prompts: Prompts,
    store: Store = STORE,
    as_lines: Annotated[
        bool, typer.Option("--jsonl", help="A JSON line for each answer, for programs.")
    ] = False,
) -> None:
    """Read the stored answers to a task's rows; nobody is asked, nothing is written.

    Examples:

        annotate parse svamp --data data/svamp --split test

        annotate parse cqa --data data/cqa --template 4 --reader original --jsonl

        annotate parse cqa --data data/cqa --diff original verdict
    """
    config = RunSettings(
        task=task,
        splits=(split,),
        teacher=teacher or "",
        prompts=prompts,
        store=store,
        out=OUT / task,
        data=data,
        samples=samples,
        base_url=base_url,
        models=models,
    )
    screen = ConsoleOutput(quiet=as_lines)
    sides = diff or (reader,)
    with ResponseStore.open(store, write=False) as opened:
        teachers = [teacher] if teacher else teachers_of(opened, screen.pace("answers counted"))
        names = {side for side in sides if not is_file(side)}
        rereading = Rereading(config, teachers, template or [], names)
        if rereading.left_out:
            screen.say(f"{rereading.left_out} templates without regexes are left out")
        answers = rereading.answers(opened, screen.pace("rows looked up"))
        reads = [_reads(side, rereading) for side in sides]
        if len(reads) == 2:
            _compare(answers, reads[0], reads[1], screen, as_lines=as_lines)
        else:
            _read(answers, reads[0], screen, as_lines=as_lines)


def _reads(side: str, rereading: Rereading) -> Reads:
    """How one side of a comparison reads: a reader by name, or what a file has."""
    if is_file(side):
        known = readings_in(Path(side))
        return lambda answer: known.get(answer.place)
    readers = rereading.readers.get(side)
    if readers is None:  # there is no teacher, so no answer either
        return lambda answer: None
    return lambda answer: read_answer(
        answer.answer, answer.fields, readers.by_template[answer.template]
    )


def _read(
    answers: Iterator[StoredAnswer], reads: Reads, screen: ConsoleOutput, *, as_lines: bool
) -> None:
    table = ReadingTable()
    for answer in answers:
        reading = reads(answer)
        assert reading is not None
        if as_lines:
            screen.data(line_of(answer.place, reading))
        else:
            table.add(answer.template, reading)
    if not as_lines:
        table.show(screen)


def _compare(
    answers: Iterator[StoredAnswer],
    before: Reads,
    after: Reads,
    screen: ConsoleOutput,
    *,
    as_lines: bool,
) -> None:
    tally = ReadingTally()
    pairs = ((answer.place, before(answer), after(answer)) for answer in answers)
    changes = tally.changes(pairs)
    if as_lines:
        for change in changes:
            screen.data(change_line(change))
    else:
        show_changes(changes, tally, screen)
