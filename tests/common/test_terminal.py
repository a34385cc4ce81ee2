"""What a stranger writes is seen on a terminal and never obeyed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepdistill.common.terminal import one_line, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;mine\x07\x1b[2J", r"\x1b]0;mine\x07\x1b[2J"),
        ("\x9b31m", r"\x9b31m"),
        ("over\rwritten\b", r"over\x0dwritten\x08"),
        ("\u202egnp.exe\u2066", r"\u202egnp.exe\u2066"),
        ("\u200fa\u2028b", r"\u200fa\u2028b"),
        ("half \ud83d", r"half \ud83d"),
        ("a\tb\nc, 5 €, \u0936\u200d\u0937, שלום", "a\tb\nc, 5 €, \u0936\u200d\u0937, שלום"),
    ],
)
def test_control_characters_are_shown_and_letters_stay(text: str, shown: str):
    assert visible(text) == shown
    assert visible(shown) == shown


def test_one_line_is_one():
    assert one_line(" a\n\tb\r\n\x1b[2Jc ") == r"a b \x1b[2Jc"


@given(st.text())
def test_what_is_shown_moves_no_cursor(text: str):
    shown = visible(text)

    assert all(letter.isprintable() or letter in "\t\n" or ord(letter) > 0x9F for letter in shown)
    shown.encode()
