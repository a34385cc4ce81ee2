"""The index: what rows are chosen by and counted, searched in any language, and gone on with."""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from stepdistill.annotator.view.cache import KeptIndex
from stepdistill.annotator.view.entry import DISAGREES, RowEntry
from stepdistill.annotator.view.index import OTHERS, RowIndex
from stepdistill.annotator.view.query import FoundRows, find, wanted_of

FACETS = ("split", "label")
LABELS = ("joy", "anger", None)
TEXTS = {
    1: "Ein Zug fährt nach KÖLN",
    2: "今日はとても楽しい一日でした",
    3: 'she said "never mind" and left',
    4: "don't <script>alert(1)</script>",
}


def entries(n: int) -> Iterator[RowEntry]:
    for number in range(n):
        yield RowEntry(
            words={"split": "train" if number < n / 2 else "test", "label": LABELS[number % 3]},
            confidence=None if number % 3 == 2 else (number % 10) / 10,
            disagrees=DISAGREES["teacher / gold"] if number % 7 == 0 else 0,
            text=TEXTS.get(number, f"row number {number} of a harbour"),
            place=b"%d" % number,
        )


def filled(path: Path | str, n: int) -> RowIndex:
    index = RowIndex(path, FACETS)
    for _ in index.fill(entries(n), threading.Event()):
        pass
    return index


@pytest.fixture(scope="module")
def index() -> Iterator[RowIndex]:
    """5,000 rows; they are only read."""
    with_file = KeptIndex.open(Path("/dev/null/no-folder"), "0" * 64, FACETS)
    for _ in with_file.index.fill(entries(5_000), threading.Event()):
        pass
    yield with_file.index
    with_file.close()


def asked(index: RowIndex, *words: tuple[str, str]) -> FoundRows:
    return find(index, wanted_of(words, index.facets))


def counts(found: FoundRows, facet: str) -> dict[str, int]:
    return {each.value: each.n for each in found.facets[facet]}


def test_words_of_one_facet_are_alternatives_and_facets_are_joined(index: RowIndex) -> None:
    both = asked(index, ("label", "joy"), ("label", "anger"))
    one = asked(index, ("label", "joy"), ("split", "test"))
    assert both.n == sum(number % 3 != 2 for number in range(5_000))
    assert one.n == sum(number % 3 == 0 for number in range(2_500, 5_000))
    assert all(number % 3 == 0 and number >= 2_500 for number in one.page)


def test_a_count_is_of_what_else_could_be_chosen(index: RowIndex) -> None:
    found = asked(index, ("label", "joy"))
    assert counts(found, "label") == counts(asked(index), "label")
    assert sum(counts(found, "split").values()) == found.n


def test_a_row_without_a_label_is_chosen_by_an_empty_word(index: RowIndex) -> None:
    assert asked(index, ("label", "")).n == sum(number % 3 == 2 for number in range(5_000))


def test_disagreement_and_confidence_are_chosen_like_words(index: RowIndex) -> None:
    assert asked(index, ("disagrees", "teacher / gold")).n == len(range(0, 5_000, 7))
    unknown = asked(index, ("confidence", "not known"))
    assert unknown.n == counts(asked(index), "confidence")["not known"]
    assert asked(index, ("confidence", "no such band")).n == 0


def test_the_least_sure_come_first_and_unknown_ones_last(index: RowIndex) -> None:
    columns = index.columns["confidence"]
    first = asked(index, ("order", "unsure"))
    assert np.all(np.diff(columns[first.page]) >= 0)
    assert columns[first.page[0]] == 0
    last = asked(index, ("order", "unsure"), ("start", "4990"))
    assert np.isnan(columns[last.page[-1]])


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("koln", 1),
        ("FÄHRT zug", 1),
        ("楽しい", 2),
        ("日でし", 2),
        ('"never mind"', 3),
        ("don't", 4),
        ("<script>", 4),
        ("alert(1)", 4),
        ("number 4321", 4321),
        ("4321", 4321),
    ],
)
def test_texts_are_found(index: RowIndex, text: str, row: int) -> None:
    assert asked(index, ("q", text)).page == [row]


