"""The original reader: a template's own regexes and the original's cleaning, defects and all.

It is there to reproduce the numbers that the original recorded, and to be compared with. Its rules
were found from the recorded answers and numbers: one pattern of label_parse and explanation_parse,
the first match counts; a rationale loses the word "explanation", what precedes its first letter, a
first sentence that opens in lower case, and is none below five words.
"""

import re
from collections.abc import Mapping

from stepdistill.annotator.prompt.template import OriginalParse
from stepdistill.annotator.reading.pattern import PatternError, PatternTooSlow, compiled, filled
from stepdistill.annotator.reading.reading import Reading, unread
from stepdistill.common.task import LabelSpec

NAME = "original"
VERSION = 1
# Of 29,740 recorded answers these rules certainly misread 8.4 %.
CONFIDENCE = 0.916

_NLI = {
    "entailment": "true valid entails",
    "neutral": "inconclusive uncertain",
    "contradiction": "false contradicts",
}
_NLI_PHRASES = {
    "not valid": "contradiction",
    "cannot be determined": "neutral",
    "cannot determine": "neutral",
}
_MARK = re.compile(r"([a-z]|[1-9])[).]", re.IGNORECASE)
_EXPLANATION = re.compile(r"explanation[:.,]?", re.IGNORECASE)
_NO_LETTERS = re.compile(r"\W+")
_SENTENCE_END = re.compile(r"\.\s")
_FEWEST_WORDS = 5

Span = tuple[int, int]


class OriginalReader:
    """Reads the answers of one template; never raises."""

    def __init__(self, label: LabelSpec, parse: OriginalParse) -> None:
        parts = [parse.label_parse, parse.explanation_parse]
        self._pattern = "".join(reversed(parts) if parse.swap else parts)
        self._order = (1, 0) if parse.swap else (0, 1)
        self._options = label.options
        self._classes = _class_names(label)

    def read(self, answer: str, fields: Mapping[str, str]) -> Reading:
        """The label and rationale that the regexes take from an answer."""
        try:
            groups = compiled(filled(self._pattern, fields)).search(answer)
        except PatternError:
            return unread("bad_pattern")
        except PatternTooSlow:
            return unread("pattern_too_slow")
        if not groups:
            return unread("no_match")
        label = _part(groups, self._order[0] if len(groups) > 1 else 0)
        reasons = _part(groups, self._order[1]) if len(groups) > 1 else None
        rationale, span = cleaned(answer, reasons) if reasons else (None, None)
        if label is None:
            return unread("no_match")
        return Reading(
            label=self._in_task_words(answer[label[0] : label[1]], fields),
            rationale=rationale,
            rationale_span=span,
            rule="pattern",
            confidence=CONFIDENCE,
            reason=None,
        )

    def stated(self, answer: str, fields: Mapping[str, str]) -> tuple[Span, ...]:
        """The characters of an answer that the label is taken from."""
        try:
            groups = compiled(filled(self._pattern, fields)).search(answer)
        except (PatternError, PatternTooSlow):
            return ()
        label = _part(groups, self._order[0] if len(groups) > 1 else 0) if groups else None
        return () if label is None else (label,)

    def _in_task_words(self, found: str, fields: Mapping[str, str]) -> str:
        plain = found.casefold()
        if not self._options:
            return self._classes.get(plain, found)
        texts = [fields.get(name, "") for name in self._options]
        if mark := _MARK.fullmatch(plain):
            index = int(mark[1]) - 1 if mark[1].isdecimal() else ord(mark[1]) - ord("a")
            return texts[index] if index < len(texts) else found
        return next((text for text in texts if text.casefold() == plain), found)


def cleaned(answer: str, part: Span) -> tuple[str | None, Span | None]:
    """The rationale in a part of an answer, and the characters it lies in."""
    text = answer[part[0] : part[1]]
    removed = [match.span() for match in _EXPLANATION.finditer(text)]
    if removed:
        text = _EXPLANATION.sub("", text)
    start = match.end() if (match := _NO_LETTERS.match(text)) else 0
    kept = text[start:].rstrip()
    if kept[:1].islower() and (end := _SENTENCE_END.search(kept)):
        start += end.end()
        kept = kept[end.end() :]
    words = kept.split()
    if len(words) < _FEWEST_WORDS:
        return None, None
    start += len(kept) - len(kept.lstrip())
    stop = start + len(kept.strip())
    first, last = _unshifted(start, removed), _unshifted(stop - 1, removed) + 1
    return " ".join(words), (part[0] + first, part[0] + last)


def _unshifted(place: int, removed: list[Span]) -> int:
    """A place in the text before those parts of it were removed."""
    for start, end in removed:
        if start <= place:
            place += end - start
    return place


def _part(groups: tuple[Span, ...], index: int) -> Span | None:
    start, end = groups[index]
    return (start, end) if 0 <= start < end else None


def _class_names(label: LabelSpec) -> dict[str, str]:
    """What the regexes find -> the class it means, with the original's own words first."""
    names = {alias.casefold(): name for name, spec in label.classes.items() for alias in
             [name, *spec.aliases]}  # fmt: skip
    words = {word: name for name, found in _NLI.items() for word in found.split()}
    own = {**words, **_NLI_PHRASES}
    return names | {word: name for word, name in own.items() if name in label.classes}
