"""What a template's answers are like: how many can be read, how long and hard the reasons are.

Counted as the original counted: words between blanks, sentences between `. ` and `. `, characters
of the rationale, reading ease of all rationales one after another.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean, pvariance

from stepdistill.annotator.reading.reading import Reading
from stepdistill.annotator.reading.reading_ease import reading_ease


@dataclass(frozen=True, slots=True, kw_only=True)
class Characteristics:
    """Totals over answers. reading_ease, characters_variance: None where there is too little text.

    n_answers = n_rationales + those without one; n_unread answers gave no label.
    """

    n_answers: int
    n_unread: int
    n_rationales: int
    characters: int
    words: int
    sentences: int
    characters_variance: float | None
    reading_ease: float | None

    @property
    def rationale_rate(self) -> float:
        """The share of answers with a rationale."""
        return self.n_rationales / self.n_answers if self.n_answers else 0.0

    def per_rationale(self, total: int) -> float:
        """A total over the rationales as a mean."""
        return total / self.n_rationales if self.n_rationales else 0.0


def characteristics(readings: Iterable[Reading]) -> Characteristics:
    """The characteristics of some readings, in the order of their rows."""
    n_answers = n_unread = 0
    rationales: list[str] = []
    for reading in readings:
        n_answers += 1
        n_unread += reading.label is None
        if reading.rationale is not None:
            rationales.append(reading.rationale)
    lengths = [len(rationale) for rationale in rationales]
    return Characteristics(
        n_answers=n_answers,
        n_unread=n_unread,
        n_rationales=len(rationales),
        characters=sum(lengths),
        words=sum(len(rationale.split()) for rationale in rationales),
        sentences=sum(map(count_sentences, rationales)),
        characters_variance=pvariance(lengths, fmean(lengths)) if lengths else None,
        reading_ease=reading_ease(" ".join(rationales)),
    )


def count_sentences(text: str) -> int:
    """The parts of a text between `. ` and `. `."""
    return sum(1 for part in text.split(". ") if part.strip())
