"""English as the verdict rules need it: each word that matters has a role, one letter.

A sentence becomes a string of roles, and the rules are patterns over that string. Words of a task
(its classes and their aliases) are no part of this: they come from the task and get roles of their
own, from the letters of `class_role` on.
"""

import re

TOKEN = re.compile("\\w++(?:['-]\\w++)*+|[\ue000-\uefff\x01,;:()/\u2013\u2014]| -(?= )")

_ROLES = {
    "n": "not no nothing none cannot never neither without can't isn't doesn't don't wasn't"
    " aren't didn't won't couldn't wouldn't hasn't haven't unable impossible insufficient lack"
    " lacks lacking difficult hard challenging inability cant hardly barely",
    "d": "determine determined determining conclude concluded concluding conclusion"
    " conclusions assess assessed ascertain ascertained verify verified confirm confirmed"
    " establish established say said know tell judge judged decide decided deduce"
    " deduced infer inferred evaluate evaluated determination classify classified"
    " classification draw inference assessment evaluation judgment judgement validate"
    " prove proven resolve resolved support refute supported refuted assume assumed"
    " categorize categorized disprove deny contradict",
    "w": "whether if",
    "o": "or nor / versus",
    "&": "and",
    "v": "is are was were be been being remains remain considered deemed regarded labeled"
    " labelled stays appears seems would categorized can rated marked held becomes it's"
    " called",
    "x": "as",
    "s": "claim statement hypothesis assertion proposition",
    "q": "\x01",
    "i": "it this that they which option claim's statement's",
    "r": "answer verdict label response result",
    "t": "truth value veracity accuracy truthfulness status falsity falsehood validity",
    "h": "may might could possible possibly perhaps",
    "y": "necessarily",
    "a": "explicitly directly definitively definitely conclusively clearly fully entirely"
    " completely actually also strictly technically solely simply factually logically"
    " generally essentially then either in fact to have likely probably most very highly"
    " therefore rather quite partially accurately sufficiently adequately specifically"
    " certainly with certainty further both still only even reasonably safely reliably"
    " confidently absolutely partly mostly",
    "c": "thus hence consequently overall summary",
    "b": "because since due",
    "m": "however but although though while yet despite",
    "e": "enough sufficient any additional more explicit specific direct conclusive concrete clear",
    "f": "information evidence details data context proof basis indication",
    "g": "provide provides allow allows allowed enable enables permit give gives offer offers",
    "z": "the a an of on by in for with about from we i based given provided according at"
    " following above stated made make",
    "!": "indeed",
    "u": "unlikely improbable implausible",
    ",": ", ; \u2013 \u2014 -",
    ":": ":",
    "(": "(",
    ")": ")",
}
_CONCLUDING = "therefore thus hence consequently overall so accordingly ultimately"
OTHER = "_"
_FIRST_CLASS = 0xE000
CLASS = "[\ue000-\uefff]"

GENERIC_ROLES = {word: role for role, words in _ROLES.items() for word in words.split(" ")}
CONCLUDING_WORDS = frozenset(_CONCLUDING.split())
AFFIRMED_NAMES = frozenset(("true", "entailment", "entailed"))
UNDECIDED_NAMES = frozenset(
    ("inconclusive", "undetermined", "unknown", "undecided", "cannot be determined", "uncertain")
)


def tokens_of(sentence: str) -> list[str]:
    """The words and signs of a sentence; most stand between spaces, and need no search."""
    if " - " in sentence:
        return TOKEN.findall(sentence)
    tokens: list[str] = []
    for word in sentence.split():
        if word.isalpha():
            tokens.append(word)
        else:
            tokens += TOKEN.findall(word)
    return tokens


def class_role(index: int) -> str:
    """The role of the class at this place in the task."""
    return chr(_FIRST_CLASS + index)


def inflections(word: str) -> tuple[str, ...]:
    """A word and the forms it takes: support, supports, supported, supporting.

    Of a noun only the plural: `accounting` is no form of `account`.
    """
    if not word.isalpha() or len(word) < 4:
        return (word,)
    if not word.endswith(_OF_VERBS):
        return (word, word + "s", word.removesuffix("s")) if len(word) > 4 else (word, word + "s")
    if word.endswith("ied"):
        return (word, *(word[:-3] + ending for ending in ("y", "ies", "ying")))
    stem = re.sub(r"(?:s|ed|es|ing|e)$", "", word)
    return (word, *(stem + ending for ending in ("", "e", "s", "es", "ed", "ing") if len(stem) > 3))


_OF_VERBS = ("ed", "ts", "ls", "ms")


def verb_forms(alias: str) -> tuple[str, ...]:
    """The forms of `supported` or `entails` that need an object: supports, support, supporting."""
    if not alias.endswith(_OF_VERBS):
        return ()
    return tuple(form for form in inflections(alias) if not form.endswith("ed"))
