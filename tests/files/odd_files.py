"""Files as people have them, each with a trouble of its own, and how `annotate new` is called for
each: `ODD_FILES`, by the name of the file.

Every text says something of its label, so that a student could learn it.
"""

import bz2
import csv
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, cast

import openpyxl
import pyarrow
import pyarrow.parquet
import zstandard

ROWS = 60
TEAMS = ("billing", "delivery", "returns")
WORDS = {
    "billing": "The invoice was charged twice to my card",
    "delivery": "The parcel has not moved since Tuesday",
    "returns": "The label for sending it back is missing",
}
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class OddFile:
    """A file, how `new` is called for it, and what it is then taken for."""

    make: Callable[[], bytes]
    words: tuple[str, ...] = ()  # of `annotate new TASK FILE`
    kind: str = "classes"
    gold: int = ROWS  # rows with a label
    fields: tuple[str, ...] = ("text",)  # placeholders
    rows: int = ROWS
    says: str = ""  # what is said of it


def team(n: int) -> str:
    return TEAMS[n % 3]


def text(n: int) -> str:
    return f"{WORDS[team(n)]}, order {4000 + 7 * n} für Zoë."


def plain() -> list[Row]:
    return [{"id": f"r{n}", "text": text(n), "team": team(n)} for n in range(ROWS)]


def table(rows: Sequence[Sequence[object]], delimiter: str = ",", end: str = "\r\n") -> str:
    made = io.StringIO()
    csv.writer(made, delimiter=delimiter, lineterminator=end).writerows(rows)
    return made.getvalue()


def of_rows(rows: Sequence[Row], delimiter: str = ",") -> str:
    return table([list(rows[0]), *(list(row.values()) for row in rows)], delimiter)


def lines(rows: Sequence[Row]) -> bytes:
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows).encode()


def excel() -> bytes:
    """Two sheets, a title above the table, dates, whole numbers, empty lines and cells."""
    book = cast(Any, openpyxl.Workbook())
    sheet = book.active
    sheet.title = "Messages"
    for line in [["Messages of 2024"], [], ["No", "Received", "text", "team", "Note"]]:
        sheet.append(line)
    for n in range(ROWS):
        day = date(2024, 1, 1) + timedelta(days=n % 9)
        sheet.append([n + 1, day, text(n), team(n), "urgent" if n % 7 == 0 else None])
        if n == 30:
            sheet.append([])
    book.create_sheet("Legend").append(["billing", "money"])
    made = io.BytesIO()
    book.save(made)
    return made.getvalue()


def german_excel() -> bytes:
    """What Excel saves where the comma is the decimal sign, with its own first line."""
    rows = [["Nr", "Betrag", "text", "team"]]
    rows += [[str(n), f"{n},50", f"{text(n)} Größe: 5“", team(n)] for n in range(ROWS)]
    return ("sep=;\r\n" + table(rows, ";")).encode("cp1252")


def unicode_text() -> bytes:
    """Excel's `Unicode text`: UTF-16 and tabs, with lines within cells."""
    rows = [["text", "team"], *([text(n).replace(",", "\n"), team(n)] for n in range(ROWS))]
    return table(rows, "\t").encode("utf-16")


def pandas_index() -> bytes:
    """An index without a name, and a column of integers that a gap has made fractions of."""
    rows = [["", "text", "label"]]
    rows += [[str(n), text(n), "" if n == 7 else f"{n % 3}.0"] for n in range(ROWS)]
    return table(rows, end="\n").encode()


def columns_of_one_name() -> bytes:
    """`text` twice and `Text` beside it, and a delimiter at the end of each line."""
    rows = [["text", "Text", "text", "team", ""]]
    rows += [[text(n), f"Re: {n}", f"answer {n % 5}", team(n), ""] for n in range(ROWS)]
    return table(rows).encode("utf-8-sig")


def long_field() -> bytes:
    """A cell of 200,000 characters, in gzip."""
    rows = plain()
    rows[4]["text"] += " and so on" * 20_000
    return gzip.compress(of_rows(rows).encode())


def nan_and_mark() -> bytes:
    """JSON lines with a byte order mark, NaN, ids of 25 digits and half a character."""
    rows = [
        {
            "id": 10**24 + n,
            "text": text(n),
            "score": float("nan") if n % 2 else 0.5,
            "label": team(n),
        }
        for n in range(ROWS)
    ]
    return b"\xef\xbb\xbf" + lines(rows).replace(b"Zo\xc3\xab", b"Zo\\ud83d", 1) + b"\n\n"


