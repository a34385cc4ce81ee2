"""Which option an answer commits to.

In the sentence that answers ("the best choice ... would be X, because ...") the option behind the
last `is` or `would be` counts, before any reason; else one that is said to be the best choice; else
the only one named. A rejected option ("rather than X") never does, and two options of equal rank
("X and Y") are no answer.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import repeat
from typing import NamedTuple

from stepdistill.annotator.reading.reading import Verdict, undecided
from stepdistill.annotator.reading.verdict.lexicon import CONCLUDING_WORDS
from stepdistill.annotator.reading.verdict.names import Names
from stepdistill.annotator.reading.verdict.option_text import (
    Named,
    OptionTexts,
    option_texts,
    stems_of,
)
from stepdistill.annotator.reading.verdict.rationale import has_reasons, stated_in
from stepdistill.annotator.reading.verdict.refusal import is_refusal
from stepdistill.annotator.reading.verdict.text import Span, Text, lowered
from stepdistill.common.task import LabelSpec

# The last letter of a named option stands for it.
_TOKEN = re.compile(r"[^\W_]++(?:['-][^\W_]++)*+|\ue000(?!\ue000)|[,;:()]")
_NAMED = "\ue000"
_ROLES = {
    "v": "is are was were be been being would'be 'd it's i'd that's becomes",
    "f": "option choice options choices answer selection solution best suitable ideal optimal"
    " appropriate correct likely better prefer say choose select pick most response fit fits",
    "n": "not n't isn't wouldn't aren't rather instead unlike than nor neither never without over"
    " except eliminate rule exclude excluding",
    "b": "as so while although though whereas given",
    "c": "because since due",
    "m": "but however",
    "h": "may might could also too can",
    "w": "which where who whose when",
    "l": "include includes including included such e.g vary varies depend depends",
    "o": "or and both",
    ",": ", ; : ( )",
    "z": "the a an to in on at of your their his her its by for being going typically most likely"
    " probably",
}
_ROLE = {word: role for role, words in reversed(_ROLES.items()) for word in words.split()}
_ROLE[_NAMED] = _NAMED
_THE_BEST_IS = re.compile("f[^bc]*v|v[^,bc]{0,3}f")
_REASON = re.compile("[bc]|,w")
_ANSWERS_WITH_REASON = re.compile("[^bc]*f[^bc]*v.*c(z{0,3}$)?")
_IS_THE_BEST = re.compile(f"{_NAMED}_?v{{1,2}}[z_]{{0,3}}f")
_BEST_IN_WORDS = re.compile(r"(?:is|be|are)(?: \w+){1,4} (?:choice|option|answer)\b")
_SHORT = 40
_REJECTED_BEHIND = re.compile(f"{_NAMED}[hv]{{1,2}}n")
_REJECTED = re.compile("n[_zf,]{0,3}$")
_COORDINATED = re.compile("[,z_]{0,3}o[z_]{0,2}")
_FIRST_WORD = re.compile(r"\W*(\w+)")
_LIST_LINE = re.compile(r"[\s*(\"-]{0,4}(?:[a-z]|\d{1,2})[.):]|[-*\u2022] ")


class Commitment(NamedTuple):
    """A sentence's option, or its failure to name one of its `n`; `firm` if it is the answer."""

    sentence: int
    n: int
    named: Named | None
    firm: bool
    concluding: bool


