"""Numbers in words: `nine`, `twenty-five`, `two hundred and five`, `nine and a half`.

Read whole or not at all: `two thirds` and `twenty-fifth` are no numbers here, and `five six` is
none either.
"""

import re
from collections.abc import Iterator

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen"
    " fourteen fifteen sixteen seventeen eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_VALUES = {word: value for value, word in enumerate(_ONES.split())} | {
    word: value for value, word in zip(range(20, 100, 10), _TENS.split(), strict=True)
}
_WORD_OF = {value: word for word, value in _VALUES.items()}
_SIZES = {"hundred": 100, "thousand": 1_000, "million": 1_000_000}
_WORD = rf"(?:{'|'.join((*_VALUES, *_SIZES))})"
_NUMBER = re.compile(
    rf"(?P<sign>\b(?:minus|negative) )?\b(?:an? (?=hundred|thousand|million))?"
    rf"(?P<words>{_WORD}\b(?:(?:-|,? (?:and )?){_WORD}\b)*)(?P<half> and (?:a|one)[ -]half\b)?"
)
# Behind a number these make it a part of something, a place in a row or the lower end of a range.
_PART = re.compile(
    r"[ -](?:hal(?:f|ves)|thirds?|quarters?|fourths?|fifths?|sixths?|sevenths?|eighths?|ninths?"
    rf"|tenths?|first|second|hundredths?|thousandths?|(?:to|or)[ -]{_WORD})\b"
)
_MOST_WORDS = 12


def numbers_in_words(text: str, start: int, end: int) -> Iterator[str | None]:
    """The numbers of this part of a text (in lower case) in digits; None for what is not one."""
    for match in _NUMBER.finditer(text, start, end):
        value = _value(re.split(r"[-, ]+", match["words"]))
        if value is None or _PART.match(text, match.end()):
            yield None
        else:
            yield f"{'-' if match['sign'] else ''}{value}{'.5' if match['half'] else ''}"


def _value(words: list[str]) -> int | None:
    """`two hundred and five` as 205; None where the words are several numbers."""
    words = [word for word in words if word != "and"]
    if len(words) > _MOST_WORDS:
        return None
    if words[0] in _SIZES:
        words = ["one", *words]
    total = part = 0
    for word in words:
        if word in _VALUES:
            part += _VALUES[word]
        elif word == "hundred":
            part *= 100
        else:
            total, part = total + part * _SIZES[word], 0
    # `five six` adds up to eleven, but eleven is written another way.
    return total + part if _in_words(total + part) == words else None


def _in_words(value: int) -> list[str]:
    for word, size in reversed(_SIZES.items()):
        if value >= size:
            rest = _in_words(value % size) if value % size else []
            return [*_in_words(value // size), word, *rest]
    if value in _WORD_OF:
        return [_WORD_OF[value]]
    return [_WORD_OF[value - value % 10], _WORD_OF[value % 10]]
