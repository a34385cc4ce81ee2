"""Where a text names one of a row's options: in its words or their other forms, or by letter."""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from typing import NamedTuple

from stepdistill.annotator.reading.verdict.names import LETTER, At, Names

_WORD = re.compile(r"[^\W_]++(?:'[^\W_]++)*+")
_DOUBLED = re.compile(r"([^\W\d_])\1")
_IRREGULAR = {
    "using": "use", "used": "use", "uses": "use", "dying": "die", "died": "die", "dies": "die",
    "lying": "lie", "tying": "tie", "went": "go", "gone": "go", "goes": "go", "made": "mak",
    "being": "be",
}  # fmt: skip
_UNUSUAL = re.compile(r"[^\w\s'’.,\-]")
_ARTICLES = "a an the to your his her their my its our some one's of"
_SKIPPED = frozenset(_ARTICLES.split())
_MARK_WITH_A_WORD = (  # `option b`, `answer: (b`
    r"(?:option|choice|answer|letter|number)(?<=\b.{6})\s{0,2}(?:is\s)?[:#]?\s{0,2}[\"'(*]{0,3}"
    r"(?P<named>[a-z]|\d{1,2})(?![\w'])"
)
_MARK = re.compile(
    _MARK_WITH_A_WORD + r"|(?<![\w.])\(?(?P<bracket>[a-z]|\d{1,2})\)"
    r"|(?:^|(?<=\n)|(?<=[.!?] ))[\s\"'*(]{0,4}(?P<line>[a-z]|\d{1,2})"
    r"(?:[.:](?=[\s*]|$)|[\"'*)]{0,3}\s*$|(?= (?:is|would be) ))"
)
# What other marks need: a bracket, or a lone letter that a stop or the sentence's end follows.
_LONE = r"(?:[a-z]|\d{1,2})(?:[.:\"'*)]|\s*$| (?:is|would be) )"
_LONE_FIRST, _LONE_LATER = re.compile(_LONE), re.compile(rf"[\s\"'*(]{_LONE}")
_ONLY_WITH_A_WORD = re.compile(_MARK_WITH_A_WORD)
_MARKED = re.compile(r"[\s\"'*(]{0,4}([a-z]|\d{1,2})[).:][ \t]*(\S.*)", re.IGNORECASE)
_WHOLE_MARK = re.compile(  # `B`, `(b)`, `option B`, `choice (2)`, `B. Paris`, `B - Paris`
    r"(?:(?:option|choice|answer|letter|number)\s?)?[(\[]?((?-i:[A-Za-z])|\d{1,2})[)\]]?"
    r"(?:\s?[.):\uff1a,\u2013\u2014-]?\s*(?<=[\s.)\]:\uff1a,\u2013\u2014-])(\S.*))?",
    re.IGNORECASE | re.DOTALL,
)
_MARK_FIRST = re.compile(  # `B)`, `(B) `, `B.`, `option B`, `B because`, `B (`; not `a boat`
    r"(?:(?:option|choice|letter|number)\s)?\(?(?P<mark>[A-Za-z]|\d{1,2})"
    rf"(?!{LETTER}|[_'\u2019])(?!\s+(?!is\b|because\b|since\b|as\b|due\b|for\b|[A-Z(\u2013\u2014-])\w)"
    r"[).:\]\s\"'*}-]*"
)
_DIGITS, _ONE_LETTER = re.compile(r"\d+"), re.compile("[A-Za-z]")
_SENTENCE_GOES_ON = re.compile(r"\s+\w")  # `B. Oslo is in Norway`
_AFTER_A = re.compile(r"\s*(?:[).:,\"*-]|is\b|would\b|$)")


# An option may be such a word; in a sentence it then counts only behind an article or a quotation.
_HELPING = "can could may might will would do does be is have has in on it that"
_HELPERS = frozenset(_HELPING.split())
_LONGEST_OPTION = 100


