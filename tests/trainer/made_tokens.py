"""Rows of words that are numbers, and a speller for them: as many tokens as a test wants."""

import random
from collections.abc import Sequence

from stepdistill.trainer.data.examples import Example, TaskText
from stepdistill.trainer.data.tokens import LengthLimits, Tokens, tokenise
from stepdistill.trainer.settings.tasks import table_of


def spell(texts: Sequence[str], longest: int) -> list[list[int]]:
    """A token for each word: the number that it is, or 5; then the end of the sequence."""
    words = ([int(w) if w.isdigit() else 5 for w in text.split()] for text in texts)
    return [[*ids[: longest - 1], 1] for ids in words]


def tokens_of(rows: Sequence[Example]) -> Tokens:
    """Rows of words that are numbers, as the tokens of predict and explain."""
    return tokenise(rows, table_of("step-by-step", 0.5), spell, LengthLimits(input=512, target=256))


def lengthy_rows(count: int) -> list[Example]:
    """Rows of many lengths, labelled by their number plus 100; a third has no rationale."""
    rng = random.Random(count)

    def words(longest: int) -> str:
        return " ".join(["7"] * rng.randint(1, longest))

    return [
        Example(
            id=str(number),
            input=words(30),
            labels=(TaskText(text=str(100 + number)),),
            rationales=(TaskText(text=words(20)),) if number % 3 else (),
        )
        for number in range(count)
    ]
