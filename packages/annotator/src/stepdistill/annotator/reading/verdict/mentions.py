"""What one sentence asserts about the class.

A class's name counts where it is asserted. It does not where it is one of a list of choices
("true, false, or inconclusive"), asked about ("whether it is true"), hedged ("could be true"),
conceded ("while it is true that") or said of a part only. A negation turns it round; "cannot
determine" and its kin mean the undecided class, but less firmly than that class's own name.
"""

import re
from collections.abc import Iterator
from itertools import repeat
from typing import NamedTuple

from stepdistill.annotator.reading.verdict.class_words import ClassWords
from stepdistill.annotator.reading.verdict.lexicon import CLASS, OTHER, tokens_of
from stepdistill.annotator.reading.verdict.text import Span

OPENS = re.compile(f"[aiv]{{0,2}}{CLASS}(?:$|[,:bxm(]|[_z])")
SUBJECT = re.compile("[sq]")
HINT, SOFT, STATED, COMMITTED = 1, 2, 3, 4

_LIST = re.compile(f"{CLASS}(?:[asivz_]{{0,2}}[,o&]+[aoviz]{{0,2}}{CLASS})+")
_CLASS = re.compile(CLASS)
# `cannot determine`; not `not accurate to say`.
_CANNOT_TELL = re.compile(f"n(?:(?!{CLASS}ad)[^n,:m;]){{0,8}}?d|na{{0,2}}s(?=i)")
_ABOUT_THE_CLAIM = re.compile("[tsqwir]")
_NO_INFORMATION = re.compile("n[_zaeg]{0,3}f")
_NOTHING_TO = re.compile("n[^,:;mnb]{0,6}f[^,:;mnb]{0,4}$")
_SOMETHING_TO = re.compile("vz?e?_?fa$|va$")
_CAN_TELL_THAT = re.compile("v[av]{0,2}d[^,m]{0,2}i(?:[^,m]*!|z?q)")
_CONFIRMS_THAT = re.compile(f"i{CLASS}i[^nm]*!")
_UNLIKELY = re.compile("^[^,nm]*(?:,|f)?[^,nm]{0,6}va{0,2}u(?:i|[sq])")
_DENIED = re.compile(f"n(?:[avyxze_do]|{CLASS}){{0,3}}$|nri?x$")
_NOT_NECESSARILY = re.compile("n[^n]{0,5}y[^n]{0,3}$")
_HEDGED = re.compile("h[avn]{0,3}$")
_JUDGES = re.compile("[sq][^,]{0,3}v[az]{0,3}$")
_THE_CLAIM = re.compile("[sq][av]{0,2}$")
_TO_SAY = re.compile(f"{CLASS}a[ds]|n[av]{{0,2}}{CLASS}[^,]{{0,3}}i")
_BREAKS = ",:m;b"
_SAID_OF = re.compile("[rt][^,:m;]{0,7}$|dv[av]{0,2}$")
_PARTS = frozenset(("part", "parts", "portion", "portions", "aspect", "half"))
_NOT_A_VERDICT_BEFORE = frozenset(("answer", "option", "response", "choice", "classification"))
_NOT_A_VERDICT_BEHIND = frozenset(("the", "partially", "partly", "more"))
_NEEDED = frozenset(("need", "needed", "needs", "require", "required", "requires", "necessary"))
_FURTHEST = 60


class Mention(NamedTuple):
    """One asserted class within a sentence: its words' places, and how firmly it stands."""

    place: int
    until: int
    role: str
    strength: int


class Here(NamedTuple):
    """A class's name in a sentence, with what stands before it: of the sentence, of its clause."""

    codes: str
    tokens: list[str]
    place: int
    before: str
    clause: str

    def word(self, steps: int) -> str:
        """The word so many steps behind (or, below zero, before) the name; empty outside."""
        place = self.place + steps
        return self.tokens[place] if 0 <= place < len(self.tokens) else ""


