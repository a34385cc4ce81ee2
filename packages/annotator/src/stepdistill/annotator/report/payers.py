"""Which run paid for an answer: the one that was under way when it was asked, as only one writes to
a store at a time. A batch may be collected when no run is: its answers are of the last that sent.
"""

from bisect import bisect_right
from collections.abc import Sequence
from math import inf
from typing import NamedTuple

from stepdistill.annotator.run.run_notes import RunNote
from stepdistill.annotator.store.answer import Answer, Mode

NO_RUN = "(no run)"


class _Time(NamedTuple):
    """From the second in which a run was started to the one in which it ended."""

    begin: int
    end: float
    run: str
    mode: Mode


class Payers:
    """The runs that a store remembers, by their times."""

    def __init__(self, notes: Sequence[RunNote]) -> None:
        starts = sorted(
            ((start, note.name) for note in notes for start in note.starts),
            key=lambda each: each[0].at,
        )
        nexts = [*(start.at for start, _ in starts[1:]), inf][: len(starts)]
        self._times = [
            # Of a killed one nobody knows the end: it is at most when the next was started.
            _Time(
                int(start.at), after if start.ended_at is None else start.ended_at, name, start.mode
            )
            for (start, name), after in zip(starts, nexts, strict=True)
        ]

    def of(self, answer: Answer) -> str:
        """The run's name; NO_RUN for what was imported, or came before runs were remembered."""
        if answer.mode == "import":
            return NO_RUN
        number = bisect_right(self._times, answer.asked_at, key=lambda time: time.begin) - 1
        if number < 0:
            return NO_RUN
        # Two may share a second: its answers are of the earlier, which was under way all along.
        while number and self._times[number - 1].end >= answer.asked_at:
            number -= 1
        if answer.asked_at <= self._times[number].end:
            return self._times[number].run
        sent = (time.run for time in self._times[number::-1] if time.mode == "batch")
        return next(sent, NO_RUN) if answer.mode == "batch" else NO_RUN
