"""The words of a task's classes: which word names which class, and what their negations mean."""

import re

from stepdistill.annotator.reading.verdict.lexicon import (
    AFFIRMED_NAMES,
    GENERIC_ROLES,
    UNDECIDED_NAMES,
    class_role,
    inflections,
    verb_forms,
)
from stepdistill.annotator.reading.verdict.text import FILLER
from stepdistill.common.task import LabelSpec

_NOT = "not "


class ClassWords:
    """Names, aliases and their inflections, compiled once from a task's classes.

    An alias `not X` of one class says what denying X means: with `not true` among the aliases of
    `contradiction`, a denied `true` or any other alias of the same class means `contradiction`,
    unless another class lists just that denial (`not supported`).
    """

    def __init__(self, label: LabelSpec) -> None:
        self.roles = dict(GENERIC_ROLES)
        self.names: dict[str, str] = {}
        self.verbs: set[str] = set()
        self.yes_no: dict[str, str] = {}
        self.undecided: str | None = None
        self.affirmed: str | None = None
        self._denied: dict[str, str] = {}
        self._opposite: dict[str, str] = {}
        phrases: dict[str, str] = {}
        for index, (name, spec) in enumerate(label.classes.items()):
            self.names[class_role(index)] = name
            self._learn(class_role(index), [name, *spec.aliases], phrases)
            self.verbs.difference_update(spec.aliases)
        self._find_opposites()
        self._phrases = phrases
        self._phrase = _any_of(phrases)

    def joined(self, text: str) -> str:
        """The text with each phrase of several words as its class's letter, at its length."""
        if self._phrase is None:
            return text
        return self._phrase.sub(self._as_letter, text)

    def negated(self, word: str, role: str) -> str | None:
        """The class that denying this word of a class means; None where that leaves it open."""
        return self._denied.get(word) or self._opposite.get(role)

    def opposite(self, role: str) -> str | None:
        """The class that denies this one, where there is just one."""
        return self._opposite.get(role)

    def _learn(self, role: str, names: list[str], phrases: dict[str, str]) -> None:
        for name in (" ".join(name.casefold().split()) for name in names):
            if name in UNDECIDED_NAMES:
                self.undecided = role
            if name in AFFIRMED_NAMES:
                self.affirmed = role
            if name in ("yes", "no"):
                self.yes_no[name] = role
            elif name.startswith(_NOT) and " " not in name[len(_NOT) :]:
                self._denied.update(dict.fromkeys(inflections(name[len(_NOT) :]), role))
            elif re.search(r"[^\w'-]", name):
                phrases[name] = role
            else:
                self.roles.update(dict.fromkeys(inflections(name), role))
                self.verbs.update(verb_forms(name))
                self.roles.update({role: role})

    def _find_opposites(self) -> None:
        for word, role in self._denied.items():
            if (denied := self.roles.get(word)) in self.names and role != self.undecided:
                self._opposite[denied] = role
                self._opposite.setdefault(role, denied)

    def _as_letter(self, match: re.Match[str]) -> str:
        return self._phrases[" ".join(match.group().split())].ljust(len(match.group()), FILLER)


def _any_of(phrases: dict[str, str]) -> re.Pattern[str] | None:
    if not phrases:
        return None
    longest_first = sorted(phrases, key=len, reverse=True)
    parts = (r"\s+".join(map(re.escape, phrase.split())) for phrase in longest_first)
    return re.compile(rf"(?<!\w)(?:{'|'.join(parts)})(?!\w)")
