"""How many rows are done: a line every few seconds on a terminal's other channel."""

import sys
import time
from contextlib import AbstractContextManager

_EVERY_S = 5.0


class ProgressLine(AbstractContextManager["ProgressLine"]):
    """Called with what was just done. quiet: says nothing. total: None where nobody knows."""

    def __init__(self, what: str, total: int | None = None, *, quiet: bool) -> None:
        self._what, self._total, self._quiet = what, total, quiet
        self._done = 0
        self._began = self._spoke = time.monotonic()

    def __call__(self, more: int) -> None:
        """Count, and say so when it is time to."""
        self._done += more
        clock = time.monotonic()
        if clock - self._spoke >= _EVERY_S:
            self._spoke = clock
            self._say(clock)

    def __exit__(self, *_: object) -> None:
        if self._spoke > self._began:
            self._say(time.monotonic())

    def _say(self, clock: float) -> None:
        if self._quiet:
            return
        rate = self._done / (clock - self._began)
        of, left = "", ""
        if self._total is not None:
            of, left = f"/{self._total:,}", f"  {(self._total - self._done) / rate:.0f} s left"
        sys.stderr.write(f"{self._done:,}{of} {self._what}  {rate:.0f} a second{left}\n")
