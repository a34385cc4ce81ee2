"""Texts of others on a page: no markup, and nothing that turns letters round unseen."""

from pathlib import Path

import pytest

from stepdistill.common.page import rendered

TEXT = "<b>evil</b>\u202egnp.exe\x1b[2J, 5 € & more"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a.html.jinja", r"&lt;b&gt;evil&lt;/b&gt;\u202egnp.exe\x1b[2J, 5 € &amp; more"),
        ("a.md.jinja", TEXT),
    ],
)
def test_what_a_page_shows_is_seen_for_what_it_is(tmp_path: Path, name: str, shown: str) -> None:
    (tmp_path / name).write_text("{{ text }}|{{ number|percent }}|{{ text|length }}")

    assert rendered(tmp_path / name, text=TEXT, number=0.5) == f"{shown}|50.0 %|{len(TEXT)}"
