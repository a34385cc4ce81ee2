"""What was read in a teacher's answer: the label it commits to, and its reasons."""

from typing import NamedTuple


class Reading(NamedTuple):
    """A label and a rationale, or why there is none.

    `label` is in the task's own words: a class's name, an option's text, a number or equation,
    or free text. `rationale_span` are the characters of the answer that the rationale lies in; what
    the rationale leaves out (a verdict between two reasons) may lie inside the span. `thoughts` is
    what the teacher thought before it answered, no part of label or rationale.
    """

    label: str | None
    rationale: str | None
    rationale_span: tuple[int, int] | None
    rule: str
    confidence: float
    reason: str | None
    thoughts: str | None = None


def unread(reason: str, thoughts: str | None = None) -> Reading:
    """What is left to say of an answer in which nothing was read."""
    return Reading(
        label=None,
        rationale=None,
        rationale_span=None,
        rule="none",
        confidence=0.0,
        reason=reason,
        thoughts=thoughts,
    )


class Verdict(NamedTuple):
    """The label part of a reading, and the characters of the answer that only state the verdict."""

    label: str | None
    rule: str
    confidence: float = 0.0
    reason: str | None = None
    stated: tuple[tuple[int, int], ...] = ()


def undecided(reason: str, stated: tuple[tuple[int, int], ...] = ()) -> Verdict:
    """A verdict that could not be read, and why; it may be said somewhere all the same."""
    return Verdict(label=None, rule="none", reason=reason, stated=stated)
