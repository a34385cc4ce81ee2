"""The names of a label set, as they are written: found whole, or at the start of a text.

A name is looked for as it stands, then without regard to case, width and spacing, then without what
joins its words (`alarm_set`, `alarm set`, `AlarmSet`). Names that differ only in what a step leaves
out are told apart by the steps before, and not at all by that step.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import NamedTuple

from stepdistill.annotator.reading.verdict.text import lowered
from stepdistill.annotator.reading.verdict.wrapping import OPENING, layers, without_list_mark

# Scripts that write words without spaces between them: their letters are no part of a name.
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
)
# A letter, a vowel's sign, or what changes an emoji.
LETTER = (
    rf"(?:[^\W_{UNSPACED}]|[\u0300-\u036f\u0900-\u0963\u0966-\u0df3\u200d\U0001f3fb-\U0001f3ff])"
)
# What makes a longer name or number of a name before it: `accounting`, `C++`, `A-`, `sci.space`.
GOES_ON = (
    rf"{LETTER}|[+#%\u00b0]|[-_/'\u2019&:]{LETTER}|(?<=\d)[.,\u066b]\d|\.[a-z\d]"
    r"|-(?=$|[\s\"'*`).,])"
)
_GOES_ON = re.compile(GOES_ON)
SIGN_GOES_ON = rf"{LETTER}|[+#]"
_SIGN_GOES_ON = re.compile(SIGN_GOES_ON)
_LETTER = re.compile(LETTER)
NOT_BEFORE = rf"(?<!{LETTER})(?<!{LETTER}[-_/'\u2019.&+])(?<![+#@.-])"
_JOINTS = re.compile(r"(?<=\w)[\s_/\u2010-\u2015-]+(?=\w)")
_INVISIBLE = re.compile("[\ufe0e\ufe0f\u200b\u200e\u200f\u2060\ufeff\u00ad]")
_OPENINGS = re.compile(rf"(?:[\s{re.escape(OPENING)}]|\\{{1,2}}\w{{2,12}}\s?\{{|\\{{1,2}}[(\[])*")
_ARTICLE = re.compile(r"(?:an?|the)\s+", re.IGNORECASE)
_LONGEST_WRAPPING = 80


class At(NamedTuple):
    """A name found in a text: its label, and where it ends."""

    label: str
    end: int


class Names:
    """The names of some labels. Where two labels share a name, the first has it."""

    joints: tuple[str, ...] = (" ", "_", "-")  # that may stand for each other within a name

    def __init__(self, names: Iterable[tuple[str, str]]) -> None:
        """names: (name, label)."""
        self._exact: dict[str, str] = {}
        for name, label in names:
            if tidy := " ".join(name.split()):
                self._exact.setdefault(tidy, label)
        self._longest = max(map(len, self._exact), default=0) + 8

    def as_written(self, text: str) -> str | None:
        """The label with just this name, letter by letter."""
        return self._exact.get(text)

    def whole(self, text: str) -> str | None:
        """The label whose name the text is, and nothing else."""
        if (label := self._exact.get(text)) is not None:
            return label
        if not text or len(text) > self._longest:
            return None
        for step, keys in self._steps:
            if (key := step(text)) in keys:
                return keys[key] if "\n" not in text or step is plain else None
        return None

    def short(self, text: str) -> str | None:
        """The label that a short text names, in whatever it is wrapped."""
        if len(text) > self._longest + _LONGEST_WRAPPING:
            return None
        for layer in layers(text):
            if (label := self.whole(layer)) is not None:
                return label
            unmarked = without_list_mark(layer)
            if unmarked is not None and (label := self.whole(unmarked)) is not None:
                return label
        return None

    def at_start(self, text: str, start: int = 0) -> At | None:
        """The longest name that stands at a place of a text, or right behind what wraps it."""
        opening = _OPENINGS.match(text, start)
        latest = opening.end() if opening else start
        # From without, since a name may begin with what usually opens a wrapping, such as `<b>`.
        for place in (*range(start, min(latest, start + 8)), latest):
            if found := self.at(text, place):
                return found
        article = _ARTICLE.match(text, latest)
        return self.at(text, article.end()) if article else None

    def at(self, text: str, place: int) -> At | None:
        """The longest name that begins at just this place."""
        if place >= len(text):
            return None
        first = text[place]
        written_so = self._by_first.get(first) or self._by_first.get(first.lower())
        if written_so is None:
            return None
        piece = text[place : place + self._longest + 1]
        low = lowered(piece)
        for name, length, written in written_so:
            if low.startswith(name) and not goes_on(piece, length):
                label = written.get(piece[:length], next(iter(written.values())))
                several = len({*written.values()}) > 1 and piece[:length] not in written
                return None if several else At(label, place + length)
        return None

    @cached_property
    def _steps(self) -> tuple[tuple[Callable[[str], str], dict[str, str | None]], ...]:
        return tuple((step, self._keyed(step)) for step in (plain, unjoined))

    def _keyed(self, step: Callable[[str], str]) -> dict[str, str | None]:
        found: dict[str, str | None] = {}
        for name, label in self._exact.items():
            key = step(name)
            found[key] = label if found.get(key, label) == label else None
        found.pop("", None)
        return found

    @cached_property
    def _by_first(self) -> dict[str, list[tuple[str, int, dict[str, str]]]]:
        """First letter -> the names in lower case, longest first, and as they are written."""
        written: dict[str, dict[str, str]] = {}
        for name, label in self._exact.items():
            written.setdefault(lowered(name), {})[name] = label
        for name, label in self._exact.items():
            for joint in self.joints:
                # `alarm set` for `alarm_set`, unless that is a name of its own.
                other = _JOINTS.sub(joint, name)
                if self.whole(other) == label:
                    written.setdefault(lowered(other), {other: label})
        found: dict[str, list[tuple[str, int, dict[str, str]]]] = {}
        for low in sorted(written, key=len, reverse=True):
            found.setdefault(low[0], []).append((low, len(low), written[low]))
        return found


def any_name(names: Iterable[str]) -> "re.Pattern[str] | None":
    """Finds any of these names where it is no part of another word; longest first."""
    parts = [
        r"\s+".join(map(re.escape, name.split()))
        + (f"(?!{GOES_ON})" if _LETTER.match(name, len(name) - 1) else f"(?!{SIGN_GOES_ON})")
        for name in sorted(names, key=len, reverse=True)
        if name.strip()
    ]
    return re.compile(rf"{NOT_BEFORE}(?:{'|'.join(parts)})") if parts else None


def goes_on(text: str, end: int) -> bool:
    """Whether what ends here is only the beginning of a longer word, name or number."""
    pattern = _GOES_ON if _LETTER.match(text, end - 1) else _SIGN_GOES_ON
    return pattern.match(text, end) is not None


def plain(text: str) -> str:
    """Without regard to case, to width of letters and to spacing."""
    if text.isascii():
        return " ".join(text.casefold().split())
    return " ".join(unicodedata.normalize("NFKC", _INVISIBLE.sub("", text)).casefold().split())


def unjoined(text: str) -> str:
    """Without what joins words, too: `alarm_set`, `Alarm Set` and `alarm-set` are one."""
    return _JOINTS.sub("", plain(text))
