"""A taste for words: how well a template leads the simulated teacher, as a property of its text.

Most words leave it cold; some help and some harm, a little each. Which ones follows from the seed
and is hidden from whoever searches for a better wording.
"""

import re
from dataclasses import dataclass
from math import exp, log

from stepdistill.annotator.simulator.chance import chance

_PLACEHOLDER = re.compile(r"\{\w+\}")
_WORD = re.compile(r"[^\W\d_]{4,}")
_SHARE_THAT_MATTERS = 0.35
_MOST = 0.5  # what one word adds to the log-odds of a right answer, at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Taste:
    """middle: the accuracy that words without any effect lead to."""

    seed: int
    middle: float = 0.6

    def accuracy(self, words: str) -> float:
        """The share of rows that are answered right when they are asked with these words."""
        text = _PLACEHOLDER.sub(" ", words).casefold()
        liked = sum(self._weight(word) for word in set(_WORD.findall(text)))
        return 1 / (1 + exp(-log(self.middle / (1 - self.middle)) - liked))

    def _weight(self, word: str) -> float:
        if chance(self.seed, b"matters", word.encode()) >= _SHARE_THAT_MATTERS:
            return 0.0
        return _MOST * (2 * chance(self.seed, b"liked", word.encode()) - 1)
