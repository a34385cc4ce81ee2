"""The class an answer commits to, out of what its sentences assert.

The firmest word counts: a verdict that opens the answer or concludes it, before a statement about
the claim, before a soft one ("we cannot determine"), before a hint. Of equally firm ones that
differ the last conclusion counts, else the first.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from stepdistill.annotator.reading.reading import Verdict, undecided
from stepdistill.annotator.reading.verdict.class_words import ClassWords
from stepdistill.annotator.reading.verdict.lexicon import CONCLUDING_WORDS, GENERIC_ROLES, OTHER
from stepdistill.annotator.reading.verdict.mentions import (
    COMMITTED,
    HINT,
    OPENS,
    SOFT,
    STATED,
    SUBJECT,
    Mention,
    MentionFinder,
)
from stepdistill.annotator.reading.verdict.text import Text, lowered

_REASON = re.compile("[bx]")
_THE_ANSWER_IS = re.compile("z{0,2}[rt][^,:m;]{0,4}v")
_SAYS_MORE = re.compile("[fg]|,[^,]{0,2}c?i|ni?[_z]*f")
_CAN_BE_TOLD = re.compile("[vdg_][^n,m]{0,12}d[^n,m]{0,5}t")
_RULES = {
    HINT: ("hint", 0.6),
    SOFT: ("soft-statement", 0.85),
    STATED: ("statement", 0.93),
    COMMITTED: ("final-verdict", 0.97),
}
_SHORT = 4


class Assertion(NamedTuple):
    """One sentence's word on the label; `content` counts its words beyond the bare verdict."""

    sentence: int
    tokens: list[str]
    mention: Mention
    concluding: bool
    content: int

    @property
    def role(self) -> str:
        """The class asserted."""
        return self.mention.role

    @property
    def only_judges(self) -> bool:
        """`We can conclude that`, `it is not possible to tell`: at the opening, or for lack of
        information (`without more details, we cannot say`)."""
        before = self.tokens[: self.mention.place]
        if before[-1:] == ["we"] or before[-2:] == ["it", "is"]:
            return self.sentence == 0 or _lacks_information(before)
        return False


class ClassVerdict:
    """Finds what an answer's sentences assert, and the verdict among it."""

    def __init__(self, words: ClassWords) -> None:
        self._words = words
        self._mentions = MentionFinder(words)

    def named(self, text: str) -> str | None:
        """The class that a short text names, such as what follows `Label:`."""
        tokens, codes = self._mentions.codes(self._words.joined(lowered(text), text), 0, len(text))
        weakest = SOFT if len(tokens) > _SHORT else HINT
        found = self._mentions.find(tokens, codes)
        roles = {each.role for each in found if each.strength >= weakest}
        if not found and len(tokens) == 1:
            roles = self._yes_or_no(tokens)
        return self._words.names[roles.pop()] if len(roles) == 1 else None

    def can_be_told(self, text: Text) -> bool:
        """Whether the first sentence of several says no more than that the claim can be judged."""
        if len(text.sentences) < 2:
            return False
        _, codes = self._mentions.codes(text.hidden, *text.sentences[0])
        return "n" not in codes and _CAN_BE_TOLD.search(codes) is not None

    def read(self, text: Text) -> tuple[Verdict, list[Assertion]]:
        """The verdict of a whole answer, and the sentences that assert it, the main one first.

        text: with the names of several words joined.
        """
        said = list(self._assertions(text))
        chosen = _committed(said)
        if chosen is None:
            return self._without_assertion(text, said), []
        rule, confidence = _RULES[chosen.mention.strength]
        label = self._words.names[chosen.role]
        others = [each for each in said if each.role == chosen.role and each is not chosen]
        return Verdict(label=label, rule=rule, confidence=confidence), [chosen, *others]

    def _without_assertion(self, text: Text, said: list[Assertion]) -> Verdict:
        if said:
            return undecided("conflicting_verdicts")
        tokens, codes = self._mentions.codes(text.hidden, *text.sentences[0])
        roles = self._yes_or_no(tokens[:1])
        if not roles or "t" in codes:
            # `Yes, the truth of the claim can be determined` does not say what it is.
            return undecided("no_verdict")
        name = self._words.names[roles.pop()]
        stated = text.sentences[:1] if len(text.sentences) > 1 else ()
        return Verdict(label=name, rule="yes-or-no", confidence=0.7, stated=stated)

    def _yes_or_no(self, tokens: list[str]) -> set[str]:
        return {role for token in tokens if (role := self._words.yes_no.get(token))}

    def _assertions(self, text: Text) -> Iterator[Assertion]:
        for number, (start, end) in enumerate(text.sentences):
            if text.hidden[end - 1] == "?":
                continue
            tokens, codes = self._mentions.codes(text.hidden, start, end)
            if mentions := self._mentions.find(tokens, codes):
                last = number == len(text.sentences) - 1
                concluding = _concludes(tokens, codes, last)
                chosen = _chosen(number, mentions, codes, concluding)
                if chosen is None:
                    continue
                yield Assertion(number, tokens, chosen, concluding, _content(tokens, codes, chosen))