class Named(NamedTuple):
    """One place that names an option, by its words or by its letter."""

    start: int
    end: int
    option: int


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """A word without its ending, so that `carved`, `carving` and `carve` are one."""
    word = word.removesuffix("'s")
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    for ending in ("ing", "ied", "ies", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word[: -len(ending)] + ("y" if ending in ("ied", "ies") else "")
            break
    word = _DOUBLED.sub(r"\1", word)
    return word.removesuffix("e") if len(word) > 3 else word


def stems_of(text: str) -> tuple[str, ...]:
    """The stems of a text's words, without articles and the like unless it has no others."""
    words = _WORD.findall(text.lower().replace("’", "'"))
    return tuple(stem(word) for word in words if word not in _SKIPPED) or tuple(map(stem, words))


class OptionNames(Names):
    """The names of a row's options: their texts, then their letters and numbers."""

    def __init__(self, options: Sequence[str], fields: Sequence[str]) -> None:
        """fields: what the task calls each option, such as `choice_a`."""
        super().__init__(zip(options, options, strict=True))
        self._options, self._fields = options, fields

    joints = ()

    def whole(self, text: str) -> str | None:
        """The option that the text is: its own text, `B`, `(b)`, `2`, `option B`, `B. Paris`."""
        if (label := super().whole(text)) is not None:
            return label
        if text in self._fields:
            return self._options[self._fields.index(text)]
        mark = _WHOLE_MARK.fullmatch(text)
        if mark is None:
            return None
        label = self._marked(mark[1])
        words = mark[2] and super().short(mark[2])
        return label if not mark[2] or words == label else None

    def at(self, text: str, place: int) -> At | None:
        """The option whose text begins here, or its letter, as in `B)` and `B because`."""
        mark = _MARK_FIRST.match(text, place)
        if found := super().at(text, place):
            return found
        label = self._marked(mark["mark"]) if mark else None
        if mark is None or label is None:
            return None
        words = super().at(text, mark.end())
        if words is None or (words.label != label and _SENTENCE_GOES_ON.match(text, words.end)):
            return At(label, mark.end("mark"))
        return words  # and where letter and words disagree, the words count

    def _marked(self, mark: str) -> str | None:
        """None where options are letters or numbers themselves, and this is none of them."""
        index = _index(mark.lower())
        alike = _DIGITS if mark.isdecimal() else _ONE_LETTER
        taken = any(map(alike.fullmatch, self._options))
        return self._options[index] if 0 <= index < len(self._options) and not taken else None


class OptionTexts:
    """The options of one row, ready to be looked for."""

    def __init__(self, options: Sequence[str], fields: Sequence[str] = ()) -> None:
        """fields: what the task calls each option, such as `choice_a`."""
        self.options, self._fields = options, fields

    @cached_property
    def names(self) -> "OptionNames":
        """The names that each option may go by, word for word."""
        return OptionNames(self.options, self._fields)

    @cached_property
    def stems(self) -> list[tuple[str, ...]]:
        """The stems of each option's words."""
        return [stems_of(option) for option in self.options]

    @cached_property
    def _plain(self) -> list[str]:
        return [" ".join(_WORD.findall(each.lower().replace("’", "'"))) for each in self.options]

    @cached_property
    def _unusual(self) -> list[int]:
        return [i for i, option in enumerate(self.options) if _UNUSUAL.search(option)]

    @cached_property
    def _numbers(self) -> bool:
        """Whether an option is a number itself: a number in an answer then is no option's place."""
        return any(map(_DIGITS.fullmatch, self.options))

    @cached_property
    def _run_together(self) -> dict[str, int]:
        return {"".join(each): i for i, each in enumerate(self.stems) if len(each) > 1}

    @cached_property
    def _firsts(self) -> frozenset[str]:
        """The stems with which the naming of an option may begin."""
        return frozenset((*self._by_first, *self._run_together))

    @cached_property
    def _by_first(self) -> dict[str, list[int]]:
        """The stem of an option's first word -> the options, those of most words first."""
        found: dict[str, list[int]] = {}
        for index in sorted(range(len(self.options)), key=lambda i: -len(self.stems[i])):
            if self.stems[index] and index not in self._unusual:
                found.setdefault(self.stems[index][0], []).append(index)
        return found

    def find(self, low: str, start: int, end: int) -> list[Named]:
        """All namings between two places of a lower-case text, in order, none within another."""
        marks = list(self._marks(low, start, end))
        words = [*self._in_words(low, start, end), *self._literally(low, start, end)]
        return _merged(sorted(words, key=lambda each: (each.start, -each.end)), marks)

    def marked(self, text: str) -> int | None:
        """The option that a text is, with its letter or number before its very words."""
        match = _MARKED.match(text)
        if match is None:
            return None
        index = _index(match[1].lower())
        words = match[2].rstrip(" .*\"'").casefold()
        same = 0 <= index < len(self.options) and self.options[index].strip().casefold() == words
        return index if same else None

    def exactly(self, text: str) -> int | None:
        """The option that a text is, word for word or in other forms of its words; None if none."""
        stripped = text.strip()
        wanted = stripped.casefold(), stripped.strip("\"'*.()").casefold()
        for index, option in enumerate(self.options):
            if option.strip().casefold() in wanted:
                return index
        if len(text) > _LONGEST_OPTION:
            return None
        stems = stems_of(text)
        same = [index for index, each in enumerate(self.stems) if each and each == stems]
        return same[0] if same and len({self._plain[index] for index in same}) == 1 else None

    def _in_words(self, low: str, start: int, end: int) -> Iterator[Named]:
        words = list(_WORD.finditer(low, start, end))
        stems = [stem(word[0]) for word in words]
        firsts, stop = self._firsts, 0
        for place in [i for i, each in enumerate(stems) if each in firsts]:
            if place < stop:
                continue
            named = None
            for index in self._by_first.get(stems[place], ()):
                last = self._match(low, index, words, stems, place)
                if last and not _is_helper(low, words, place, last):
                    named = self._best_of(low, words[place].start(), words[last - 1].end(), index)
                    stop = last
                    break
            if named is None and (index := self._run_together.get(stems[place])) is not None:
                named = Named(start=words[place].start(), end=words[place].end(), option=index)
            if named:
                yield named

    def _match(
        self, low: str, index: int, words: list[re.Match[str]], stems: list[str], place: int
    ) -> int:
        """One past the last word of this option where it starts at `place`; 0 where it does not."""
        for wanted in self.stems[index]:
            while (
                place < len(words) and words[place].group() in _SKIPPED and stems[place] != wanted
            ):
                place += 1
            if place >= len(words) or stems[place] != wanted:
                return 0
            place += 1
        return place

    def _best_of(self, low: str, start: int, end: int, index: int) -> Named:
        """Of options with the same stems the one that stands there word for word."""
        found = " ".join(_WORD.findall(low[start:end]))
        same = [i for i, stems in enumerate(self.stems) if stems == self.stems[index]]
        exact = [i for i in same if self._plain[i] == found]
        return Named(start=start, end=end, option=exact[0] if exact else index)

    def _literally(self, low: str, start: int, end: int) -> Iterator[Named]:
        for index in self._unusual:
            wanted = self.options[index].strip().lower()
            place = low.find(wanted, start, end) if wanted else -1
            while place >= 0:
                stop = place + len(wanted)
                if not (_joined(low, place - 1, place) or _joined(low, stop - 1, stop)):
                    yield Named(start=place, end=stop, option=index)
                place = low.find(wanted, stop, end)

    def _marks(self, low: str, start: int, end: int) -> Iterator[Named]:
        pattern = _MARK if _has_lone_mark(low, start, end) else _ONLY_WITH_A_WORD
        for match in pattern.finditer(low, start, end):
            mark = match[match.lastgroup or 0]
            if mark == "a" and match.lastgroup == "named" and not _AFTER_A.match(low, match.end()):
                follows = self._by_first.get(stem(_next_word(low, match.end())))
                if not follows:
                    continue
            if mark.isdecimal() and self._numbers:
                continue
            option = _index(mark)
            if 0 <= option < len(self.options):
                yield Named(start=match.start(), end=match.end(), option=option)


def _has_lone_mark(low: str, start: int, end: int) -> bool:
    """Whether a mark may stand here without `option` and the like: a quick look."""
    if low.find(")", start, end) >= 0 or _LONE_FIRST.match(low, start, end):
        return True
    return _LONE_LATER.search(low, start, end) is not None


def _index(mark: str) -> int:
    """The place of the option that a letter or number marks."""
    return int(mark) - 1 if mark.isdecimal() else ord(mark) - ord("a")


@lru_cache(maxsize=1024)
def option_texts(options: tuple[str, ...], fields: tuple[str, ...] = ()) -> OptionTexts:
    """The options of a row; several templates ask about the same row in turn."""
    return OptionTexts(options, fields)


def _is_helper(low: str, words: list[re.Match[str]], place: int, last: int) -> bool:
    """Whether one word that is an option does a helping verb's or preposition's work here."""
    if last - place > 1 or words[place].group() not in _HELPERS or len(words) == 1:
        return False
    before = words[place - 1].group() if place else ""
    return before not in _SKIPPED and low[words[place].start() - 1] not in "\"'(*):"


def _next_word(low: str, place: int) -> str:
    match = _WORD.search(low, place, place + 40)
    return match.group() if match else ""


def _joined(low: str, left: int, right: int) -> bool:
    """Whether two neighbouring characters are both of one word."""
    return left >= 0 and right < len(low) and low[left].isalnum() and low[right].isalnum()


def _merged(words: list[Named], marks: list[Named]) -> list[Named]:
    """A letter and the words beside it are one naming; where they disagree the words count."""
    kept: list[Named] = []
    for each in words:
        if not kept or each.start >= kept[-1].end:
            kept.append(each)
    starts = [word.start for word in kept]
    lone: list[Named] = []
    for mark in marks:
        near = bisect_left(starts, mark.start)
        if not any(_beside(mark, word) for word in kept[max(0, near - 2) : near + 3]):
            lone.append(mark)
    return sorted([*kept, *lone], key=lambda each: each.start)


def _beside(mark: Named, word: Named) -> bool:
    return -1 <= word.start - mark.end <= 4 or -1 <= mark.start - word.end <= 3