def nested() -> bytes:
    """Objects within rows, lists, and keys that some rows do not have."""
    rows: list[Row] = [
        {
            "content": {"text": text(n), "subject": f"about {n}"},
            "choices": ["red", "blue"],
            "meta": {"team": team(n), "page": n // 4},
        }
        for n in range(ROWS)
    ]
    del rows[5]["content"]["subject"], rows[6]["choices"], rows[7]["meta"]
    return lines(rows)


def hub_parquet() -> bytes:
    """Numbers for names, as the hub has them, beside the names; lists; null for no number."""
    columns = {
        "text": [text(n) for n in range(ROWS)],
        "label": [n % 3 for n in range(ROWS)],
        "label_text": [team(n) for n in range(ROWS)],
        "tokens": [text(n).split() for n in range(ROWS)],
        "score": [None if n % 5 else n / 7 for n in range(ROWS)],
    }
    made = io.BytesIO()
    cast(Any, pyarrow.parquet).write_table(cast(Any, pyarrow).table(columns), made)
    return made.getvalue()


def json_array() -> bytes:
    """One array, its labels in lists."""
    rows = [
        {"text": text(n), "labels": [team(n), team(n + 1)][: n % 3], "n": n} for n in range(ROWS)
    ]
    return json.dumps(rows, indent=1).encode()


def pandas_json() -> bytes:
    """What `DataFrame.to_json` writes: for each column an object by row numbers, in bzip2."""
    rows = plain()
    columns = {name: {str(n): row[name] for n, row in enumerate(rows)} for name in rows[0]}
    return bz2.compress(json.dumps(columns).encode())


def flags() -> bytes:
    """A column of 0 and 1 for each class, in a zip."""
    rows = [
        {"text": text(n), **{name: int(name in (team(n), team(n * n))) for name in TEAMS}}
        for n in range(ROWS)
    ]
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as packed:
        packed.writestr("export/rows.csv", of_rows(rows))
        packed.writestr("__MACOSX/export/._rows.csv", b"\0")
    return made.getvalue()


def without_labels() -> bytes:
    rows = [{"ticket-id": f"T-{1000 + n}", "text": text(n)} for n in range(ROWS)]
    return of_rows(rows, "\t").encode()


def free_text() -> bytes:
    rows = [{"text": text(n)} for n in range(ROWS)]
    return zstandard.ZstdCompressor().compress(lines(rows))


def few_labels() -> bytes:
    """A label in one row of twenty."""
    rows = [["text", "team"]]
    rows += [[text(n), team(n) if n % 20 == 3 else ""] for n in range(400)]
    return table(rows).encode()


def odd_rows() -> bytes:
    """Ids twice and empty, texts twice and empty, a class of one row."""
    rows = plain()
    for n in (8, 9):
        rows[n]["id"] = "r7"
    rows[10]["id"] = ""
    rows[11]["text"] = rows[8]["text"]
    rows[12]["text"] = rows[13]["text"] = ""
    rows[14]["team"] = "others"
    return of_rows(rows, "|").encode()


def ratings() -> bytes:
    """Numbers with fractions, in xz."""
    rows = [["text", "rating"], *([text(n), f"{1 + n % 9 / 2:g}"] for n in range(ROWS))]
    return lzma.compress(table(rows).encode())


ODD_FILES: dict[str, OddFile] = {
    "Messages 2024.xlsx": OddFile(
        make=excel,
        words=("--label", "team", "--text", "text"),
        says="of its sheets Messages is read, and not Legend",
    ),
    "german.csv": OddFile(
        make=german_excel, fields=("Betrag", "text"), says="it is read as cp1252"
    ),
    "unicode.txt.tsv": OddFile(make=unicode_text, says="utf-16"),
    "index.csv": OddFile(make=pandas_index, gold=ROWS - 1, says="its column 1 has no name"),
    "twice.csv": OddFile(
        make=columns_of_one_name,
        words=("--label", "team"),
        fields=("text", "Text", "text_2"),
        says="goes by text_2",
    ),
    "long.csv.gz": OddFile(make=long_field),
    "nan.jsonl": OddFile(make=nan_and_mark, words=("--label", "label", "--text", "text")),
    "nested.jsonl": OddFile(
        make=nested,
        words=("--label", "meta.team", "--text", "content.text", "--text", "choices[0]"),
        fields=("content_text", "choices_0"),
        gold=ROWS - 1,
    ),
    "train-00000-of-00001.parquet": OddFile(make=hub_parquet, words=("--text", "text"), says=""),
    "array.json": OddFile(make=json_array, kind="multi", words=("--text", "text")),
    "columns.json.bz2": OddFile(make=pandas_json),
    "flags.zip": OddFile(
        make=flags, kind="multi", words=tuple(word for each in TEAMS for word in ("--label", each))
    ),
    "unlabelled.tsv": OddFile(make=without_labels, words=("--labels", ",".join(TEAMS)), gold=0),
    "free.jsonl.zst": OddFile(make=free_text, words=("--unlabelled",), kind="text", gold=0),
    "few.csv": OddFile(make=few_labels, gold=20, rows=400, words=("--valid", "0.1")),
    "odd.csv": OddFile(make=odd_rows, says="has the id of an earlier row in 2 rows"),
    "ratings.csv.xz": OddFile(make=ratings, kind="number"),
}
