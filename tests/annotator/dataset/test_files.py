"""Every kind of file gives the same rows; a damaged one is named before anything is asked."""

import gzip
import hashlib
from pathlib import Path

import pytest

from stepdistill.annotator.dataset.sources import open_source
from stepdistill.common.errors import DatasetError
from tests.annotator.dataset.made import RAW, a_task, json_lines, rows_of, write_rows

KINDS = ("jsonl", "json", "jsonl.gz", "json.gz", "csv", "parquet")
TASK = a_task(id="uid", gold="label")


def refusal(path: Path) -> str:
    with pytest.raises(DatasetError) as refused:
        open_source(TASK, str(path), "train").count()
    message = str(refused.value)
    assert "\n" not in message
    assert str(path) in message
    return message


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_gives_the_same_rows(tmp_path: Path, kind: str):
    path = write_rows(tmp_path / f"train.{kind}", RAW)

    rows = rows_of(TASK, path)

    assert [(row.id, row.index, row.split) for row in rows] == [
        ("a", 0, "train"),
        ("b", 1, "train"),
        ("c", 2, "train"),
    ]
    assert [row.fields for row in rows] == [{"text": raw["text"]} for raw in RAW]
    assert [row.gold for row in rows] == ["0", "2", "1"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_source_knows_its_size_and_content_and_opens_again(tmp_path: Path, kind: str):
    path = write_rows(tmp_path / f"train.{kind}", RAW)
    source = open_source(TASK, str(path), "train")

    assert source.count() == len(list(source.rows())) == len(list(source.rows())) == 3
    assert source.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert source.name == str(path)


def test_a_row_with_a_line_break_at_its_end_or_blank_lines_between_is_no_other_row(tmp_path: Path):
    path = tmp_path / "train.jsonl"
    path.write_bytes(json_lines(RAW).replace(b"\n", b"\r\n\n  \n").rstrip())

    assert [row.id for row in rows_of(TASK, path)] == ["a", "b", "c"]


def test_many_rows_of_parquet_come_in_order(tmp_path: Path):
    many = [{"uid": str(n), "text": f"text {n}", "label": n} for n in range(3000)]
    path = write_rows(tmp_path / "train.parquet", many)

    assert [row.id for row in rows_of(TASK, path)] == [row["uid"] for row in many]


def test_an_empty_file_has_no_rows(tmp_path: Path):
    path = tmp_path / "train.jsonl"
    path.touch()

    assert open_source(TASK, str(path), "train").count() == 0


def test_a_csv_as_spreadsheets_save_it_has_a_clean_first_column(tmp_path: Path):
    path = tmp_path / "train.csv"
    path.write_bytes(b"\xef\xbb\xbfuid,text,label\r\na,one,0\r\n")

    assert rows_of(TASK, path)[0].id == "a"


def test_a_cut_line_is_named_by_number(tmp_path: Path):
    path = tmp_path / "train.jsonl"
    path.write_bytes(json_lines(RAW)[:-9])

    assert "line 3: not JSON" in refusal(path)


@pytest.mark.parametrize("content", [b'  [{"uid":', b'[{"uid": "a"}, 7]', b"[7]\n[8]\n"])
def test_what_is_no_array_of_objects_is_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "train.json"
    path.write_bytes(content)

    assert "not a JSON" in refusal(path)


@pytest.mark.parametrize("content", [b"7\n", b'"text"\n', b"null\n"])
def test_a_line_that_is_no_object_is_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "train.jsonl"
    path.write_bytes(json_lines(RAW) + content)

    assert "line 4: not a JSON object" in refusal(path)


def test_text_that_no_encoding_fits_is_refused(tmp_path: Path):
    for name in ("train.jsonl", "train.csv"):
        path = tmp_path / name
        path.write_bytes(b"uid,text,label\na,\x81,0\n")
        refusal(path)


def packed() -> bytes:
    # Text that does not compress, so that a byte in the middle belongs to the packed data.
    rows = [{"uid": hashlib.sha256(str(n).encode()).hexdigest()} for n in range(200)]
    return gzip.compress(json_lines(rows))


def test_a_cut_gzip_file_is_said_to_be_cut(tmp_path: Path):
    path = tmp_path / "train.jsonl.gz"
    content = packed()
    path.write_bytes(content[: len(content) // 2])

    assert "cut off or damaged after line" in refusal(path)


@pytest.mark.parametrize("place", [0, 400, 4000, -6])
def test_a_damaged_gzip_file_is_refused(tmp_path: Path, place: int):
    path = tmp_path / "train.jsonl.gz"
    content = bytearray(packed())
    content[place] ^= 0xFF
    path.write_bytes(content)

    refusal(path)


def test_a_csv_line_with_too_many_or_too_few_columns_is_named(tmp_path: Path):
    path = tmp_path / "train.csv"
    for line in ("a,one\n", "a,one,0,more\n"):
        path.write_text(f"uid,text,label\nz,zero,0\n{line}")
        assert "line 3: not the header's number of columns" in refusal(path)


def test_a_csv_with_an_open_quotation_is_refused(tmp_path: Path):
    path = tmp_path / "train.csv"
    path.write_text('uid,text,label\na,"one,0\n')

    assert "not readable CSV" in refusal(path)


@pytest.mark.parametrize("keep", [0, 4, 200, -1])
def test_a_damaged_parquet_file_is_refused(tmp_path: Path, keep: int):
    path = write_rows(tmp_path / "train.parquet", RAW)
    path.write_bytes(path.read_bytes()[:keep])

    refusal(path)


def test_an_ending_that_nobody_knows_is_refused_with_those_known(tmp_path: Path):
    path = tmp_path / "train.docx"
    path.touch()

    message = refusal(path)
    assert ".jsonl, .json, .ndjson, .csv, .tsv, .xlsx, .parquet" in message
