"""Refusals: whether they are about single rows, or about all that a run asks.

A teacher refuses one text for what is in it, and every text for a key, a field or a limit; many say
both with the same status. Who has had an answer knows that it is the former. Where nobody has, and
refusal after refusal says the same, it is the latter, and the run ends in the teacher's own words.
"""

import re
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

from stepdistill.annotator.errors import (
    AgainLater,
    Forbidden,
    KeyRefused,
    NotAuthorised,
    ParameterRefused,
    RequestsRefused,
    TeacherError,
    Transient,
)
from stepdistill.annotator.plan.key import RequestForm
from stepdistill.annotator.plan.model_options import LOGPROBS
from stepdistill.annotator.teacher.spec import TeacherSpec

_ALIKE = 20  # in a row, in the same words
_ANY = 60  # in a row, whatever their words: some servers repeat the text in theirs
_EFFORT = "reasoning_effort"
# What differs between refusals of one kind: 'what is quoted', and words with a digit in them, such
# as numbers, dates, and the server's own name for a request (req_8fK2).
_QUOTED = re.compile(r"""(?<!\w)'[^']*'(?!\w)|"[^"]*"|`[^`]*`|[“„«‘][^”“»’]*[”“»’]""")
_WITH_DIGITS = re.compile(r"\S*\d\S*")


def gist(text: str) -> str:
    """What refusals of one kind have in common: their words without numbers and quoted parts."""
    return " ".join(_WITH_DIGITS.sub("", _QUOTED.sub("", text)).split())


class Refusals:
    """What a teacher has refused since its last answer.

    answered_before: whether the store has answers of its to what this run asks.
    """

    def __init__(self, teacher: TeacherSpec, answered_before: Callable[[], bool]) -> None:
        self._teacher, self._answered_before = teacher, answered_before
        self._has_answered = False
        self._answered_forms: set[RequestForm] = set()
        self._in_a_row: Counter[tuple[type[TeacherError], str]] = Counter()

    def answered(self, form: RequestForm | None = None) -> None:
        """An answer came to a request of this form, None where it is not at hand."""
        self._has_answered = True
        if form is not None:
            self._answered_forms.add(form)
        if self._in_a_row:
            self._in_a_row.clear()

    @property
    def knows_us(self) -> bool:
        """Whether the teacher has answered, in this run or before."""
        return self._has_answered or self._answered_before()

    def refused(self, error: TeacherError, form: RequestForm | None = None) -> TeacherError | None:
        """What is to be raised as nothing else would fare better; None: it is the row's trouble.

        ParameterRefused: the name of the limit is refused, and another may be taken.
        """
        if isinstance(error, ParameterRefused):
            stop = self._field_refused(error, form)
            if stop is not None:
                return stop
        about_key = isinstance(error, Forbidden) and error.names_key
        if self.knows_us and not about_key:
            return None
        kind = type(error), gist(str(error))
        self._in_a_row[kind] += 1
        alike = self._in_a_row[kind]
        # A key can be withdrawn while a run goes on: then nothing gets through any more.
        if about_key and (alike >= _ALIKE or not self.knows_us):
            if isinstance(error, Forbidden) and error.is_barred:
                return NotAuthorised(
                    f"the teacher does not serve this account, or not from here ({error})"
                )
            return self._teacher.with_remedy(KeyRefused(f"the teacher refused the key ({error})"))
        if alike >= _ALIKE or self._in_a_row.total() >= _ANY:
            n, how = (alike, " alike") if alike >= _ALIKE else (self._in_a_row.total(), "")
            return RequestsRefused(
                f"the first {n} requests were refused{how}, and none was answered ({error}): see "
                "to it, then run this again"
            )
        return None

    def _field_refused(
        self, error: ParameterRefused, form: RequestForm | None
    ) -> TeacherError | None:
        """The run's trouble, unless requests with the same fields were answered."""
        name, teacher = error.name, self._teacher
        if self._has_answered if form is None else form in self._answered_forms:
            return None
        if name == teacher.limit_name:
            return error
        if self.knows_us or (form is not None and name not in form.fields):
            return None
        if name in LOGPROBS and name in teacher.options.body:
            return RequestsRefused(
                f"the teacher does not take {name} ({error}): ask without --logprobs, several "
                "times instead by --votes 5"
            )
        if name == _EFFORT and name in teacher.options.body:
            return RequestsRefused(
                f"the teacher does not take this effort ({error}): run with another --effort, or "
                "with none"
            )
        where = "take it out of body" if name in teacher.options.body else "add it to leave_out"
        return RequestsRefused(
            f"the teacher does not take {name} ({error}): {where} of {teacher.model} in "
            "models.yaml (--models)"
        )


def again_later(error: Transient, wait_s: float) -> AgainLater:
    """The end of a run that the teacher sends away for longer than it would wait."""
    minutes = max(1, round(wait_s / 60))
    hours, rest = divmod(minutes, 60)
    parts = (f"{hours} h" if hours else "", f"{rest} min" if rest else "")
    now = datetime.now().astimezone()
    at = now + timedelta(seconds=wait_s)
    clock = at.strftime("%H:%M" if at.date() == now.date() else "%H:%M on %d %b")
    return AgainLater(
        f"the teacher takes no more for now ({error}): again in {' '.join(filter(None, parts))} "
        f"(at {clock}): run this again then",
        wait_s,
    )