class OptionReader:
    """Reads the label of a task whose rows bring their own options."""

    quotes_say_nothing = False

    def __init__(self, label: LabelSpec) -> None:
        self._names = label.options
        self._fields = tuple(label.options)

    def quotable(self, fields: Mapping[str, str]) -> list[str]:
        """The row without its options: a question may hold the words of one."""
        return [text for name, text in fields.items() if name not in self._names]

    def names(self, fields: Mapping[str, str]) -> Names:
        """The options' texts, letters, numbers and fields."""
        return self._options(fields).names

    def named(self, text: str, fields: Mapping[str, str]) -> str | None:
        """The option that a short text names: by its words, or by its letter."""
        options = self._options(fields)
        index = options.marked(text)
        if index is None:
            index = options.exactly(text)
        if index is None:
            found = {each.option for each in options.find(lowered(text), 0, len(text))}
            index = found.pop() if len(found) == 1 else None
        return options.options[index] if index is not None else None

    def read(self, text: Text, fields: Mapping[str, str]) -> Verdict:
        """The option the answer commits to, and where it says so."""
        options = self._options(fields)
        index = options.exactly(text.answer)
        if index is not None:
            return Verdict(
                label=options.options[index], rule="bare", confidence=0.99, stated=text.sentences
            )
        said = list(_commitments(text, options, self.quotable(fields)))
        chosen = _committed(said)
        if chosen and not chosen.firm and is_refusal(text.answer):
            return undecided("refusal")
        if chosen is None or chosen.named is None:
            several = any(each.n for each in said)
            reason = "conflicting_verdicts" if several else "no_verdict"
            return undecided(reason, _no_reasons(text, options))
        return _verdict(text, options, chosen, said)

    def _options(self, fields: Mapping[str, str]) -> OptionTexts:
        return option_texts(tuple(fields.get(name, "") for name in self._names), self._fields)


def _commitments(text: Text, options: OptionTexts, asked: list[str]) -> Iterator[Commitment]:
    listed = _list_lines(text)
    firmly = False
    for number, (start, end) in enumerate(text.sentences):
        concluding = _concludes(text.hidden, start, end)
        if number in listed or (firmly and not concluding):
            continue
        found = options.find(text.hidden, start, end)
        if not found:
            if number == 0 and text.hidden[end - 1] == "." and _answers(text):
                # `The best option would be a hose`: what follows speaks of hoses.
                firmly = True
                yield Commitment(sentence=0, n=0, named=None, firm=True, concluding=False)
            continue
        codes = _codes(text.hidden[start:end], found, start)
        named, firm = _chosen(codes, found, options, asked)
        if named is None and len({each.option for each in found}) > 2:
            continue
        firmly = firmly or firm
        yield Commitment(
            sentence=number, n=len(found), named=named, firm=firm, concluding=concluding
        )


def _answers(text: Text) -> bool:
    """`The best option would be`, not `would depend on`: it is the answer, whatever it names."""
    start, end = text.sentences[0]
    codes = _codes(text.hidden[start:end], [], start)
    return "l" not in codes and _THE_BEST_IS.search(codes) is not None


def _no_reasons(text: Text, options: OptionTexts) -> tuple[Span, ...]:
    """What an answer without a label says, but for its reasons: options, or what would be best."""
    start, end = text.sentences[0]
    if _answers(text):
        return (stated_in(text, 0, (start + 1, start + 1)),)
    if len(text.sentences) == 1 and (found := options.find(text.hidden, start, end)):
        return (stated_in(text, 0, (found[0].start, found[-1].end)),)
    short = [span for span in text.sentences if span[1] - span[0] <= _SHORT]
    return tuple(span for span in short if _is_option(text.answer[slice(*span)], options))


def _is_option(text: str, options: OptionTexts) -> bool:
    return options.marked(text) is not None or options.exactly(text) is not None


def _concludes(hidden: str, start: int, end: int) -> bool:
    first = _FIRST_WORD.match(hidden, start, end)
    return first is not None and first[1] in CONCLUDING_WORDS


def _list_lines(text: Text) -> set[int]:
    """Sentences that open with a list mark, where there are several: they discuss, not answer."""
    marked = {
        number
        for number, (start, end) in enumerate(text.sentences)
        if _LIST_LINE.match(text.hidden, start, end)
    }
    return marked if len(marked) > 1 else set()


def _codes(sentence: str, found: list[Named], offset: int) -> str:
    for each in found:
        start, end = each.start - offset, each.end - offset
        sentence = f"{sentence[:start]}{_NAMED * (end - start)}{sentence[end:]}"
    return "".join(map(_ROLE.get, _TOKEN.findall(sentence), repeat("_")))


