"""Reasons without what merely states the label, and reasons that are nearly the same.

A student that reads `so it is a contradiction` knows the label and has learnt nothing. So the names
of all labels that a row can have go out of its reasons, with their other forms, all alike, so that
a gap does not tell which it was; of tasks of numbers what is computed goes out, and the operators.
"""

import re
from collections.abc import Sequence
from itertools import pairwise

GAP = "_"
_FORM = 0.6  # of a name's letters that its other forms begin with: entailment, entails
_SHORTEST = 4  # letters of a name that has other forms
_WORD = re.compile(r"[^\W_]+")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_OPERATOR = re.compile(r"(?<=\d)\s*[-+*/x×÷=]\s*(?=\d|\()|(?<=[)])\s*[-+*/x×÷=]\s*")
_LETTER = re.compile(r"\([a-zA-Z]\)")  # of an option
_ALIKE = 0.5  # of all pairs of neighbouring words that two texts have: from here on in common
# Words of names that say nothing by themselves.
_EMPTY = frozenset(
    [
        "a",
        "an",
        "and",
        "at",
        "for",
        "from",
        "in",
        "into",
        "is",
        "it",
        "of",
        "on",
        "or",
        "the",
        "to",
        "with",
        "no",
        "not",
    ]
)


def masked(reasons: str, label: str, choices: Sequence[str], row: str) -> str:
    """The reasons without the names of labels. choices: all that the row can have, empty where they
    cannot be listed; row: what the student reads of it, whose numbers may stay."""
    if not choices and any(letter.isdigit() for letter in label):
        given = set(_NUMBER.findall(row))
        text = _OPERATOR.sub(f" {GAP} ", reasons)
        return _NUMBER.sub(lambda found: found[0] if found[0] in given else GAP, text)
    names = {word for name in (choices or [label]) for word in words_of(name)} - _EMPTY
    text = _LETTER.sub(GAP, reasons) if choices else reasons
    return _WORD.sub(lambda found: GAP if _names(found[0].lower(), names) else found[0], text)


def words_of(text: str) -> list[str]:
    """The words of a text, in small letters."""
    return [word.lower() for word in _WORD.findall(text)]


def _names(word: str, names: set[str]) -> bool:
    """Whether a word is one of the names, or another form of it."""
    return word in names or any(
        len(name) > _SHORTEST and word.startswith(name[: max(_SHORTEST, round(_FORM * len(name)))])
        for name in names
    )


def nearly_same(one: str, other: str) -> bool:
    """Whether two texts say the same in nearly the same words."""
    mine, its = _pairs(one), _pairs(other)
    return mine == its or len(mine & its) >= _ALIKE * len(mine | its)


def _pairs(text: str) -> set[tuple[str, str]]:
    words = ["", *words_of(text), ""]
    return set(pairwise(words))
