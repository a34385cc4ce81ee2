"""How much a teacher says: as many sentences as the words of the prompt ask for."""

import re
from itertools import islice

_NUMBERS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5}
_WISH = re.compile(rf"\b({'|'.join(_NUMBERS)}|[1-9]) (?:\w+ )?sentences?\b", re.IGNORECASE)
_SENTENCE = re.compile(r"[^.!?]+[.!?]+")


def facts_asked_for(words: str) -> int:
    """How many sentences are to come before the one that gives the reason; 0 without a wish.

    words: of the prompt, without the row's.
    """
    wish = _WISH.search(words)
    if wish is None:
        return 0
    said = wish[1].lower()
    return (_NUMBERS.get(said) or int(said)) - 1


def facts_of(text: str, most: int | None = None) -> tuple[str, ...]:
    """The first sentences of a row's text that tell something: those that ask are left out."""
    sentences = (found.group().strip() for found in _SENTENCE.finditer(text))
    return tuple(islice((each for each in sentences if not each.endswith("?")), most))
