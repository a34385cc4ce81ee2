"""Which kind of label the values of a column make, and what is said of it."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from stepdistill.common.errors import DatasetError
from tests.annotator.importing.made import labels_of


def made(folder: Path, values: list[Any]) -> Path:
    path = folder / "rows.jsonl"
    rows = [{"text": f"row {number}", "kind": value} for number, value in enumerate(values)]
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return path


@pytest.mark.parametrize(
    ("values", "kind", "why"),
    [
        (["yes", "no", "yes"], "classes", "2 different values"),
        ([-1, 0, 1, 1], "classes", "3 different values"),
        ([1.0, 5.0, 3.0], "classes", "3 different values"),
        ([f"free words {i}" for i in range(60)], "text", "60 different labels"),
        ([1.5, 2.25, 4.0], "number", "3 different numbers from 1.5 to 4"),
        (list(range(80)), "number", "80 different numbers from 0 to 79"),
        ([["joy"], ["joy", "anger"], []], "multi", "2 names, several to a row in lists"),
        (["['joy']", "['anger', 'joy']"], "multi", "2 names, several to a row in lists"),
        (["joy;anger", "joy", "anger;fear", "fear"], "multi", "3 names, several to a row with ;"),
        (["joy, anger", "joy", "anger, joy", "none"], "multi", "2 names, several to a row with ,"),
        (["Yes, always", "No, never"], "classes", "2 different values"),
        (["NOT ENOUGH INFO", "Sci/Tech", "C++", "R&B"], "classes", "4 different values"),
    ],
)
def test_the_kind_is_guessed_from_the_values(
    tmp_path: Path, values: list[Any], kind: str, why: str
) -> None:
    found = labels_of(made(tmp_path, values), "kind")

    assert found.label.kind == kind
    assert found.why.startswith(why)


def test_the_names_of_sets_are_classes(tmp_path: Path) -> None:
    found = labels_of(made(tmp_path, [["a, b", "c"], ["c"], [], None]), "kind")

    assert {name: each.gold for name, each in found.label.classes.items()} == {
        "c": ["c"],
        "a, b": ["a, b"],
    }
    assert found.unlabelled == 1


def test_a_scale_is_taken_where_both_of_its_ends_are_reached(tmp_path: Path) -> None:
    stars = labels_of(made(tmp_path, [1, 5, 2.5]), "kind").label
    prices = labels_of(made(tmp_path, [12.5, 1000]), "kind").label

    assert (stars.minimum, stars.maximum, stars.tolerance) == (1, 5, 0.4)
    assert (prices.minimum, prices.maximum, prices.tolerance) == (None, None, 100)


def test_a_kind_may_be_said(tmp_path: Path) -> None:
    stars = labels_of(made(tmp_path, [1, 2, 5]), "kind", "number")
    alone = labels_of(made(tmp_path, ["joy", "anger"]), "kind", "multi")
    words = labels_of(made(tmp_path, ["joy", "anger"]), "kind", "text")

    assert (stars.label.kind, stars.label.maximum) == ("number", 5)
    assert list(alone.label.classes) == ["joy", "anger"]
    assert words.label.classes == {}


def test_values_that_are_not_of_the_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="`joy` is not a number"):
        labels_of(made(tmp_path, ["joy", "2"]), "kind", "number")
    with pytest.raises(DatasetError, match=r"`fear` \(2 rows\): cannot be read as a label"):
        labels_of(made(tmp_path, [["joy", "anger"], ["joy"], "fear", "fear"]), "kind", "multi")
    with pytest.raises(DatasetError, match="260 different names"):
        labels_of(made(tmp_path, [f"name {i}" for i in range(260)]), "kind", "classes")


def test_a_class_that_is_written_in_two_ways_is_one(tmp_path: Path) -> None:
    values = (
        ["Rückgabe"] * 5 + ["RÜCKGABE", "Zahlung  fällig"] + ["Zahlung fällig"] * 6 + ["rückgabe."]
    )
    found = labels_of(made(tmp_path, values), "kind")
    assert found.counts == {"Rückgabe": 7, "Zahlung fällig": 7}
    assert found.label.classes["Rückgabe"].gold == ["Rückgabe", "RÜCKGABE", "rückgabe."]
    assert found.stratum("RÜCKGABE") == found.stratum("Rückgabe") == "Rückgabe"
    assert found.why == "2 different values"
