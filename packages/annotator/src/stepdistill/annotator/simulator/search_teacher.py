"""A teacher for prompt searches: it answers any wording, and proposes new ones.

Whatever template a row is asked with, it recognises the row and is right as often as the words
please its hidden taste. Where it is shown templates, it plays the optimiser.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from math import exp, log

from stepdistill.annotator.simulator.answers import KnownAnswer, SimulatedTeacher
from stepdistill.annotator.simulator.phrasing import facts_asked_for
from stepdistill.annotator.simulator.pick import pick, pick_by_share
from stepdistill.annotator.simulator.wire import prompt_digest, read_messages
from stepdistill.common.placeholders import PLACEHOLDER
from stepdistill.common.uniform import uniform_of

_SHOWN = re.compile(  # "<template>\nRead this. {problem}\n</template>", without the tags
    r"<template>\s*(.*?)\s*</template>", re.DOTALL
)
_SENTENCE_BREAK = re.compile(r"(?<=[.!?:])\s+")  # the space in "Read this. Then decide."
_PARAGRAPH_BREAK = re.compile(r"\n\s*\n")  # an empty line
# What becomes of a proposal: the shares of each habit, and no more than one at a time.
_HABITS = (
    ("chatty", 0.12),  # words around the template
    ("forgetful", 0.05),  # one placeholder less
    ("repeating", 0.05),  # a template that was shown
    ("telling", 0.04),  # the answer is printed
    ("unmarked", 0.04),  # no tags
)
_SENTENCES = (
    "Think step by step before you decide.",
    "Read everything twice before you answer.",
    "Take a deep breath and consider each detail calmly.",
    "Begin with what is certain and leave aside what is not asked.",
    "Explain your choice so that a child understands it.",
    "Give one short reason that mentions the decisive words.",
    "Compare every possibility, then settle on the most plausible.",
    "Pay attention to numbers, names and negations.",
    "Do not rely on outside knowledge.",
    "Be careful: some statements are meant to mislead.",
    "Answer like an experienced teacher who marks an exam.",
    "Keep the explanation under thirty words.",
    "First restate the question in your own words.",
    "Imagine the situation and describe what happens in it.",
    "Check your conclusion against the original wording.",
    "If several answers seem possible, prefer the simplest.",
    "Start with a line that names the label alone.",
    "Finish with a sentence that names the label.",
    "Quote the phrase which decides the matter.",
    "Work quickly; precision matters more than style.",
    "Name the relevant quantities and their relation.",
    "Ignore irrelevant background information.",
    "Justify the result with evidence from the given text.",
    "Write plainly, without introduction or apology.",
    "Consider common sense and everyday experience.",
    "Look closely at the final sentence, because it holds the question.",
)
_WORD = re.compile(r"[^\W\d_]{4,}")  # "step", but neither "the" nor "1st"
_SHARE_THAT_MATTERS = 0.35  # of all words; the teacher is indifferent to the others
_MOST = 0.5  # what one word adds to the log-odds of a right answer, at most
_GRAM_WORDS = 4  # few enough to stand inside short texts, and hardly two rows share them
_Gram = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taste:
    """How well a template leads the teacher, as a property of its words alone.

    Some words help and some harm, a little each. Which ones follows from the seed, and is hidden
    from whoever searches for a better wording.
    """

    seed: int
    middle: float = 0.6  # the accuracy that words without any effect lead to, between 0 and 1

    def accuracy(self, words: str) -> float:
        """The share of rows that are answered right when they are asked with these words."""
        text = PLACEHOLDER.sub(" ", words).casefold()
        liked = sum(self._weight(word) for word in set(_WORD.findall(text)))
        return 1 / (1 + exp(-log(self.middle / (1 - self.middle)) - liked))

    def _weight(self, word: str) -> float:
        if uniform_of(self.seed, b"matters", word.encode()) >= _SHARE_THAT_MATTERS:
            return 0.0
        return _MOST * (2 * uniform_of(self.seed, b"liked", word.encode()) - 1)


class RowBook:
    """Rows and the truth about them: a prompt is recognised whatever template made it.

    A row is looked up by four words in a row from inside its longest text, which stay together in
    every prompt; where that text is too short, by going through all such rows.
    """

    def __init__(self) -> None:
        self._by_gram: defaultdict[_Gram, list[tuple[list[str], KnownAnswer]]] = defaultdict(list)

    def add(self, fields: Mapping[str, str], known: KnownAnswer) -> None:
        """Know the truth about the row with these texts."""
        texts = sorted(filter(None, fields.values()), key=len, reverse=True)
        self._by_gram[_gram_inside(texts[0])].append((texts, known))

    def find(self, prompt: str) -> tuple[KnownAnswer, str] | None:
        """The truth about a prompt's row, and the words of the prompt that are not the row's.

        Of the rows whose texts it has, it is about the one that says most.
        """
        fitting = [
            (sum(map(len, texts)), texts, known)
            for gram in {(), *_grams(prompt)}  # () finds the rows that are too short for a gram
            for texts, known in self._by_gram.get(gram, ())
            if all(text in prompt for text in texts)
        ]
        if not fitting:
            return None
        _, texts, known = max(fitting, key=lambda each: each[0])
        for text in texts:  # the longest first, so that none is cut out of another
            prompt = prompt.replace(text, " ", 1)
        return known, prompt


def _gram_inside(text: str) -> _Gram:
    """Words that no punctuation of a template touches; none where the text is too short."""
    inner = text.split()[1:-1]
    return tuple(inner[:_GRAM_WORDS]) if len(inner) >= _GRAM_WORDS else ()


def _grams(prompt: str) -> Iterator[_Gram]:
    words = prompt.split()
    starts = range(len(words) - _GRAM_WORDS + 1)
    return (tuple(words[start : start + _GRAM_WORDS]) for start in starts)


def shows_templates(text: str) -> bool:
    """Whether a prompt asks for a template rather than for a label."""
    return any(map(PLACEHOLDER.search, _SHOWN.findall(text)))


@dataclass(kw_only=True)
class Proposer:
    """The optimiser: it varies the templates that it is shown, better ones more often.

    A sentence more, one less, one in the place of another, one from another template. Asked the
    same again it has another idea, as a model has at a temperature above 0; asked in the same
    order, the same ones. Now and then it does what real ones do (`_HABITS`).
    """

    seed: int
    gold: str = "label"  # the placeholder that prints a row's gold label
    _asked: Counter[str] = field(default_factory=Counter[str])

    def propose(self, text: str) -> str:
        """An answer to this prompt."""
        self._asked[text] += 1
        draws = _draws(self.seed, text.encode(), self._asked[text])
        shown = [each for each in _SHOWN.findall(text) if PLACEHOLDER.search(each)]
        habit = pick_by_share(_HABITS, next(draws))
        if habit == "repeating":
            return f"<template>\n{pick(shown, next(draws))}\n</template>"
        template = "\n".join(self._varied(shown, draws))
        if habit == "forgetful":
            template = PLACEHOLDER.sub("it", template, count=1)
        if habit == "telling":
            template += f"\nThe answer is {{{self.gold}}}."
        if habit == "unmarked":
            return template
        marked = f"<template>\n{template}\n</template>"
        if habit == "chatty":
            return f"Sure! This one should score higher:\n\n{marked}\n\nIt is short and clear."
        return marked

    def _varied(self, shown: list[str], draws: Iterator[float]) -> list[str]:
        # The best are shown last: the larger of two draws prefers them.
        units = _units(pick(shown, max(next(draws), next(draws))))
        for _ in range(1 + int(2 * next(draws))):
            removable = [unit for unit in units if not PLACEHOLDER.search(unit)]
            others = _units(pick(shown, next(draws))) if next(draws) < 0.3 else [*_SENTENCES]
            new = [each for each in others if each not in units and "{" not in each]
            if removable and next(draws) < 0.5:
                units.remove(pick(removable, next(draws)))
            if new and next(draws) < 0.8:
                units.insert(int(next(draws) * (len(units) + 1)), pick(new, next(draws)))
        return units


def _draws(seed: int, text: bytes, time: int) -> Iterator[float]:
    """Uniform numbers for what is proposed when this text comes for the time-th time, from 1."""
    return (uniform_of(seed, text, b"%d %d" % (time, n)) for n in count(1))


def _units(template: str) -> list[str]:
    """A template's sentences; lines of a paragraph with a placeholder stay as they are."""
    units: list[str] = []
    for paragraph in _PARAGRAPH_BREAK.split(template):
        for part in paragraph.splitlines() if PLACEHOLDER.search(paragraph) else [paragraph]:
            whole = bool(PLACEHOLDER.search(part))
            units += [part] if whole else _SENTENCE_BREAK.split(" ".join(part.split()))
    return [unit for unit in units if unit]


@dataclass(frozen=True, slots=True, kw_only=True)
class TasteTeacher:
    """A teacher who knows rows, not prompts."""

    rows: RowBook
    taste: Taste
    proposer: Proposer
    voice: SimulatedTeacher  # how answers are worded, and the seed of which are wrong

    def answer(self, body: Mapping[str, object]) -> str:
        """The text for this request; raises RefusedRequest when its messages cannot be read."""
        messages = read_messages(body.get("messages"))
        prompt = "\n".join(text for _, text in messages)
        if shows_templates(prompt):
            return self.proposer.propose(prompt)
        known = None
        if found := self.rows.find(prompt):
            known, words = found
            facts = known.facts[: facts_asked_for(words)]
            known = replace(known, accuracy=self.taste.accuracy(words), facts=facts)
        return self.voice.answer_from(known, body, prompt_digest(messages))