def _chosen(number: int, mentions: list[Mention], codes: str, concluding: bool) -> Mention | None:
    """A sentence's last word on the label, firmer where the sentence opens or concludes; None where
    it says two things softly: `the text makes it true and false`."""
    best, firm = mentions[0].strength, mentions
    if len(mentions) > 1:
        best = max(each.strength for each in mentions)
        firm = [each for each in mentions if each.strength == best]
        if best == SOFT and len({each.role for each in firm}) > 1:
            return None
    opens = number == 0 and best == STATED and firm[0].place <= 2 and OPENS.match(codes) is not None
    chosen = firm[0] if opens else _before_reasons(firm, codes)
    if opens or (concluding and best == STATED):
        return Mention(chosen.place, chosen.until, chosen.role, COMMITTED)
    if concluding and best == HINT:
        return Mention(chosen.place, chosen.until, chosen.role, SOFT)
    return chosen


def _before_reasons(firm: list[Mention], codes: str) -> Mention:
    """The last mention, but one before a `because` rather than one behind it."""
    if len(firm) == 1:
        return firm[0]
    reason = _REASON.search(codes, firm[0].until)
    limit = reason.start() if reason else len(codes)
    return [each for each in firm if each.place <= limit][-1]


def _concludes(tokens: list[str], codes: str, last: bool) -> bool:
    """`Therefore`, `in conclusion`; or a last sentence that says what the answer is."""
    if tokens[0] in CONCLUDING_WORDS or (last and _THE_ANSWER_IS.match(codes)):
        return True
    return tokens[0] == "in" and tokens[1:2] in (["conclusion"], ["summary"])


def _lacks_information(tokens: list[str]) -> bool:
    return tokens[0] == "without" and any(GENERIC_ROLES.get(each) == "f" for each in tokens[1:7])


def _content(tokens: list[str], codes: str, mention: Mention) -> int:
    """How many words say more than the verdict: not the claim's own, nor what is asked of it."""
    if "m" in codes[1 : mention.place] or tokens[:2] == ["the", "fact"]:
        return len(codes)  # `it is possible, but it cannot be determined`
    subject = SUBJECT.search(codes, 0, mention.place)
    named = subject is not None and not _SAYS_MORE.search(codes, subject.end(), mention.place)
    start = subject.start() if subject and named else mention.place
    asked = codes.find("w", mention.place)
    after = codes[mention.until : asked] if asked >= 0 else codes[mention.until :]
    return codes[:start].count(OTHER) + after.count(OTHER)


def _committed(said: list[Assertion]) -> Assertion | None:
    if len(said) < 2:
        return said[0] if said else None
    best = max(each.mention.strength for each in said)
    firm = [each for each in said if each.mention.strength == best]
    if len({each.role for each in firm}) == 1:
        return firm[0]
    concluding = [each for each in firm if each.concluding]
    if concluding:
        return concluding[-1]
    return firm[0] if best > HINT else None
