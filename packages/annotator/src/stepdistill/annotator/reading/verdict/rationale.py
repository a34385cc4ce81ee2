"""What is left of an answer as its reasons, once the verdict itself is taken out."""

import re

from stepdistill.annotator.reading.verdict.names import UNSPACED
from stepdistill.annotator.reading.verdict.text import Span, Text

_WORD = re.compile(r"\w+")
_A_FEW_WORDS = re.compile(rf"\b\w++\W++\w++\W++\w|[{UNSPACED}]{{5}}")
_HEADING = re.compile(
    r"^[\s*#>_-]*(?:(?:brief|short|my|the|step-by-step) )*(?:explanation|rationale|reason(?:ing|s)?"
    r"|justification|analysis|answer|label|classification|verdict|conclusion)[*_]{0,3}\s{0,3}:[\s*]*",
    re.IGNORECASE,
)
_EDGES_BEFORE = re.compile(r"^[\s,;:)\]*\u2013\u2014-]+")

# Behind the verdict: "is false, because ..."; before it: "..., so the claim is false".
_REASON_AFTER = re.compile(
    r"\s(?:because(?: of)?|since|as(?! (?:an?|the|true|false|well|part|either)\b)"
    r"|as(?= the \w+ \w+)|given that|due to(?: the fact that)?|in that|-)\s+"
    r"|[;:\u2013\u2014]\s+|,\s+(?=which |with |the reason |it )"
)
_BARE_REASON = re.compile(
    r"[\"'*)]*(?:[,;:\u2013\u2014]\s|\s-\s|\s\()\s*(?:(?:because|since|as)\s+)?"
)
_REASON_BEFORE = re.compile(
    r"\s(?:and )?(?:so|therefore|thus|hence|which means|which makes|meaning|making"
    r"|indicating)\b"
)


_SHORTEST_REASON = len("it is dry, so ")
_REASON_FIRST = re.compile(
    r"\W{0,3}(?:since|because(?! of)|given that"
    r"|as(?! (?:an?|such|stated|mentioned|described|given|per|for|of|far|long|well)\b"
    r"| the \w+ \w+,))\s"
)


def rationale_of(text: Text, stated: tuple[Span, ...]) -> tuple[str | None, Span | None]:
    """The answer without the stated verdict: the text, and the characters it lies in."""
    pieces = [piece for start, end in _rest(text, stated) if (piece := _trimmed(text, start, end))]
    pieces = [piece for piece in pieces if _says_something(text, *piece)]
    if not pieces:
        return None, None
    words = " ".join(text.answer[start:end] for start, end in _joined(text.answer, pieces))
    if not _A_FEW_WORDS.search(words):
        return None, None
    return words, (pieces[0][0], pieces[-1][1])


def _says_something(text: Text, start: int, end: int) -> bool:
    """Words, but not a question put again."""
    return text.answer[end - 1] != "?" and _WORD.search(text.answer, start, end) is not None


def has_reasons(text: Text, stated: tuple[Span, ...]) -> bool:
    """Whether words are left once the stated verdict is taken out."""
    return any(_long_enough(text, start, end) for start, end in _rest(text, stated))


def says_enough(reason: str) -> bool:
    """Whether a text is more than a word or two."""
    return _A_FEW_WORDS.search(reason) is not None


def stated_in(text: Text, sentence: int, place: Span) -> Span:
    """The part of a sentence that states the verdict at `place`: all of it but its reasons."""
    start, end = text.sentences[sentence]
    reason = _REASON_AFTER.search(text.hidden, place[1], end)
    if text.hidden[start : place[0]].strip("*\"' (") == "":
        reason = _BARE_REASON.match(text.hidden, place[1], end) or reason
    if reason and _long_enough(text, reason.end(), end):
        return start, reason.end()
    cut = _end_of_reason_before(text, start, place[0])
    return (cut, end) if _long_enough(text, start, cut) else (start, end)


def _end_of_reason_before(text: Text, start: int, place: int) -> int:
    """Where a verdict at `place` begins behind its reasons: `..., so` or `Since ..., `."""
    if place - start < _SHORTEST_REASON:
        return start
    before = list(_REASON_BEFORE.finditer(text.hidden, start, place))
    if before:
        return before[-1].start()
    first = _REASON_FIRST.match(text.hidden, start, place)
    return max(start, text.hidden.rfind(", ", first.end(), place)) if first else start


def _long_enough(text: Text, start: int, end: int) -> bool:
    return _A_FEW_WORDS.search(text.answer, start, end) is not None


def _rest(text: Text, stated: tuple[Span, ...]) -> list[Span]:
    """The sentences, or what is left of each."""
    rest: list[Span] = []
    for start, end in text.sentences:
        for cut_start, cut_end in stated:
            if cut_start >= end or cut_end <= start:
                continue
            if cut_start > start:
                rest.append((start, cut_start))
            start = min(cut_end, end)
        if start < end:
            rest.append((start, end))
    return rest


def _trimmed(text: Text, start: int, end: int) -> Span | None:
    piece = text.answer[start:end]
    heading = (":" in piece and _HEADING.match(piece)) or _EDGES_BEFORE.match(piece)
    start += heading.end() if heading else 0
    return (start, start + len(text.answer[start:end].rstrip(" \t\n,;"))) if start < end else None


def _joined(answer: str, pieces: list[Span]) -> list[Span]:
    """Neighbours with only space between them as one piece, so that their line breaks stay."""
    whole = [pieces[0]]
    for start, end in pieces[1:]:
        if answer[whole[-1][1] : start].isspace():
            whole[-1] = whole[-1][0], end
        else:
            whole.append((start, end))
    return whole
