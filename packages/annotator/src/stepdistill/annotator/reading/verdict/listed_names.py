"""The names of several classes as answers list them, and lines that begin with such names.

A list is made of names and what may stand between them. A name that the task does not have makes
the whole list unreadable: to leave it out would make half a set of what was said.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from stepdistill.annotator.reading.verdict.text import Span
from stepdistill.common.task import LabelSpec

# What stands between the names of a list: `, `, ` and `, `"], ["`, a line with `- ` or `1. `.
_BETWEEN = re.compile(
    r"(?:[\s\[\](){}\"'`*•·;,|/&+.、，；]+|(?:and|or|both|as well as|plus|und|et|y)(?=[\s\"'`*])"
    r"|(?:(?<=\n)|^)[ \t]*(?:[-–]|\d{1,2}[.):]))+",
    re.IGNORECASE,
)
LIST_MARK = re.compile(r"[ \t>]*(?:[-–*•·]|\d{1,2}[.)])[ \t]+")
_ASIDE = re.compile(r"\([^()\n]{0,200}\)")  # `joy (0.9), anger (strong)`
_ENDS_A_LIST = re.compile(
    # `: she smiles`, ` - she smiles`, `. She smiles`, ` because she smiles`, ` only`
    r"[\s\"'`*_)\]}]*(?:\Z|[.!:(–—]|-\s|,?\s*(?:because|since|as|due to|given|only)\b)",
    re.IGNORECASE,
)
_GOES_ON = re.compile(r"[\s\"'`*_)\]}]*(?:[;,|&/+、，；]|\b(?:and|or)\b)\W*", re.IGNORECASE)
_ITEM = re.compile(r"[^;,|&/+、，；\n.:(]*")
_DECIDED = re.compile(
    # `joy: yes`, `**anger** - no`
    r"(?P<name>.{1,80}?)[\s\"'`*_]*(?:[:=–—]|\s-)[\s\"'`*_]*"
    r"(?:(?P<yes>yes|true|present|1)|no|none|not present|false|absent|0)\W*",
    re.IGNORECASE,
)
_WORD = re.compile(r"\w+")
_FEW_WORDS = 2
_JOINTS = re.compile(r"[\s_-]+")


class NamedClass(NamedTuple):
    """A class named at a place of the answer."""

    label: str
    start: int
    end: int


class Line(NamedTuple):
    """What a line of a list names.

    labels: the classes; none of them where the line denies one (`anger: no`).
    place: the characters of the line that say so.
    is_foreign: it names what the task does not have, so the list cannot be read.
    """

    labels: tuple[str, ...]
    place: Span
    is_foreign: bool = False


class ListedNames:
    """The names of a task's classes, found in lists."""

    def __init__(self, label: LabelSpec) -> None:
        written = [(each, name) for name, spec in label.classes.items()
                   for each in (name, *spec.aliases) if each.strip()]  # fmt: skip
        self._labels: dict[str, str] = {}
        for each, name in written:
            self._labels.setdefault(_joined(each), name)
        # The longest first: of `severe toxic` and `toxic` the one that is there.
        longest = sorted({each for each, _ in written}, key=len, reverse=True)
        self._names = re.compile("|".join(map(_pattern, longest)), re.IGNORECASE)

    def found(self, text: str, span: Span) -> Iterator[NamedClass]:
        """All names in a part of a text."""
        for match in self._names.finditer(text, *span):
            yield NamedClass(self._labels[_joined(match.group())], *match.span())

    def listed(self, text: str) -> list[str] | None:
        """The classes of a text that is made of names and what stands between them."""
        named, end = self._scanned(text)
        return [each.label for each in named] if named and end == len(text) else None

    def line(self, text: str) -> Line | None:
        """A line that begins with names, whatever it says of them; None where it does not."""
        mark = LIST_MARK.match(text)
        start = mark.end() if mark else 0
        if (decided := self.decided(text[start:])) is not None:
            return Line(decided, (start, len(text)))
        without_asides = _ASIDE.sub(lambda aside: " " * len(aside.group()), text)
        named, plain = max(
            ((self._scanned(each, start)[0], each) for each in (text, without_asides)),
            key=lambda scanned: len(scanned[0]),
        )
        if named and _ENDS_A_LIST.match(plain, named[-1].end):
            return Line(tuple(each.label for each in named), (start, named[-1].end))
        goes_on = _GOES_ON.match(plain, named[-1].end) if named else None
        if goes_on and self._is_a_name(_item(plain, goes_on.end())):
            return Line((), (start, len(text)), is_foreign=True)
        if not named and self._is_a_name(plain[start:].strip(" \"'`*_[]")):
            return Line((), (start, len(text)), is_foreign=True)
        return None

    def decided(self, line: str) -> tuple[str, ...] | None:
        """The classes of `joy: yes`, none of `joy: no`; None of any other line."""
        match = _DECIDED.fullmatch(line.strip())
        names = self.listed(match["name"]) if match else None
        return None if not match or names is None else tuple(names) if match["yes"] else ()

    def without(self, text: str) -> str:
        """The text less all names."""
        return self._names.sub("", text)

    def _is_a_name(self, text: str) -> bool:
        """Whether a text is as short as names are, and no sentence."""
        return 0 < len(_WORD.findall(text)) <= _FEW_WORDS and text[-1] not in ".!?:"

    def _scanned(self, text: str, place: int = 0) -> tuple[list[NamedClass], int]:
        """The names at the beginning, and where something else follows them."""
        named: list[NamedClass] = []
        while place < len(text):
            if match := self._names.match(text, place):
                named.append(NamedClass(self._labels[_joined(match.group())], *match.span()))
            else:
                match = _BETWEEN.match(text, place)
            if match is None:
                break
            place = match.end()
        return named, place


def _item(text: str, place: int) -> str:
    match = _ITEM.match(text, place)
    return match.group().strip(" \"'`*_[]") if match else ""


def _joined(name: str) -> str:
    return _JOINTS.sub(" ", name.strip()).casefold()


def _pattern(name: str) -> str:
    """A name where it is no part of a longer word; `card_arrival` may be said `card arrival`."""
    words = [re.escape(word) for word in _JOINTS.split(name.strip()) if word]
    before = r"(?<!\w)" if name.strip()[0].isalnum() else ""
    behind = r"(?!\w)" if name.strip()[-1].isalnum() else ""
    return before + _JOINTS.pattern.join(words) + behind if words else re.escape(name)
