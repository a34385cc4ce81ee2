"""`annotate parse`: the store's answers, read again."""

from collections.abc import Callable, Iterator
from pathlib import Path

from stepdistill.annotator.commands.parse_tables import ReadingTable, show_changes
from stepdistill.annotator.console.screen import ConsoleOutput
from stepdistill.annotator.reading.reading import Reading
from stepdistill.annotator.reading.record import read_answer
from stepdistill.annotator.settings.study import ParseSettings
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.study.reading_diff import ReadingTally
from stepdistill.annotator.study.reading_lines import change_line, is_file, line_of, readings_in
from stepdistill.annotator.study.rereading import Rereading, StoredAnswer, teachers_of

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
            else teachers_of(opened, output.pace("answers counted"))
        )
        names = {side for side in sides if not is_file(side)}
        rereading = Rereading(settings.asking(), teachers, settings.template, names)
        if rereading.left_out:
            output.say(f"{rereading.left_out} templates without regexes are left out")
        answers = rereading.answers(opened, output.pace("rows looked up"))
        reads = [_reads(side, rereading) for side in sides]
        if len(reads) == 2:
            _compare(answers, reads[0], reads[1], output, as_lines=as_lines)
        else:
            _read(answers, reads[0], output, as_lines=as_lines)


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
