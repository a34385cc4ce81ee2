"""The simulated teacher as the optimiser of a prompt search: shown templates, it proposes another.

It varies what it is shown, better templates more often: a sentence more, one less, one in the place
of another, one from another template. Now and then it does what real ones do: repeats itself,
forgets a placeholder, prints the answer, chats around its template or forgets to mark it.
"""

import re
from collections import Counter
from dataclasses import dataclass, field

from stepdistill.annotator.simulator.chance import chance, pick

_SHOWN = re.compile(r"<template>\s*(.*?)\s*</template>", re.DOTALL)
_PLACEHOLDER = re.compile(r"\{\w+\}")
_SENTENCE = re.compile(r"(?<=[.!?:])\s+")
# What becomes of a proposal: the shares of each habit, and no more than one at a time.
_HABITS = (
    ("chatty", 0.12),
    ("forgetful", 0.05),
    ("repeating", 0.05),
    ("telling", 0.04),
    ("unmarked", 0.04),
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


def shows_templates(text: str) -> bool:
    """Whether a prompt asks for a template rather than for a label."""
    return any(map(_PLACEHOLDER.search, _SHOWN.findall(text)))


@dataclass(kw_only=True)
class Proposer:
    """Asked the same again it has another idea, as a model has at a temperature above 0; in the
    same order the same ones. gold: the placeholder that prints a row's gold label."""

    seed: int
    gold: str = "label"
    _asked: Counter[str] = field(default_factory=Counter[str])

    def propose(self, text: str) -> str:
        """An answer to this prompt."""
        self._asked[text] += 1
        dice = _Dice(self.seed, text, self._asked[text])
        shown = [each for each in _SHOWN.findall(text) if _PLACEHOLDER.search(each)]
        habit = _habit(dice.roll())
        if habit == "repeating":
            return f"<template>\n{pick(shown, dice.roll())}\n</template>"
        template = "\n".join(self._varied(shown, dice))
        if habit == "forgetful":
            template = _PLACEHOLDER.sub("it", template, count=1)
        if habit == "telling":
            template += f"\nThe answer is {{{self.gold}}}."
        if habit == "unmarked":
            return template
        marked = f"<template>\n{template}\n</template>"
        if habit == "chatty":
            return f"Sure! This one should score higher:\n\n{marked}\n\nIt is short and clear."
        return marked

    def _varied(self, shown: list[str], dice: "_Dice") -> list[str]:
        # The best are shown last.
        units = _units(pick(shown, max(dice.roll(), dice.roll())))
        for _ in range(1 + int(2 * dice.roll())):
            said = [unit for unit in units if not _PLACEHOLDER.search(unit)]
            others = _units(pick(shown, dice.roll())) if dice.roll() < 0.3 else [*_SENTENCES]
            new = [each for each in others if each not in units and "{" not in each]
            if said and dice.roll() < 0.5:
                units.remove(pick(said, dice.roll()))
            if new and dice.roll() < 0.8:
                units.insert(int(dice.roll() * (len(units) + 1)), pick(new, dice.roll()))
        return units


@dataclass(slots=True)
class _Dice:
    """Rolls, one after the other, that follow from what is proposed for."""

    seed: int
    text: str
    time: int
    n: int = 0

    def roll(self) -> float:
        self.n += 1
        return chance(self.seed, self.text.encode(), b"%d %d" % (self.time, self.n))


def _habit(roll: float) -> str:
    for habit, share in _HABITS:
        if roll < share:
            return habit
        roll -= share
    return "neat"


def _units(template: str) -> list[str]:
    """A template's sentences; paragraphs with a placeholder stay as they are."""
    units: list[str] = []
    for paragraph in re.split(r"\n\s*\n", template):
        for part in paragraph.splitlines() if _PLACEHOLDER.search(paragraph) else [paragraph]:
            whole = bool(_PLACEHOLDER.search(part))
            units += [part] if whole else _SENTENCE.split(" ".join(part.split()))
    return [unit for unit in units if unit]