@pytest.mark.parametrize(
    "text",
    [
        *('"', '""', "*", "AND", "NOT x OR", "a NEAR b", "text:row", "(", "-", "^", "\0"),
        *('row"', "'; DROP TABLE search; --", "\ud800", "x" * 5_000, "{a b}: c", '"mind never"'),
    ],
)
def test_no_search_is_more_than_words(index: RowIndex, text: str) -> None:
    assert asked(index, ("q", text)).known == 5_000


def test_an_address_may_ask_for_nonsense(index: RowIndex) -> None:
    odd = (("start", "-1"), ("start", "9" * 30), ("order", "x"), ("row", "1"), ("label\0", "joy"))
    assert asked(index, *odd).n == 5_000
    assert asked(index, ("start", "999999")).page == []


def test_it_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    stopped = threading.Event()
    index = RowIndex(path, FACETS)
    stopped.set()
    list(index.fill(entries(5_000), stopped))
    known = index.rows
    index.close()
    assert 0 < known < 5_000
    again = RowIndex(path, FACETS)
    assert again.rows == known
    rest = (each for number, each in enumerate(entries(5_000)) if number >= known)
    list(again.fill(rest, threading.Event()))
    whole = filled(tmp_path / "whole.sqlite", 5_000)
    assert np.array_equal(again.columns, whole.columns, equal_nan=False) or np.array_equal(
        again.columns["label"], whole.columns["label"]
    )
    for words in ([("q", "harbour")], [("label", "joy"), ("split", "test")]):
        assert asked(again, *words) == asked(whole, *words)
    assert again.places([4_999]) == [b"4999"]
    again.close()
    whole.close()


def test_comparisons_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    index = filled(path, 300)
    for rows in index.uncompared():
        index.put_comparisons(rows, [DISAGREES["template / template"]] * len(rows))
    assert index.compared == 300
    index.close()
    again = RowIndex(path, FACETS)
    assert again.compared == 300
    assert list(again.uncompared()) == []
    assert asked(again, ("disagrees", "template / template")).n == 300
    again.close()


def test_of_too_many_words_the_rest_is_counted_together() -> None:
    index = RowIndex(":memory:", ())
    index.close()
    many = RowIndex("", ("label",))
    made = (RowEntry(words={"label": f"label {n}"}, place=b"x") for n in range(12_000))
    list(many.fill(made, threading.Event()))
    found = asked(many)
    assert len(many.words["label"]) <= 10_001
    assert found.more["label"] > 9_000
    assert OTHERS in many.words["label"]
    many.close()


def test_an_index_that_is_damaged_is_made_again(tmp_path: Path) -> None:
    first = KeptIndex.open(tmp_path, "a" * 64, FACETS)
    first.close()
    (file,) = tmp_path.glob("*.sqlite")
    file.write_bytes(b"no database" * 1_000)
    again = KeptIndex.open(tmp_path, "a" * 64, FACETS)
    assert again.index.rows == 0
    again.close()


def test_two_at_once_fill_two_files_and_old_ones_go(tmp_path: Path) -> None:
    one = KeptIndex.open(tmp_path, "a" * 64, FACETS)
    two = KeptIndex.open(tmp_path, "a" * 64, FACETS)
    list(one.index.fill(entries(10), threading.Event()))
    assert (one.index.rows, two.index.rows) == (10, 0)
    two.close()
    one.close()
    for number in range(12):
        KeptIndex.open(tmp_path, f"{number:064d}", FACETS).close()
    assert len(list(tmp_path.glob("*.sqlite"))) <= 9
    (mode,) = {file.stat().st_mode & 0o077 for file in tmp_path.glob("*.sqlite")}
    assert mode == 0
