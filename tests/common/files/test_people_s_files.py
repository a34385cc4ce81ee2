"""Files as spreadsheets, pandas and shells write them give the rows that a person sees in them;
what cannot be read for sure is refused in a line."""

import codecs
import gzip
import json
import math
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import orjson
import pyarrow
import pyarrow.parquet
import pytest
import zstandard

from stepdistill.common.errors import DatasetError
from stepdistill.common.files.json_file import json_line
from stepdistill.common.files.row_file import read_file, remarks_on

TABLE = [
    {"id": "1", "text": "schöne Aussicht, für 5 €", "label": "gut"},
    {"id": "2", "text": "nichts für uns; très cher", "label": "schlecht"},
]


def table(sign: str = ",", end: str = "\r\n") -> str:
    cells = [list(TABLE[0]), *(list(row.values()) for row in TABLE)]
    return "".join(sign.join(f'"{cell}"' for cell in line) + end for line in cells)


def a_file(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def rows(path: Path) -> list[dict[str, object]]:
    return list(read_file(path))


def refusal(path: Path) -> str:
    with pytest.raises(DatasetError) as refused:
        rows(path)
    assert "\n" not in str(refused.value)
    assert str(path) in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_table_is_read_whatever_a_spreadsheet_made_of_it(
    tmp_path: Path, sign: str, encoding: str, end: str
):
    path = a_file(tmp_path / "rows.csv", table(sign, end).encode(encoding))

    assert rows(path) == TABLE
    remarks = " ".join(remarks_on(path))
    assert ("read as" in remarks) == (not encoding.startswith("utf-8"))
    assert ("between its columns" in remarks) == (sign != ",")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "cp1252"])
def test_json_lines_are_read_in_other_encodings_too(tmp_path: Path, encoding: str):
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in TABLE)

    assert rows(a_file(tmp_path / "rows.jsonl", text.encode(encoding))) == TABLE


@pytest.mark.parametrize("name", ["rows.csv", "rows.tsv", "rows.jsonl", "rows.ndjson"])
@pytest.mark.parametrize("packed", ["", ".gz", ".zst"])
def test_packed_files_are_unpacked_whatever_they_hold(tmp_path: Path, name: str, packed: str):
    is_lines = "json" in name
    content = b"".join(map(orjson.dumps, TABLE)) if is_lines else table().encode()
    content = content.replace(b"}{", b"}\n{")
    frames = [content[:40], content[40:]]  # as of parts that were put behind each other
    pack = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress}[packed]

    assert rows(a_file(tmp_path / f"{name}{packed}", b"".join(map(pack, frames)))) == TABLE


def test_a_packed_file_may_lack_its_ending_and_a_plain_one_have_it(tmp_path: Path):
    assert rows(a_file(tmp_path / "a.csv", gzip.compress(table().encode()))) == TABLE
    assert rows(a_file(tmp_path / "b.csv.gz", table())) == TABLE


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
@pytest.mark.parametrize("keep", [0.3, 0.9, 0.999])
def test_a_packed_file_that_is_cut_off_is_refused(tmp_path: Path, pack: Any, keep: float):
    content = pack("".join(f"{math.sin(n)},{n}\n" for n in range(9_000)).encode())

    message = refusal(a_file(tmp_path / "rows.csv.gz", content[: int(keep * len(content))]))
    assert "cut off or damaged" in message


@pytest.mark.parametrize("first", ["sep=;", "SEP=;", '"sep=;"', "sep=;;;"])
def test_excel_s_own_first_line_names_the_delimiter(tmp_path: Path, first: str):
    path = a_file(tmp_path / "rows.csv", f"{first}\r\ntext;a,b\r\nx;1,5\r\ny;2,5\r\n")

    assert rows(path) == [{"text": "x", "a,b": "1,5"}, {"text": "y", "a,b": "2,5"}]
    a_file(path, f'{first}\ntext;label\nx;1\ny;"2\n')
    assert "line 4" in refusal(path)


