"""The index of what is looked at: narrow columns in memory, words and places in a file of SQLite.

What rows are chosen by fits into a few bytes a row, and counting a million of them takes
milliseconds; texts are searched by SQLite's FTS5, and read from where they lie, a page at a time.
The file is a cache: it is filled while rows are looked at, goes on where it was stopped, and may be
deleted at any time.
"""

import re
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepdistill.annotator.view.entry import COMPARED, RowEntry, word

_SCHEMA = """
CREATE TABLE IF NOT EXISTS word (facet TEXT, code INTEGER, text TEXT, PRIMARY KEY (facet, code));
CREATE TABLE IF NOT EXISTS block (first INTEGER PRIMARY KEY, columns BLOB, compared INTEGER);
CREATE TABLE IF NOT EXISTS compared (with_what TEXT);
CREATE TABLE IF NOT EXISTS place (n INTEGER PRIMARY KEY, place BLOB);
CREATE VIRTUAL TABLE IF NOT EXISTS search USING fts5
    (text, content='', tokenize='unicode61 remove_diacritics 2');
"""
# Rows that are put in at once: few at first, so that the first page comes at once.
_FIRST_BLOCK, _BLOCK = 200, 4_000
# Distinct words of a facet that are counted; of more, a person searches for one.
_MOST_WORDS = 10_000
OTHERS = "(others)"
_KEPT_SEARCHES = 8
# Letters of languages that put no spaces between words: each is a word of its own.
_UNSPACED = re.compile("([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff])")
_PHRASE = re.compile(r'"([^"]*)"?|(\S+)')
Mask = NDArray[np.bool_]


