"""An answer cut into sentences, with what it only quotes hidden from the rules.

Hidden text is one HIDDEN, and FILLER up to its length: a place in the hidden text is the same
place in the answer.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

HIDDEN = "\x01"
FILLER = "\x02"
Span = tuple[int, int]

# Both begin with the character that they look for: a search skips to it.
_QUOTED = re.compile(r'"(?<![^\s(]")(?=[^\s"])([^"\n]{0,600})"(?!\w)')
_SENTENCE_END = re.compile(
    r'[.!?\n\u3002\uff01\uff1f\u0964](?:(?<=\n)\n*|(?<=[.!?])[.!?]*["\')\]*]*(?=\s|$)'
    r'|(?<=[\u3002\uff01\uff1f\u0964])["\'\u201d\u300d\u300f\uff09)\]*]*)'
)
_ABBREVIATIONS = (
    "dr mr mrs ms st no vs etc jr sr inc ltd co prof gen col capt sgt lt rev mt ft approx"
    " fig op ph.d feat vol pt dept est"
)
_NOT_AN_END = frozenset(_ABBREVIATIONS.split())
# No word that ends in four other letters is abbreviated, an initial or a list's mark.
_ENDS_OF_ABBREVIATIONS = frozenset(word[-4:] for word in _NOT_AN_END if len(word) >= 4)
_DOTTED = re.compile(r"(?:[^\W\d]\.)+[^\W\d]")
_LAST_WORD = re.compile(r"[^\s(\"]+$")
_LIST_MARK = re.compile(r"^[\s(]*(?:\d{1,2}|[A-Za-z])[.)]+$")
_PLAIN = (("’", "'"), ("‘", "'"), ("“", '"'), ("”", '"'), ("\u00a0", " "))
_EMPHASIS = re.compile(r"(?<!\w)_+|_+(?!\w)|__+")  # `_so_`, but not `severe_toxic`
_ROLE_LETTER = re.compile("[\ue000-\uefff]")
# Behind `B.`, which is no initial then.
_OPENS_A_SENTENCE = re.compile(r"\s+(?:The|It|This|That|These|Because|So|There|In|A|An)\s")
_LONGEST_ABBREVIATION = 12
_WORDS_WORTH_HIDING = 5


class Text(NamedTuple):
    """An answer as the rules see it: lower case, quotations hidden, and its sentences' places."""

    answer: str
    hidden: str
    sentences: tuple[Span, ...]


def prepare(answer: str, quotable: Iterable[str], *, hide_quotations: bool = True) -> Text:
    """Hides the row's own texts (`quotable`) and long quotations, and finds the sentences."""
    hidden = _hide_all(lowered(answer), quotable)
    if hide_quotations:
        hidden = _hide_quotations(hidden)
    return Text(answer, hidden, tuple(_sentences(answer, hidden)))


def _plain(text: str) -> str:
    """Straight quotation marks, no emphasis and none of the rules' own letters; the same length."""
    if not text.isascii():
        for odd, plain in _PLAIN:
            text = text.replace(odd, plain)
        text = _ROLE_LETTER.sub(" ", text)
    if HIDDEN in text:
        text = text.replace(HIDDEN, " ")
    return _EMPHASIS.sub(_blank, text) if "_" in text else text


def _blank(match: re.Match[str]) -> str:
    return " " * len(match.group())


def lowered(text: str) -> str:
    """Lower case without a change of length, which a few letters of Unicode would make."""
    text = _plain(text)
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    return "".join(low if len(low := letter.lower()) == 1 else letter for letter in text)


def _hide_all(text: str, quotable: Iterable[str]) -> str:
    for quote in quotable:
        wanted = lowered(quote).strip(" .?!\n\"'")
        if len(wanted) >= 10 and " " in wanted:
            text = text.replace(wanted, HIDDEN.ljust(len(wanted), FILLER))
    return text


def _hide_quotations(text: str) -> str:
    return _QUOTED.sub(_hide_if_long, text) if '"' in text else text


def _hide_if_long(match: re.Match[str]) -> str:
    quote = match.group()
    if HIDDEN not in quote and quote.count(" ") < _WORDS_WORTH_HIDING - 1:
        return quote
    # The last character stays: where it is a full stop's quotation mark, the sentence ends there.
    closing = quote[-2:] if quote[-2] in ".?!" else quote[-1:]
    return HIDDEN.ljust(len(quote) - len(closing), FILLER) + closing


def _sentences(answer: str, hidden: str) -> list[Span]:
    found: list[Span] = []
    start = 0
    for match in _SENTENCE_END.finditer(hidden):
        place = match.span()
        if _ends_here(answer, hidden, start, place):
            _add_stripped(found, answer, start, place[1])
            start = place[1]
    _add_stripped(found, answer, start, len(answer))
    return found


def _ends_here(answer: str, hidden: str, start: int, place: Span) -> bool:
    stop, end = place
    if hidden[stop] in "\n\u3002\uff01\uff1f\u0964":
        return True
    following = answer[end : end + 3].lstrip(" \t")
    if following and following[0].islower():
        return False
    if hidden[stop] != ".":
        return True
    tail = hidden[stop - 4 : stop]
    if tail.isalpha() and tail not in _ENDS_OF_ABBREVIATIONS:
        return True
    before = hidden[max(start, stop - _LONGEST_ABBREVIATION) : stop]
    word = _LAST_WORD.search(before)
    if word is None:
        return True
    if len(word.group()) == 1 and _OPENS_A_SENTENCE.match(answer, end):
        return True
    if _is_abbreviation(word.group(), before):
        return not following or following[0] == "\n"
    return not _LIST_MARK.match(hidden[start:end])


def _is_abbreviation(word: str, before: str) -> bool:
    """`Dr.`, `e.g.`, `M.I.L.F.`; or an initial, as in `Michael D. Murphy`: the name goes on."""
    if word in _NOT_AN_END or _DOTTED.fullmatch(word):
        return True
    return len(word) == 1 and word.isalpha() and word != "i" and len(before) > 1


def _add_stripped(found: list[Span], answer: str, start: int, end: int) -> None:
    while start < end and answer[start].isspace():
        start += 1
    while end > start and answer[end - 1].isspace():
        end -= 1
    if start < end:
        found.append((start, end))
