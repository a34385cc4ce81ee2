"""The words that name an answer's parts, in common languages: `headings.txt`."""

import re
from pathlib import Path


def _words() -> dict[str, list[str]]:
    """Kind of word -> the words, longest first."""
    found: dict[str, set[str]] = {}
    text = Path(__file__).with_name("headings.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line and not line.startswith("#"):
            kind, _, words = line.partition(": ")
            found.setdefault(kind, set()).update(words.split(" | "))
    return {kind: sorted(sorted(words), key=len, reverse=True) for kind, words in found.items()}


def _any_of(words: list[str]) -> str:
    return "|".join(re.escape(word).replace(r"\ ", " ") for word in words)


_WORDS = _words()
LABEL_WORDS = _any_of(_WORDS["label"])
REASON_WORDS = _any_of(_WORDS["reason"])
GOOD_WORDS = _any_of(_WORDS["good"])
IS_WORDS = _any_of(_WORDS["is"])
COLON = "[:\uff1a]"