class RowIndex:
    """The rows that are known so far. One thread fills it, another one reads."""

    def __init__(self, path: Path | str, facets: Iterable[str]) -> None:
        """Raises sqlite3.Error: the file is none of ours, or damaged."""
        self._writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._writer.execute("PRAGMA journal_mode=WAL")
        self._writer.execute("PRAGMA synchronous=OFF")  # a cache: it is made again
        self._writer.executescript(_SCHEMA)
        self._reader = sqlite3.connect(path, check_same_thread=False)
        self.facets = tuple(facets)
        codes = [(name, np.int32) for name in self.facets]
        self._layout = np.dtype([*codes, ("confidence", np.float32), ("disagrees", np.uint8)])
        self._columns = np.zeros(1024, self._layout)
        self.words: dict[str, list[str]] = {name: [""] for name in self.facets}
        self._codes: dict[str, dict[str, int]] = {name: {"": 0} for name in self.facets}
        self.rows = self.compared = 0
        self._searches: OrderedDict[tuple[str, int], Mask] = OrderedDict()
        self._growing = threading.Lock()
        self._read_back()

    def _read_back(self) -> None:
        for name, text in self._writer.execute("SELECT facet, text FROM word ORDER BY code"):
            self._codes[name][text] = len(self.words[name])
            self.words[name].append(text)
        for blob, compared in self._writer.execute(
            "SELECT columns, compared FROM block ORDER BY first"
        ):
            block = np.frombuffer(bytearray(blob), self._layout)
            if compared:
                self.compared += len(block)
            else:  # what it has is from a comparison with something else
                block["disagrees"] &= ~np.uint8(COMPARED)
            self._grow(block)

    def _grow(self, block: NDArray[Any]) -> None:
        end = self.rows + len(block)
        with self._growing:
            if end > len(self._columns):
                larger = np.zeros(max(end, 2 * len(self._columns)), self._layout)
                larger[: self.rows] = self._columns[: self.rows]
                self._columns = larger
            self._columns[self.rows : end] = block
            self.rows = end  # last: who reads sees no row before its columns are there

    @property
    def columns(self) -> NDArray[Any]:
        """The columns of all rows that are known: codes of words, confidence (NaN: not known), and
        who disagrees."""
        with self._growing:
            return self._columns[: self.rows]

    def fill(self, entries: Iterator[RowEntry], stop: threading.Event) -> Iterator[int]:
        """Put in rows, those after the ones that it has; yields how many it has, after each block.

        stop: end after the block at hand."""
        while block := list(islice(entries, _BLOCK if self.rows else _FIRST_BLOCK)):
            self._put(block)
            yield self.rows
            if stop.is_set():
                return

    def _put(self, entries: Sequence[RowEntry]) -> None:
        first, new = self.rows, list[tuple[str, int, str]]()
        block = np.zeros(len(entries), self._layout)
        for place, entry in enumerate(entries):
            codes = [self._code(name, word(entry.words.get(name)), new) for name in self.facets]
            confidence = np.nan if entry.confidence is None else entry.confidence
            block[place] = (*codes, confidence, entry.disagrees)
        self._writer.execute("BEGIN")
        self._writer.executemany("INSERT INTO word VALUES (?, ?, ?)", new)
        numbered = list(enumerate(entries, start=first))
        places = ((n, each.place) for n, each in numbered)
        self._writer.executemany("INSERT INTO place VALUES (?, ?)", places)
        texts = ((n, _searchable(each.text)) for n, each in numbered)
        self._writer.executemany("INSERT INTO search (rowid, text) VALUES (?, ?)", texts)
        self._writer.execute("INSERT INTO block VALUES (?, ?, 0)", (first, block.tobytes()))
        self._writer.execute("COMMIT")
        self._grow(block)

    def _code(self, facet: str, text: str, new: list[tuple[str, int, str]]) -> int:
        codes, words = self._codes[facet], self.words[facet]
        if text not in codes and len(words) >= _MOST_WORDS:
            text = OTHERS
        if text not in codes:
            codes[text] = len(words)
            new.append((facet, codes[text], text))
            words.append(text)
        return codes[text]

    def compare_with(self, what: str) -> None:
        """From now on rows are compared with this; what was found with something else goes."""
        if self._writer.execute("SELECT with_what FROM compared").fetchall() == [(what,)]:
            return
        self._columns["disagrees"] &= ~np.uint8(COMPARED)
        self.compared = 0
        self._writer.executescript("BEGIN; UPDATE block SET compared = 0; DELETE FROM compared;")
        self._writer.execute("INSERT INTO compared VALUES (?)", (what,))
        self._writer.execute("COMMIT")

    def uncompared(self) -> Iterator[range]:
        """Blocks of rows whose comparisons are still to be made."""
        blocks = self._writer.execute(
            "SELECT first, length(columns) FROM block WHERE NOT compared ORDER BY first"
        ).fetchall()
        yield from (range(at, at + n // self._layout.itemsize) for at, n in blocks)

    def put_comparisons(self, rows: range, bits: Sequence[int]) -> None:
        """Add to who disagrees in the rows of a block."""
        block = self._columns[rows.start : rows.stop]
        block["disagrees"] |= np.array(bits, np.uint8)
        self._writer.execute(
            "UPDATE block SET columns = ?, compared = 1 WHERE first = ?",
            (block.tobytes(), rows.start),
        )
        self.compared += len(rows)

    def places(self, rows: Iterable[int], *, filling: bool = False) -> list[bytes]:
        """Where these rows lie. filling: asked by the thread that fills."""
        database = self._writer if filling else self._reader
        each = (
            database.execute("SELECT place FROM place WHERE n = ?", (int(n),)).fetchone()
            for n in rows
        )
        return [found[0] for found in each]

    def code(self, facet: str, text: str) -> int | None:
        """The code of a word; None where no row has it."""
        return self._codes[facet].get(text)

    def matching(self, text: str, rows: int) -> Mask:
        """Which of the first `rows` rows have all of these words, or beginnings of words; those in
        quotation marks in this order."""
        key = text, rows
        if key not in self._searches:
            self._searches[key] = self._search(text, rows)
            while len(self._searches) > _KEPT_SEARCHES:
                self._searches.popitem(last=False)
        self._searches.move_to_end(key)
        return self._searches[key]

    def _search(self, text: str, rows: int) -> Mask:
        mask, wanted = np.zeros(rows, np.bool_), _wanted(text)
        if wanted:
            found = self._reader.execute("SELECT rowid FROM search WHERE search MATCH ?", (wanted,))
            numbers = np.fromiter(chain.from_iterable(found), np.int64)
            mask[numbers[numbers < rows]] = True
        return mask

    def close(self) -> None:
        """Nothing is put in or read any more."""
        self._reader.close()
        self._writer.close()


def _searchable(text: str) -> str:
    return text if text.isascii() else _UNSPACED.sub(r" \1 ", text)


def _wanted(text: str) -> str:
    """What a person searches for, in FTS5's language, in which nothing of it has a meaning."""
    terms: list[str] = []
    for quoted, bare in _PHRASE.findall(text):
        plain = _searchable((quoted or bare).replace('"', " ").replace("\0", " "))
        if any(each.isalnum() for each in plain):
            terms.append(f'"{plain.strip()}"' + ("" if quoted else "*"))
    return " ".join(terms)
