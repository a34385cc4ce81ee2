"""How probable each label was, by what the teacher knew of the tokens that name the one it gave.

The label's tokens are walked from where the answer first names it. What stands there could have
been another token: that gives its share to the labels which the answer would then have begun to
name. Names differ in case, in what joins their words, and in where tokens cut them; two that begin
alike share what falls on their beginning, until a token tells them apart. What names no label at
all, such as a line break, is left out of account, unless it is half of what could have been said.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from functools import lru_cache
from typing import NamedTuple, Self

from stepdistill.annotator.reading.readers import Reader
from stepdistill.annotator.reading.verdict.names import goes_on
from stepdistill.annotator.store.answer import Answer
from stepdistill.annotator.store.logprobs import KeptLogprobs, TokenDoubt, doubts_in
from stepdistill.common.kinds.kind import Kind

# A label whose tokens were all certain enough not to be kept: what they come to.
_SURE = 0.9998
_LEAST_NAMED, _MOST_BROKEN = 0.5, 0.05
_DECIMALS = 4
_SHORTEST_QUOTE = 12  # characters
_JOINTS = re.compile(r"(?<=\w)[\s_-]+(?=\w)")
_LEADING = re.compile(r"[\W_]+")
# A letter or number that stands for an option: `B`, `(b)`, `b.`, `B because`; not `A dog`.
_MARK = r"(?<![^\W_])(?:{0}|{1})(?=\s*(?:[).:,;*\"']|\n|\Z|because\b|since\b|as\b))"


class _Family(NamedTuple):
    """Names of one sort. is_bare: all begin with a letter or digit, so that what stands before one
    is no part of it."""

    names: Mapping[str, str]  # as they are written -> label
    by_first: Mapping[str, Sequence[tuple[str, str]]]  # first character -> (name compared, label)
    labels: Set[str]
    is_bare: bool

    @classmethod
    def of(cls, names: Mapping[str, str]) -> Self:
        """Of names, none of them empty."""
        by_first: dict[str, list[tuple[str, str]]] = {}
        for name, label in names.items():
            by_first.setdefault(_tidy(name)[0], []).append((_tidy(name), label))
        is_bare = all(name[0].isalnum() for name in names)
        return cls(names, by_first, frozenset(names.values()), is_bare)


class _Place(NamedTuple):
    """Where an answer first names its label, and by which sort of names."""

    start: int
    family: _Family


def label_probs(
    answer: Answer, label: str, kind: Kind, reader: Reader, fields: Mapping[str, str]
) -> dict[str, float] | None:
    """Label -> probability, of those that some token began to name; what is missing to 1 falls on
    all others together. None where it is not known: the teacher did not tell, labels have no names,
    or the tokens of this one cannot be found."""
    if answer.logprobs is None or not answer.text:
        return None
    families = _families(kind, fields)
    spans = reader.stated(answer.text, fields) if families else ()
    place = _place(_unquoted(answer.text, kind, fields), label, spans, families)
    if place is None:
        return None
    try:
        return _walk(answer.text, label, place, answer.logprobs)
    except (TypeError, ValueError):  # of a store that was written by something else
        return None


def mean_probs(each: Iterable[Mapping[str, float] | None]) -> dict[str, float] | None:
    """The mean of several, of those that are known; None where none is."""
    known = [probs for probs in each if probs is not None]
    if not known:
        return None
    names = dict.fromkeys(name for probs in known for name in probs)
    return _rounded({name: sum(p.get(name, 0.0) for p in known) / len(known) for name in names})


def _unquoted(text: str, kind: Kind, fields: Mapping[str, str]) -> str:
    """The text with what it repeats of the row blanked out, at its length: a label's name in there
    is not the teacher's."""
    for name, value in fields.items():
        if len(value) >= _SHORTEST_QUOTE and name not in kind.spec.options:
            text = text.replace(value, " " * len(value))
    return text


def _families(kind: Kind, fields: Mapping[str, str]) -> list[_Family]:
    """Each sort of names: the labels' own, letters, numbers. A label that is given by its letter
    competes with letters only."""
    spec = kind.spec
    if spec.kind == "classes":
        return [_class_names(kind)]
    if spec.kind != "options":
        return []
    texts = [fields.get(name, "") for name in spec.options]
    marks = [{chr(ord("a") + i): text for i, text in enumerate(texts)}]
    marks.append({str(i): text for i, text in enumerate(texts, start=1)})
    return [_Family.of(each) for each in ({text: text for text in texts if text}, *marks) if each]


@lru_cache(maxsize=8)
def _class_names(kind: Kind) -> _Family:
    spec = kind.spec
    named = {alias: name for name, each in spec.classes.items() for alias in each.aliases}
    return _Family.of(named | {name: name for name in spec.classes})


