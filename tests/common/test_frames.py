"""Frames of any kind become rows, and rows join their frame again."""

import math

import pytest

from stepdistill.common.errors import DatasetError
from stepdistill.common.frames import read_frame
from stepdistill.common.free_name import free_name

ROWS = [{"text": "a", "n": 1}, {"text": "b"}]


def test_dicts_in_a_list_are_rows_and_what_one_lacks_is_nothing() -> None:
    frame = read_frame(ROWS)
    assert frame.columns == ("text", "n")
    assert frame.rows == ({"text": "a", "n": 1}, {"text": "b", "n": None})


def test_what_is_no_number_is_nothing() -> None:
    assert read_frame([{"n": math.nan}]).rows == ({"n": None},)


@pytest.mark.parametrize(
    ("frame", "line"),
    [
        ([], "the frame holds no row"),
        ("rows.csv", "a str is none: give a frame of pandas, polars or Arrow, or a list of dicts"),
        (7, "a int is none"),
        ({"text": ["a"]}, "a dict is none"),
        (["a", "b"], "a row is a str"),
    ],
)
def test_what_is_no_frame_is_refused_in_a_line(frame: object, line: str) -> None:
    with pytest.raises(DatasetError, match=line):
        read_frame(frame)


def test_a_name_that_is_taken_gets_a_number() -> None:
    assert free_name("label", ["text"]) == "label"
    assert free_name("label", ["label", "label_2"]) == "label_3"


def test_a_frame_of_pandas_keeps_its_index_and_its_columns() -> None:
    pandas = pytest.importorskip("pandas")
    given = pandas.DataFrame(
        {"label": ["x", "y"], "n": [1, None], "at": pandas.to_datetime(["2026-01-02", None])},
        index=[7, 3],
    )
    frame = read_frame(given)
    assert frame.rows[1] == {"label": "y", "n": None, "at": None}
    joined = frame.joined(["label", "why"], [{"label": "X"}, {"label": "Y", "why": "so"}])
    assert list(joined.columns) == ["label", "n", "at", "label_2", "why"]
    assert list(joined.index) == [7, 3]
    assert joined.label_2.tolist() == ["X", "Y"]


def test_two_columns_of_one_name_are_refused() -> None:
    pandas = pytest.importorskip("pandas")
    with pytest.raises(DatasetError, match="two columns a: rename one"):
        read_frame(pandas.DataFrame([[1, 2]], columns=["a", "a"]))


def test_tables_of_arrow_are_frames() -> None:
    arrow = pytest.importorskip("pyarrow")
    assert read_frame(arrow.table({"a": [1, 2]})).rows == ({"a": 1}, {"a": 2})
