"""Texts of others are shown as they are, in lines and tables; programs get JSON in any case."""

import json

import pytest
from rich.table import Table

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.console.tables import plain_table

ODD = "gpt[/x] [bold]\x1b]0;t\x07 \u202eevil :smile: \x9b2J \r!"
SHOWN = r"gpt[/x] [bold]\x1b]0;t"


@pytest.mark.parametrize("way", ["show", "say", "warn", "table", "plain"])
def test_words_of_others_are_no_commands(capsys: pytest.CaptureFixture[str], way: str):
    output = ConsoleOutput()
    if way == "table":
        table = Table(ODD)
        table.add_row(ODD)
        output.table(table)
    elif way == "plain":
        output.table(plain_table([ODD], ["n"], [(ODD, "1")]))
    else:
        getattr(output, way)(ODD)

    captured = capsys.readouterr()
    told = captured.out + captured.err
    assert told.count(SHOWN) == (2 if way in ("table", "plain") else 1)
    assert r"\u202eevil :smile: \x9b2J" in told
    assert not set(told) & {"\x1b", "\x07", "\u202e", "\x9b", "\r"}


def test_json_for_programs_holds_what_no_terminal_can_show(capsys: pytest.CaptureFixture[str]):
    content: dict[str, object] = {"text": ODD, "path": "r\udcfcn", "n": 2**70}
    ConsoleOutput().json(content)

    assert json.loads(capsys.readouterr().out) == content
