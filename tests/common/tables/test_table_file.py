"""What is written can be read again, value for value; what cannot be written leaves what was."""

import csv
import gzip
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import orjson
import pandas as pd
import pytest

from stepdistill.common.errors import ConfigError
from stepdistill.common.files.row_file import read_file
from stepdistill.common.tables.cells import Row
from stepdistill.common.tables.table_file import ending_of, is_formula, table_file, tame

PANDAS = cast(Any, pd)  # its types are known in parts only
ODD: list[Row] = [
    {"id": "007", "text": 'Größe, "ja"\n\r\n日本 🎈', "n": 12345678901234567890123, "x": None},
    {"id": "1e5", "text": "=1+1", "n": -1, "x": {"a": [1, None]}},
    {"id": "NA", "text": "a\rb\tc  ", "n": 0, "x": {"a": []}},
    {"id": "", "text": "", "n": 2**63, "x": None},
]
COLUMNS = list(ODD[0])


def written(path: Path, rows: list[Row], columns: list[str] | None = None) -> list[Row]:
    with table_file(path, columns or list(rows[0])) as table:
        for row in rows:
            table.write(row)
    return list(read_file(path))


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz", "A.CSV.zst"])
def test_cells_of_text_are_read_back_as_they_were(tmp_path: Path, name: str) -> None:
    found = written(tmp_path / name, ODD)
    assert [row["id"] for row in found] == [row["id"] for row in ODD]
    assert [row["text"] for row in found] == [row["text"] for row in ODD]
    assert [row["n"] for row in found] == [str(row["n"]) for row in ODD]
    assert [row["x"] for row in found] == ["", '{"a":[1,null]}', '{"a":[]}', ""]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst"])
def test_json_lines_keep_every_value(tmp_path: Path, name: str) -> None:
    assert written(tmp_path / name, ODD) == ODD


def test_parquet_keeps_values_of_one_kind_and_writes_others_as_text(tmp_path: Path) -> None:
    when = datetime(2026, 1, 2, tzinfo=UTC)
    last: Row = {"n": None, "mixed": "one", "x": 0.5, "t": when, "none": None}
    rows: list[Row] = [
        *({"n": n, "mixed": n, "x": n, "t": when, "e": {}} for n in range(9000)),
        last,
    ]
    found = written(tmp_path / "a.parquet", rows, ["n", "mixed", "x", "t", "e", "none"])
    assert [row["n"] for row in found] == [*range(9000), None]
    assert [row["mixed"] for row in found] == [*map(str, range(9000)), "one"]
    assert [row["x"] for row in found] == [*range(9000), 0.5]
    assert found[0]["t"] == when
    assert (found[0]["e"], found[-1]["e"], found[0]["none"]) == ("{}", None, None)
    assert written(tmp_path / "b.parquet", [{"n": 2**53 + 1}, {"n": 0.5}])[0]["n"] == str(2**53 + 1)


def test_a_table_without_rows_has_its_columns(tmp_path: Path) -> None:
    for name in ("a.csv", "a.parquet"):
        with table_file(tmp_path / name, ["a", "b"]):
            pass
    assert list(PANDAS.read_csv(tmp_path / "a.csv")) == ["a", "b"]
    assert list(PANDAS.read_parquet(tmp_path / "a.parquet")) == ["a", "b"]


def test_pandas_reads_what_was_written(tmp_path: Path) -> None:
    written(tmp_path / "a.csv", ODD)
    frame = PANDAS.read_csv(tmp_path / "a.csv", dtype=str, keep_default_na=False)
    assert frame["text"].tolist() == [row["text"] for row in ODD]
    assert b"\r\n" not in (tmp_path / "a.csv").read_bytes().splitlines()[0]


def test_the_same_rows_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.csv.gz", "a.jsonl.zst", "a.parquet"):
        written(tmp_path / "one" / name, ODD)
        written(tmp_path / "two" / name, ODD)
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    with gzip.open(tmp_path / "one" / "a.csv.gz", "rt", newline="") as file:
        assert next(csv.reader(file)) == COLUMNS


def test_what_cannot_be_written_is_one_line_and_leaves_what_was(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    written(path, ODD)
    before = path.read_bytes()
    with pytest.raises(ZeroDivisionError), table_file(path, COLUMNS) as table:
        table.write(ODD[0])
        _ = 1 // 0
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    (tmp_path / "file").touch()
    with (
        pytest.raises(ConfigError, match=r"--to .*file/a\.csv: cannot be written"),
        table_file(tmp_path / "file" / "a.csv", COLUMNS),
    ):
        pass


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_half_a_character_is_the_sign_for_one_that_is_not_known(tmp_path: Path, name: str) -> None:
    with table_file(tmp_path / name, ["a"]) as file:
        file.write({"a": "half \ud83d"})
        file.write({"a": None})
    first, _ = read_file(tmp_path / name)
    assert first == {"a": "half \ufffd"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl.gz", "a.parquet"])
def test_a_full_disk_is_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.part").symlink_to("/dev/full")
    with pytest.raises(ConfigError, match="No space left"):
        written(tmp_path / name, ODD)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_ending_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"--to out.xls: the ending says .*\.csv, \.tsv"):
        ending_of(Path("out.xls"), "--to")
    with pytest.raises(ConfigError):
        ending_of(Path("out.parquet.gz"), "--to")


def test_formulas_are_known_and_tamed() -> None:
    assert all(map(is_formula, ("=1+1", "@A1", "- so it is", "+SUM(1)", "-1+cmd|' /C calc'!A0")))
    assert not any(map(is_formula, ("", "-1", "+1,5 %", "a=b", "'=1")))
    assert [tame("=1"), tame("=A1"), tame(-1), tame(None)] == ["=1", "'=A1", -1, None]
    assert orjson.dumps(tame("x")) == b'"x"'


def test_formulas_are_counted_where_a_spreadsheet_would_run_them(tmp_path: Path) -> None:
    for name, tames, text, said in (
        ("a.csv", False, "=1+1", "1 cell begins with = + - or @"),
        ("b.csv", True, "'=1+1", None),
        ("c.jsonl", False, "=1+1", None),
    ):
        with table_file(tmp_path / name, COLUMNS, tames=tames) as table:
            for row in ODD:
                table.write(row)
        assert (table.warning or "").startswith(said or "") and bool(table.warning) is bool(said)
        assert list(read_file(tmp_path / name))[1]["text"] == text
