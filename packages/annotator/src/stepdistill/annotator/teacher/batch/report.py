"""What happens to batches, said once in a line for people and as an event in the log."""

from collections.abc import Callable

from stepdistill.annotator.events import EventLog
from stepdistill.annotator.teacher.batch.part import BatchPart


class BatchReporter:
    """say: a line for whoever looks on."""

    def __init__(self, events: EventLog, say: Callable[[str], None]) -> None:
        self._events, self._say = events, say
        self._said: set[str] = set()

    def event(self, state: str, part: BatchPart, **fields: object) -> None:
        """A part has come further."""
        self._events.emit("batch", state=state, part=part.number, requests=part.requests, **fields)

    def tell(self, line: str) -> None:
        """A line on what was reached."""
        self._events.emit("batch_note", message=line)
        self._say(line)

    def oddity(self, what: str, line: str) -> None:
        """Something that ought not to be, and what was made of it. what: its name in the log."""
        self._events.emit("batch_oddity", what=what, message=line)
        self._say(line)

    def once(self, what: str, line: str) -> None:
        """An oddity that lasts: said when it begins."""
        if what not in self._said:
            self._said.add(what)
            self.oddity(what, line)

    def over(self, what: str) -> None:
        """It has passed; the next time it is said again."""
        self._said.discard(what)
