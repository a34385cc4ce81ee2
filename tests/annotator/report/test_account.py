"""Who paid for an answer: the run that was under way when it was asked."""

from dataclasses import replace

import pytest

from stepdistill.annotator.report.account import NO_RUN
from stepdistill.annotator.report.accountant import Payers
from stepdistill.annotator.run.run_notes import RunNote, Start, note_of
from stepdistill.annotator.store.answer import Mode
from tests.annotator.made import an_answer
from tests.annotator.report.made import some_settings


def a_note(name: str, *starts: Start) -> RunNote:
    return note_of(some_settings(), name, "run").model_copy(update={"starts": starts})


@pytest.mark.parametrize(
    ("asked_at", "mode", "payer"),
    [
        (99, "online", NO_RUN),
        (100, "online", "one"),
        (110, "online", "one"),  # in that second the other was started
        (111, "online", "other"),
        (125, "online", "other"),  # was killed: it may have gone on until the next was started
        (150, "online", "one"),
        (161, "online", NO_RUN),
        (161, "batch", "other"),  # collected by hand: the last that sent batches
        (99, "batch", NO_RUN),
        (105, "import", NO_RUN),
    ],
)
def test_the_payer_is_who_was_under_way(asked_at: int, mode: Mode, payer: str):
    one = a_note("one", Start(at=100.4, ended_at=110.2), Start(at=140, ended_at=160.5))
    other = a_note("other", Start(at=110.6, mode="batch"))

    assert Payers([other, one]).of(an_answer(asked_at=asked_at, mode=mode)) == payer


def test_a_note_keeps_no_secret_of_a_url() -> None:
    url = "https://me:pass@word@host/rows.csv?token=word"
    note = note_of(replace(some_settings(), data=url, base_url=url), "name", "run")
    assert note.data == note.base_url == "https://host/rows.csv"
    for path in ("rows@2?.csv", "hub:team/rows", None):
        assert note_of(replace(some_settings(), data=path), "name", "run").data == path