def test_a_tab_or_semicolon_within_a_table_of_commas_is_text(tmp_path: Path):
    path = a_file(tmp_path / "rows.csv", "text,label\na;b;c,1\nd\te,2\n")

    assert rows(path) == [{"text": "a;b;c", "label": "1"}, {"text": "d\te", "label": "2"}]
    assert remarks_on(path) == []


def test_one_column_is_a_table(tmp_path: Path):
    assert rows(a_file(tmp_path / "r.csv", "text\none\ntwo; three\n")) == [
        {"text": "one"},
        {"text": "two; three"},
    ]


def test_a_line_of_another_width_is_named_under_any_delimiter(tmp_path: Path):
    path = a_file(tmp_path / "r.csv", "text;label\none;1\ntwo;2\nthree;3;4\nfour;4\n")

    assert "line 4: not the header's number of columns" in refusal(path)


def test_fields_may_be_long(tmp_path: Path):
    long = "liked it " * 40_000
    path = a_file(tmp_path / "rows.csv", f"id,text\n1,{long}\n2,so did she\n")

    assert [row["text"] for row in rows(path)] == [long, "so did she"]


def test_a_quotation_mark_within_quotation_marks_is_refused_with_its_line(tmp_path: Path):
    path = a_file(tmp_path / "rows.csv", 'id,text\n1,"so\n\nfar"\n2,"he said "no" to it"\n')

    assert "line 5: not readable CSV" in refusal(path)


@pytest.mark.parametrize("content", ["text,label,\na,1\nb,2\n", "text,label,\na,1,\nb,2,\n"])
def test_a_header_may_end_in_a_comma(tmp_path: Path, content: str):
    path = a_file(tmp_path / "rows.csv", content)

    assert [(row["text"], row["label"]) for row in rows(path)] == [("a", "1"), ("b", "2")]


def test_lines_may_end_in_a_comma_where_the_header_does_not(tmp_path: Path):
    path = a_file(tmp_path / "rows.csv", "text,label\na,1,\nb,2,,\n")

    assert rows(path) == [{"text": "a", "label": "1"}, {"text": "b", "label": "2"}]


def test_columns_without_a_name_or_of_one_name_are_kept_apart_and_said(tmp_path: Path):
    path = a_file(tmp_path / "rows.csv", ",text,text,text_2, label\n0,a,b,c,1\n")

    assert rows(path) == [
        {"Unnamed: 0": "0", "text": "a", "text_3": "b", "text_2": "c", "label": "1"}
    ]
    remarks = remarks_on(path)
    assert len(remarks) == 2
    assert "Unnamed: 0" in remarks[0]
    assert "text_3" in remarks[1]


def test_nan_is_null_and_integers_are_whole(tmp_path: Path):
    big = 123456789012345678901234567890
    lines = f'{{"id": {big}, "x": NaN}}\n{{"id": -{big}, "x": -Infinity}}\n{{"id": 1, "x": 1.5}}\n'
    found = rows(a_file(tmp_path / "rows.jsonl", lines))

    assert [row["id"] for row in found] == [big, -big, 1]
    assert [row["x"] for row in found] == [None, None, 1.5]
    assert [json.loads(json_line(row)) for row in found] == found
    inside = f'{{"a": {{"b": [1, [{big}]]}}, "c": 1e300}}\n'
    assert rows(a_file(tmp_path / "in.jsonl", inside)) == [{"a": {"b": [1, [big]]}, "c": 1e300}]


