"""The verdict reader on answers that were read by hand before it was looked at."""

import pytest

from tests.annotator.reading.hand_read import FILES, figures, judged, word_f1
from tests.annotator.reading.real_answers import DATA


@pytest.mark.skipif(not DATA.is_dir(), reason="no ../shared/data beside the project")
def test_it_reads_as_by_hand() -> None:
    found = list(judged("first"))
    everywhere = figures(found)
    assert everywhere.n >= 300
    assert everywhere.right >= 0.985
    assert everywhere.wrong <= 0.005
    assert everywhere.f1 >= 0.95
    held = figures(each for each in found if each.pointer["half"] == "held")
    assert held.n == everywhere.n // 2
    assert held.right >= 0.97
    assert held.wrong <= 0.01
    assert held.f1 >= 0.95


@pytest.mark.skipif(not DATA.is_dir(), reason="no ../shared/data beside the project")
@pytest.mark.parametrize(("name", "n"), [("second", 280), ("third", 82)])
def test_it_reads_as_a_second_reader_did(name: str, n: int) -> None:
    found = figures(judged(name))
    assert found.n == n
    assert found.right >= 0.985
    assert found.wrong <= 0.005
    assert found.f1 >= 0.95


@pytest.mark.parametrize("name", FILES)
def test_the_files_hold_pointers_only(name: str) -> None:
    """A label of a few words and places: nothing of an answer's text."""
    for line in FILES[name].read_text(encoding="utf-8").splitlines():
        assert len(line) < 220
        assert "." not in line.replace("u.s.", "")


@pytest.mark.parametrize(
    ("one", "other", "f1"), [("", "", 1), ("a b", "", 0), ("a b", "B a", 1), ("a b", "a c", 0.5)]
)
def test_word_f1(one: str, other: str, f1: float) -> None:
    assert word_f1(one, other) == f1