def _place(
    text: str, label: str, spans: Sequence[tuple[int, int]], families: list[_Family]
) -> _Place | None:
    for start, end in spans:
        found: list[_Place] = []
        for number, family in enumerate(families):
            own = [name for name, each in family.names.items() if each == label]
            starts = [at for name in own for at in _starts(text, name, start, end, number > 0)]
            if starts:
                found.append(_Place(min(starts), family))
        if found:
            return min(found, key=lambda place: place.start)
    return None


def _starts(text: str, name: str, start: int, end: int, is_mark: bool) -> Iterator[int]:
    """Where a name stands in a part of a text."""
    if is_mark:
        pattern = _MARK.format(re.escape(name), re.escape(name.upper()))
    else:
        pattern = r"[\s_-]+".join(re.escape(word) for word in re.split(r"[\s_-]+", name) if word)
    for match in re.compile(pattern, re.IGNORECASE if not is_mark else 0).finditer(text, start):
        if match.start() >= end:
            return
        before = text[match.start() - 1 : match.start()]
        is_part = before.isalnum() and name[:1].isalnum() and before.isascii() == name.isascii()
        if is_mark or (not is_part and not goes_on(text, match.end())):
            yield match.start()


def _tidy(name: str) -> str:
    return _JOINTS.sub(" ", name.casefold())


def _walk(text: str, label: str, place: _Place, kept: KeptLogprobs) -> dict[str, float] | None:
    named: dict[str, float] = {}
    weight, begin = 1.0, place.start
    for doubt in doubts_in(kept):
        if doubt.end <= place.start and (doubt.end, doubt.start) != (place.start, place.start):
            continue
        begin = min(begin, doubt.start)
        before = text[begin : doubt.start]
        if doubt.start > place.start and _labels(before, place.family) == {label}:
            break
        named_so = _labels(text[begin : doubt.end], place.family)
        shares = _shares(doubt, before, place.family, named_so) if label in named_so else None
        if shares is None:
            return None
        own, others = shares
        for name, share in others.items():
            named[name] = named.get(name, 0.0) + weight * share
        weight *= own
    named[label] = named.get(label, 0.0) + weight
    if named[label] > _SURE:
        return {label: _SURE}
    return _rounded(named)


def _shares(
    doubt: TokenDoubt, before: str, family: _Family, named_so: set[str]
) -> tuple[float, dict[str, float]] | None:
    """What of a place's weight goes on with the token that stands there, and what falls on labels
    by the others. named_so: the labels that may be named with this token. None where too little of
    the weight is known to name a label."""
    if doubt.probability is None:
        return None
    own, found, nameless, broken = doubt.probability, dict[str, float](), 0.0, 0.0
    for other, probability in doubt.others:
        labels = set[str]() if "\ufffd" in other else _labels(before + other, family)
        if labels == named_so:  # the same in other letters, or cut elsewhere
            own += probability
        elif not labels or labels == family.labels:
            nameless += probability
            broken += probability if "\ufffd" in other else 0.0
        else:
            for name in labels:
                found[name] = found.get(name, 0.0) + probability / len(labels)
    known = own + sum(found.values())
    # Rounding, or a server that lists what it did not draw from: no more than all of it.
    whole = max(1 - nameless, known)
    if whole < _LEAST_NAMED or broken > _MOST_BROKEN:
        return None
    return own / whole, {name: share / whole for name, share in found.items()}


def _labels(begun: str, family: _Family) -> set[str]:
    """The labels that an answer may be naming which has begun so; all of them where it has not
    begun. Of names that are whole the longest counts."""
    opening = _LEADING.match(begun) if family.is_bare else None
    text = _tidy(begun[opening.end() :] if opening else begun.lstrip())
    if not text:
        return {*family.labels}
    cut = text[:-1].rstrip(" _-") if text[-1] in "_-" or text[-1].isspace() else None
    found, whole, longest = set[str](), set[str](), 0
    for name, label in family.by_first.get(text[0], ()):
        if name.startswith(text) or (cut and name.startswith(f"{cut} ")):
            found.add(label)
        elif text.startswith(name) and not goes_on(text, len(name)) and len(name) >= longest:
            whole = {label} if len(name) > longest else whole | {label}
            longest = len(name)
    return found | whole


def _rounded(probs: Mapping[str, float]) -> dict[str, float]:
    """The likeliest first, without those that come to nothing."""
    each = ((name, round(share, _DECIMALS)) for name, share in probs.items())
    return dict(sorted(((n, p) for n, p in each if p > 0), key=lambda pair: -pair[1]))
