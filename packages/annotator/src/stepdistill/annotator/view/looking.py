"""Looking at rows: an index that is being filled, and what is asked of it meanwhile."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from stepdistill.annotator.view.entry import DISAGREES, RowSource, shown
from stepdistill.annotator.view.index import RowIndex
from stepdistill.annotator.view.query import CONFIDENCE, DISAGREEMENT, find, wanted_of
from stepdistill.common.errors import DatasetError, DistillError, StoreError

_FIRST = ("split", "rejected", DISAGREEMENT, CONFIDENCE)
_FIRST_S = 2.0
_PROBED = 100  # rows that are looked at for something to compare
_ROWS_AT_ONCE = 200  # compared between two looks at whether to stop
Tell = Callable[[int], None]


@dataclass(slots=True)
class Filling:
    """How far the index is. state: `reading`, `comparing`, `done` or `failed`; error: why the
    last."""

    state: str = "reading"
    error: str | None = None


class Looking:
    """Rows that are looked at. Ask from one thread at a time."""

    def __init__(self, source: RowSource, index: RowIndex) -> None:
        self.source, self.index = source, index
        self.filling = Filling()
        self._stop, self._some = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, tell: Tell, done: Callable[[float], None]) -> None:
        """Begin to fill. tell: hears how many rows are in; done: after how many seconds all are."""

        def fill() -> None:
            start_s = time.monotonic()
            try:
                is_whole = self._fill(tell)
            except (DistillError, sqlite3.Error, OSError) as error:
                self.filling.error, self.filling.state = str(error), "failed"
                return
            finally:
                self._some.set()
            if is_whole:
                self.filling.state = "done"
                done(time.monotonic() - start_s)

        self._thread = threading.Thread(target=fill, name="index", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End filling, soon; what is in stays."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def _fill(self, tell: Tell) -> bool:
        """Whether all is in."""
        if self.index.rows != self.source.total or not self.index.rows:
            for n in self.index.fill(self.source.entries(self.index.rows), self._stop):
                self._some.set()
                tell(n)
        if self._stop.is_set():
            return False
        self.index.compare_with(self.source.compared_with)
        step = max(1, self.index.rows // _PROBED)
        probed = self.index.places(range(0, self.index.rows, step), filling=True)
        if not self.source.can_compare(probed):
            return True
        self.filling.state = "comparing"
        for rows in self.index.uncompared():
            bits: list[int] = []
            for first in range(rows.start, rows.stop, _ROWS_AT_ONCE):
                if self._stop.is_set():
                    return False
                some = range(first, min(first + _ROWS_AT_ONCE, rows.stop))
                bits += self.source.comparisons(self.index.places(some, filling=True))
            self.index.put_comparisons(rows, bits)
            tell(self.index.compared)
        return True

    def about(self) -> dict[str, object]:
        """What is looked at, and how far the index is."""
        # What has few words comes first: a task may have any number of labels.
        known = {**self.source.facets, CONFIDENCE: "confidence", DISAGREEMENT: "disagreement"}
        names = {name: known[name] for name in (*_FIRST, *known) if name in known}
        return {
            "title": shown(self.source.title),
            "total": self.source.total,
            "facets": list(names.items()),
            "remarks": [shown(line) for line in self.source.remarks],
            **self.progress(),
        }

    def progress(self) -> dict[str, object]:
        """How far the index is."""
        filling = self.filling
        return {
            "known": self.index.rows,
            "compared": self.index.compared,
            "state": filling.state,
            "error": shown(filling.error),
        }

    def page(self, words: Iterable[tuple[str, str]]) -> dict[str, object]:
        """The rows that an address asks for, one page of them, and what else could be chosen."""
        if not self.index.rows:
            self._some.wait(_FIRST_S)  # the first rows are there at once, and a page without is odd
        began_s, began_cpu_s = time.monotonic(), time.thread_time()
        progress = self.progress()  # before it is counted: `done` means that all is counted
        wanted = wanted_of(words, self.index.facets)
        found = find(self.index, wanted)
        bits = self.index.columns[DISAGREEMENT]
        rows = [
            {"n": n, **self.source.summary(place)}
            | {"disagrees": [who for who, bit in DISAGREES.items() if bits[n] & bit]}
            for n, place in zip(found.page, self.index.places(found.page), strict=True)
        ]
        return {
            "n": found.n,
            "start": wanted.start,
            "rows": shown(rows),
            "facets": {name: list(map(tuple, each)) for name, each in found.facets.items()},
            "more": found.more,
            "ms": round(1000 * (time.monotonic() - began_s), 1),
            "cpu_ms": round(1000 * (time.thread_time() - began_cpu_s), 1),
            **progress,
        }

    def row(self, n: int) -> dict[str, object]:
        """All that is known of a row. Raises DatasetError: there is none of this number (yet)."""
        if not 0 <= n < self.index.rows:
            raise DatasetError(f"no row {n}: {self.index.rows:,} rows are known so far")
        (place,) = self.index.places([n])
        detail = shown(self.source.detail(place))
        if not isinstance(detail, dict):
            raise StoreError("a row's detail is an object")
        return {"n": n, **detail}
