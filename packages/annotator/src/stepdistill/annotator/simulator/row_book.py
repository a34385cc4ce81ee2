"""Rows by their texts, so that a prompt is recognised whatever template it was made with."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from stepdistill.annotator.simulator.answers import KnownAnswer

_GRAM = 4
_Gram = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognised:
    """The truth about a prompt's row, and the words of the prompt that are not the row's."""

    known: KnownAnswer
    words: str


class RowBook:
    """Rows and the truth about them.

    A row is looked up by four words in a row from inside its longest text, which stay together in
    every prompt; where that text is too short, by going through all such rows.
    """

    def __init__(self) -> None:
        self._by_gram: defaultdict[_Gram, list[tuple[list[str], KnownAnswer]]] = defaultdict(list)

    def add(self, fields: Mapping[str, str], known: KnownAnswer) -> None:
        """Know the truth about the row with these texts."""
        texts = sorted(filter(None, fields.values()), key=len, reverse=True)
        self._by_gram[_gram_inside(texts[0])].append((texts, known))

    def find(self, prompt: str) -> Recognised | None:
        """The row that a prompt is about: of those whose texts it has, the one that says most."""
        fitting = [
            (sum(map(len, texts)), texts, known)
            for gram in {(), *_grams(prompt)}
            for texts, known in self._by_gram.get(gram, ())
            if all(text in prompt for text in texts)
        ]
        if not fitting:
            return None
        _, texts, known = max(fitting, key=lambda each: each[0])
        for text in texts:
            prompt = prompt.replace(text, " ", 1)
        return Recognised(known=known, words=prompt)


def _gram_inside(text: str) -> _Gram:
    """Words that no punctuation of a template touches; none where the text is too short."""
    inner = text.split()[1:-1]
    return tuple(inner[:_GRAM]) if len(inner) >= _GRAM else ()


def _grams(prompt: str) -> Iterator[_Gram]:
    words = prompt.split()
    return (tuple(words[start : start + _GRAM]) for start in range(len(words) - _GRAM + 1))
