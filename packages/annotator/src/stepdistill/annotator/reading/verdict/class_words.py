"""The words of a task's classes: which word names which class, and what their negations mean."""

import re
from collections import Counter

from stepdistill.annotator.reading.verdict.lexicon import (
    AFFIRMED_NAMES,
    GENERIC_ROLES,
    UNDECIDED_NAMES,
    class_role,
    inflections,
    verb_forms,
)
from stepdistill.annotator.reading.verdict.names import any_name
from stepdistill.annotator.reading.verdict.text import FILLER, lowered
from stepdistill.common.task import LabelSpec

_NOT = "not "
# Words of letters alone, with signs between them at most: `non-negative`; not `I`, `-1`, `C++`.
_ONE_WORD = re.compile(r"[^\W\d_]{2,}(?:['-][^\W\d_]+)*")
_A_WORD_FOLLOWS = re.compile(r"\s+[a-z]")


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
        self._exact: Counter[str] = Counter()
        self._phrases: dict[str, dict[str, str]] = {}
        for index, (name, spec) in enumerate(label.classes.items()):
            self._exact.update({*map(_key, (name, *spec.aliases))})
            self.names[class_role(index)] = name
        for role, (name, spec) in zip(self.names, label.classes.items(), strict=True):
            self._learn(role, [name, *spec.aliases])
            self.verbs.difference_update(map(_key, (name, *spec.aliases)))
        self._find_opposites()
        self._phrase = any_name(self._phrases)

    def joined(self, text: str, answer: str) -> str:
        """The text with each name that is not one plain word as its class's letter, at its length.

        answer: the text as it was written.
        """
        if self._phrase is None:
            return text
        return self._phrase.sub(lambda match: self._as_letter(match, answer), text)

    def negated(self, word: str, role: str) -> str | None:
        """The class that denying this word of a class means; None where that leaves it open."""
        return self._denied.get(word) or self._opposite.get(role)

    def opposite(self, role: str) -> str | None:
        """The class that denies this one, where there is just one."""
        return self._opposite.get(role)

    def _learn(self, role: str, names: list[str]) -> None:
        self.roles[role] = role
        for written in names:
            name = _key(written)
            if name in UNDECIDED_NAMES:
                self.undecided = role
            if name in AFFIRMED_NAMES:
                self.affirmed = role
            if name in ("yes", "no"):
                self.yes_no[name] = role
            elif name.startswith(_NOT) and " " not in name[len(_NOT) :]:
                self._denied.update(dict.fromkeys(inflections(name[len(_NOT) :]), role))
            elif not _ONE_WORD.fullmatch(name) or self._exact[name] > 1:
                self._phrases.setdefault(_low(written), {}).setdefault(written, role)
            else:
                others = (word for word in inflections(name) if word not in self._exact)
                self.roles.update(dict.fromkeys((name, *others), role))
                self.verbs.update(verb_forms(name))

    def _find_opposites(self) -> None:
        for word, role in self._denied.items():
            if (denied := self.roles.get(word)) in self.names and role != self.undecided:
                self._opposite[denied] = role
                self._opposite.setdefault(role, denied)

    def _as_letter(self, match: re.Match[str], answer: str) -> str:
        found, written = match.group(), answer[match.start() : match.end()]
        names = self._phrases[" ".join(found.split())]
        role = names.get(" ".join(written.split()))
        if role is None:
            # `a` is not the class A, nor `us` the class US; two names may differ in case alone.
            if len(found) == 1 or len({*names.values()}) > 1:
                return found
            role = next(iter(names.values()))
        if found in ("a", "i") and _A_WORD_FOLLOWS.match(answer, match.end()):
            return found
        return role.ljust(len(found), FILLER)


def _key(name: str) -> str:
    return " ".join(name.casefold().split())


def _low(name: str) -> str:
    """As `prepare` writes the answers in which the name is looked for."""
    return " ".join(lowered(name).split())