ODD_VALUES: list[tuple[object, object]] = [
    ("half \ud83d", "half \ufffd"),
    (["\udc00", 1 << 70], ["\ufffd", 1 << 70]),
    ({"\ud83d": 1, "x": 1 << 70}, {"\ufffd": 1, "x": 1 << 70}),
    ([math.nan, math.inf, -math.inf, 1 << 70], [None, None, None, 1 << 70]),
    (math.nan, None),
    ({1: "a", None: 1 << 70, ("b", 2): 3}, {"1": "a", "null": 1 << 70, "('b', 2)": 3}),
    ({date(2026, 1, 2): 1, "x": 1 << 70}, {"2026-01-02": 1, "x": 1 << 70}),
    ((datetime(2026, 1, 2, 3, tzinfo=UTC), 1 << 70), ["2026-01-02T03:00:00+00:00", 1 << 70]),
    ([date(2026, 1, 2), time(3, 4)], ["2026-01-02", "03:04:00"]),
    ([b"\x00a", Decimal("1.50")], ["AGE=", "1.50"]),
]


@pytest.mark.parametrize(("value", "read"), ODD_VALUES)
def test_whatever_a_row_holds_is_a_line_of_json(value: object, read: object) -> None:
    line = json_line({"x": value})
    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    assert json.loads(line, parse_constant=pytest.fail) == {"x": read}


def test_nan_of_parquet_is_null(tmp_path: Path):
    columns = {"x": [1.5, math.nan, None], "y": [[math.nan], [2.0], None], "t": ["a", "b", "c"]}
    cast(Any, pyarrow.parquet).write_table(
        cast(Any, pyarrow).table(columns), tmp_path / "r.parquet"
    )

    found = rows(tmp_path / "r.parquet")
    assert [row["x"] for row in found] == [1.5, None, None]
    assert [row["y"] for row in found] == [[None], [2.0], None]


def test_half_a_character_is_no_reason_to_refuse_a_row(tmp_path: Path):
    path = a_file(
        tmp_path / "rows.jsonl", r'{"text": "fine \ud83d\ude00, half \ud83d", "a": ["\udc00"]}'
    )

    assert rows(path) == [{"text": "fine \U0001f600, half \ufffd", "a": ["\ufffd"]}]


@pytest.mark.parametrize("bom", [codecs.BOM_UTF8, b""])
@pytest.mark.parametrize("line", [b"{", b"[" * 100_000, b'{"a": nan}', b"{'a': 1}", b'{"a": 1}}'])
def test_what_is_no_json_is_refused_with_its_line(tmp_path: Path, bom: bytes, line: bytes):
    path = a_file(tmp_path / "rows.jsonl", bom + b'{"a": 1}\n' + line + b"\n")

    assert "line 2: not JSON" in refusal(path)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Завтрак был хорош, но комната маленькая", "cp1251"),
        ("Завтрак был хорош, но комната маленькая", "koi8_r"),
        ("朝食は美味しかったが、部屋は狭かった", "shift_jis"),
        ("早餐很好，但是房间很小", "gb18030"),
        ("Das Frühstück war schön, für alle", "mac_roman"),
        ("Das Frühstück war schön, für alle", "cp850"),
        ("Żałuję, że nie zostałem dłużej", "cp1250"),
    ],
)
def test_other_encodings_are_refused_and_not_guessed_at(tmp_path: Path, text: str, encoding: str):
    message = refusal(a_file(tmp_path / "rows.csv", f"text,label\n{text},1\n".encode(encoding)))

    assert "UTF-8" in message
    assert "line 2" in message


def test_a_damaged_character_in_utf8_is_named_by_line(tmp_path: Path):
    content = table().encode() + "3,schön".encode() + b"\xfc,gut\n"

    message = refusal(a_file(tmp_path / "rows.csv", content))
    assert "byte 0xfc in line 4 is not UTF-8, though the rest is" in message


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl", "rows.csv.gz", "rows.parquet"])
def test_what_is_not_there_or_no_file_is_said_in_a_line(tmp_path: Path, name: str):
    assert "No such file" in refusal(tmp_path / name)
    (tmp_path / name).mkdir()
    assert "cannot be read" in refusal(tmp_path / name)