def _chosen(
    codes: str, found: list[Named], options: OptionTexts, asked: list[str]
) -> tuple[Named | None, bool]:
    """The option of one sentence and whether the sentence commits to it."""
    places = [match.start() for match in re.finditer(_NAMED, codes)]
    pairs = [
        (place, each)
        for place, each in zip(places, found, strict=False)
        if not _REJECTED.search(codes[:place]) and not _REJECTED_BEHIND.match(codes, place)
    ]
    if not pairs:
        return None, False
    if _only_reasons_name(codes, pairs):
        return None, True
    pairs = _behind_but(codes, pairs)
    reason = _REASON.search(codes, pairs[0][0])
    main = codes[: reason.start()] if reason else codes
    clause = [pair for pair in pairs if pair[0] < len(main)]
    copula = max((match.start() for match in re.finditer("v", codes[: clause[-1][0]])), default=-1)
    behind = [pair for pair in clause if pair[0] > copula >= 0]
    firm = "f" in main or len(codes) <= 6
    if not firm and "l" in main:
        return None, False
    if behind and (firm or len(behind) == 1):
        return _if_alone(codes, behind), firm
    return _only(clause, options, asked), firm


def _only_reasons_name(codes: str, pairs: list[tuple[int, Named]]) -> bool:
    """`The best option would be a hose, because a can is heavy`, or because of several options."""
    first = pairs[0][0]
    if "c" not in codes[:first] or not (answers := _ANSWERS_WITH_REASON.match(codes, 0, first)):
        return False
    return answers[1] is not None or len({named.option for _, named in pairs}) > 1


def _behind_but(codes: str, pairs: list[tuple[int, Named]]) -> list[tuple[int, Named]]:
    """What follows a `but` counts, unless it only grants something (`but a can may do, too`)."""
    but = codes.rfind("m")
    if but < 0 or "h" in codes[but:]:
        return pairs
    return [pair for pair in pairs if pair[0] > but] or pairs


def _if_alone(codes: str, pairs: list[tuple[int, Named]]) -> Named | None:
    """The first of these options, unless a second one stands beside it as an equal."""
    first = pairs[0]
    for place, named in pairs[1:]:
        between = codes[first[0] + 1 : place]
        if named.option != first[1].option and _COORDINATED.fullmatch(between):
            return None
    return first[1]


def _only(pairs: list[tuple[int, Named]], options: OptionTexts, asked: list[str]) -> Named | None:
    """The one option named, not counting those that only echo the question's own words."""
    if len(pairs) == 1:
        return pairs[0][1]
    echoed = set(stems_of(" ".join(asked)))
    own = [named for _, named in pairs if not echoed.issuperset(options.stems[named.option])]
    candidates = own or [named for _, named in pairs]
    texts = {options.options[named.option].casefold() for named in candidates}
    return candidates[0] if len(texts) == 1 else None


def _committed(said: list[Commitment]) -> Commitment | None:
    """The last conclusion, else the first firm word, else what the opening sentence names."""
    firm = [each for each in said if each.firm]
    concluding = [each for each in firm if each.concluding and each.named]
    if concluding:
        return concluding[-1]
    if firm:
        return firm[0]
    return said[0] if said and said[0].sentence == 0 else None


def _verdict(
    text: Text, options: OptionTexts, chosen: Commitment, said: list[Commitment]
) -> Verdict:
    assert chosen.named is not None
    main = _stated(text, chosen.sentence, chosen.named)
    repeats = [
        _stated(text, each.sentence, each.named)
        for each in said
        if each.firm and each is not chosen and each.named
    ]
    stated = tuple(sorted([main, *repeats, *_said_again(text, options, chosen)]))
    return Verdict(
        label=options.options[chosen.named.option],
        rule="statement" if chosen.firm else "only-option",
        confidence=0.95 if chosen.firm else 0.8,
        stated=stated if has_reasons(text, stated) else (main,),
    )


def _said_again(text: Text, options: OptionTexts, chosen: Commitment) -> Iterator[Span]:
    """Later sentences of which one says once more that `X is the best choice`."""
    assert chosen.named is not None
    for number, (start, end) in enumerate(text.sentences[chosen.sentence + 1 :]):
        if not _BEST_IN_WORDS.search(text.hidden, start, end):
            continue
        found = options.find(text.hidden, start, end)
        codes = _codes(text.hidden[start:end], found, start)
        again = _IS_THE_BEST.search(codes)
        named = found[codes.count(_NAMED, 0, again.start())] if again else None
        if named and named.option == chosen.named.option:
            yield _stated(text, chosen.sentence + 1 + number, named)


def _stated(text: Text, sentence: int, named: Named) -> Span:
    return stated_in(text, sentence, (named.start, named.end))