class MentionFinder:
    """Finds what a sentence asserts about the classes of one task."""

    def __init__(self, words: ClassWords) -> None:
        self._words = words

    def codes(self, hidden: str, start: int, end: int) -> tuple[list[str], str]:
        """A sentence's words, and their roles."""
        tokens = tokens_of(hidden[start:end])
        return tokens, "".join(map(self._words.roles.get, tokens, repeat(OTHER)))

    def find(self, tokens: list[str], codes: str) -> list[Mention]:
        """All that a sentence asserts, in order."""
        if codes.isascii() and "n" not in codes:
            return self._affirmed(codes)  # all roles but those of classes are ASCII
        classes = [match.start() for match in _CLASS.finditer(codes)]
        lists: list[Span] = []
        if len(classes) > 1 and "o" in codes:
            lists = [match.span() for match in _LIST.finditer(codes) if _is_choice(match.group())]
        unsure = list(self._undecided(codes, lists)) if "n" in codes else []
        if taken := lists + [(each.place, each.until) for each in unsure]:
            classes = [p for p in classes if not any(start <= p < end for start, end in taken)]
        mentions = [*unsure, *self._denied_lists(codes, lists)] if lists else unsure
        for place in classes:
            if mention := self._mention(_here(codes, tokens, place)):
                mentions.append(mention)
        if len(mentions) > 1:
            mentions.sort(key=lambda each: each.place)
        return mentions or self._affirmed(codes)

    def _affirmed(self, codes: str) -> list[Mention]:
        """`We can conclude that`, and then the very claim; or `it is unlikely that`."""
        role = self._words.affirmed
        if role is None:
            return []
        match = None
        if "i" in codes and "n" not in codes:
            match = _CAN_TELL_THAT.search(codes) or _CONFIRMS_THAT.search(codes)
        if match is None and "u" in codes and (match := _UNLIKELY.search(codes)):
            role = self._words.opposite(role)
        if match is None or role is None:
            return []
        return [Mention(place=match.start(), until=match.end(), role=role, strength=HINT)]

    def _undecided(self, codes: str, lists: list[Span]) -> Iterator[Mention]:
        role = self._words.undecided
        if role is None:
            return
        for match in _CANNOT_TELL.finditer(codes):
            place, until = match.span()
            of_claim = _ABOUT_THE_CLAIM.search(codes, until, until + 10)
            strength = SOFT if of_claim or SUBJECT.search(codes, 0, place) else HINT
            choices = (e for s, e in lists if s >= until and "b" not in codes[until:s])
            yield Mention(place=place, until=next(choices, until), role=role, strength=strength)
        if match := _NO_INFORMATION.search(codes):
            yield Mention(place=match.start(), until=match.end(), role=role, strength=HINT)

    def _denied_lists(self, codes: str, lists: list[Span]) -> list[Mention]:
        """`Neither true nor false`, `not able to support or refute`: undecided."""
        role = self._words.undecided
        if role is None:
            return []
        return [
            Mention(place=start, until=end, role=role, strength=SOFT)
            for start, end in lists
            if "n" in codes[max(0, start - 7) : start]
        ]

    def _mention(self, here: Here) -> Mention | None:
        role, unsure = here.codes[here.place], self._words.undecided
        if self._is_only_mentioned(here, role == unsure):
            return None
        strength = _strength(here, role == unsure)
        denied = "n" in here.clause
        if denied and _NOT_NECESSARILY.search(here.clause):
            role = unsure
        elif (denied and _DENIED.search(here.clause)) or _is_far_from(here):
            role = self._words.negated(here.word(0), role)
        if role is None:
            return None
        if role == unsure != here.codes[here.place]:
            strength = min(strength, SOFT)
        return Mention(place=here.place, until=here.place + 1, role=role, strength=strength)

    def _is_only_mentioned(self, here: Here, is_undecided: bool) -> bool:
        if here.word(0) in self._words.verbs and (
            here.word(-1) in ("in", "of", "for") or _is_needed(here) or not _is_finite(here)
        ):
            return True
        if not is_undecided and ("w" in here.clause or _is_conditional(here)):
            return True
        return _is_outside_the_verdict(here) or _is_attributive(here)


def _here(codes: str, tokens: list[str], place: int) -> Here:
    before = codes[max(0, place - _FURTHEST) : place]
    clause = before[max(map(before.rfind, _BREAKS)) + 1 :]
    return Here(codes, tokens, place, before, clause)


def _is_conditional(here: Here) -> bool:
    """`If it had said red, it would be true`; but not what a semicolon parts from it."""
    before = here.tokens[max(0, here.place - _FURTHEST) : here.place]
    return "if" in before and ";" not in before[before.index("if") :]


def _is_far_from(here: Here) -> bool:
    return here.word(-1) == "from" and here.word(-2) == "far"


def _is_outside_the_verdict(here: Here) -> bool:
    """Conceded, hedged, not to be told, an aim rather than a finding, or said of a part."""
    if here.word(1) in _NOT_A_VERDICT_BEFORE or here.word(-1) in _NOT_A_VERDICT_BEHIND:
        return True
    if here.word(1) == "to" and here.word(2) in ("make", "draw"):
        return True  # `it would be wrong to draw a conclusion`
    if here.word(1) == "that" and "m" in here.before[-6:]:
        return True
    if here.word(-1) == "to" and not _SOMETHING_TO.search(here.before):
        return True
    clause = here.clause
    if "n" in clause and (_CANNOT_TELL.search(clause) or _NOTHING_TO.search(clause)):
        return True
    if ("h" in clause and _HEDGED.search(clause)) or _TO_SAY.search(clause):
        return True
    return not _PARTS.isdisjoint(here.tokens[max(0, here.place - 8) : here.place])


def _is_attributive(here: Here) -> bool:
    """`An accurate assessment` judges no claim; `an accurate claim` does."""
    if here.word(-1) not in ("a", "an") or _JUDGES.search(here.before):
        return False
    return here.codes[here.place + 1 : here.place + 2] in (OTHER, "d")


def _is_choice(listed: str) -> bool:
    """`True, false or inconclusive`, but not `not accurate and contradicts the text`."""
    return "o" in listed and len(set(_CLASS.findall(listed))) > 1


def _is_needed(here: Here) -> bool:
    """`We would need a source that confirms the claim`: there is none."""
    return not _NEEDED.isdisjoint(here.tokens[max(0, here.place - _FURTHEST) : here.place])


def _is_finite(here: Here) -> bool:
    """`The text supports the claim`, `the claim contradicts the text`; not any `supports`."""
    if here.word(1) == "it" or _has_object(here, 6):
        return True
    return _THE_CLAIM.search(here.before) is not None


def _has_object(here: Here, within: int) -> bool:
    return SUBJECT.search(here.codes, here.place + 1, here.place + within) is not None


def _strength(here: Here, is_undecided: bool) -> int:
    if here.word(-1) == "to" and not here.before.endswith("va"):
        return HINT
    if here.word(1) == "to" and not is_undecided:
        return SOFT
    if here.place <= 2 and OPENS.match(here.codes):
        return STATED
    object_within = 9 if is_undecided else 6
    if SUBJECT.search(here.before) or _has_object(here, object_within):
        return STATED
    if _SAID_OF.search(here.before):
        return STATED
    if "i" in here.before[-8:] or (is_undecided and here.before.endswith("v")):
        return SOFT
    return HINT
