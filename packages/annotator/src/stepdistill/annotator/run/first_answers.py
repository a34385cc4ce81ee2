"""The first answers of a run, read as they come in: nobody pays on for what cannot be read.

A teacher whose labels are in words that the task does not know, or that thinks until its tokens
are used up, does so from the first answer on. After fifty that all cannot be read a run stops.
Answers that the store has count as well, so that the same command does not pay for fifty more. The
first answer that can be read ends the look, and from then on it costs a run nothing.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import islice

from stepdistill.annotator.errors import AnswersUnread
from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.plan.plan import Plan, PlannedRow
from stepdistill.annotator.reading.reading import Reading
from stepdistill.annotator.reading.record import TRUNCATED, Rules, read_label
from stepdistill.annotator.run.unread import Unread, why_unread
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.store.answer import Answer
from stepdistill.annotator.store.response_store import ResponseStore

_ENOUGH = 50  # answers, none of which can be read
# Answers come in any order: those of so many rows are waited for, more than are in flight at first.
_ROWS = 256


class FirstAnswers:
    """The look at a run's first answers.

    is_over: whether there is nothing more to see. error: none of the answers can be read.
    """

    def __init__(self, plans: Sequence[tuple[Plan, Rules]], config: RunSettings) -> None:
        """plans: with the rules by which their answers are read."""
        self._plans, self._config = plans, config
        self._label = plans[0][0].task.label
        self._waiting: dict[bytes, tuple[PlannedRow, Request, Rules]] = {}
        self._reasons: Counter[str] = Counter()
        self._seen: set[bytes] = set()
        self._first: Unread | None = None
        self.is_over = False
        self.error: AnswersUnread | None = None

    def begin(self, store: ResponseStore) -> None:
        """Look at what the store has, and wait for what it lacks; once more where requests are
        planned anew. Raises StoreError, DatasetError, and AnswersUnread: so it ended before."""
        if self.is_over:
            return
        rows = ((row, rules) for plan, rules in self._plans for row in plan.rows())
        stored: list[tuple[bytes, Answer]] = []
        with store.reading() as snapshot:
            for row, rules in islice(rows, _ROWS):
                for request in (row.label, *row.votes):
                    self._waiting[request.key] = row, request, rules
                    answer = snapshot.answer(request.key)
                    if answer is not None:
                        stored.append((request.key, answer))
        for key, answer in stored:
            self.heard(key, answer)
        if self.error is not None:
            self.error.args = (f"{self.error}; nothing more was asked",)
            raise self.error

    def heard(self, key: bytes, answer: Answer) -> None:
        """An answer is in the store."""
        waited_for = self._waiting.pop(key, None)
        if self.is_over or waited_for is None or key in self._seen:
            return
        self._seen.add(key)
        planned, request, rules = waited_for
        read = read_label(planned, request, answer, rules)
        if isinstance(read, Reading):
            self._end()
        elif not self._could_be_longer(read.reason, answer):
            self._reasons[read.reason] += 1
            self._first = self._first or Unread(planned, self._label, read, answer.text)
            if self._reasons.total() >= _ENOUGH:
                self._end()
                self.error = AnswersUnread(self._told())

    def _could_be_longer(self, reason: str, answer: Answer) -> bool:
        """Whether an answer of an earlier run was cut off where this one lets it go on."""
        limit = answer.limit
        return reason == TRUNCATED and limit is not None and limit < self._config.max_tokens

    def _end(self) -> None:
        self.is_over = True
        self._waiting.clear()

    def _told(self) -> str:
        why = why_unread(self._reasons, self._first, self._config)
        return f"none of the first {self._reasons.total()} answers can be read: {why}"
