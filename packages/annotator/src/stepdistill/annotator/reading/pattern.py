"""Regexes from files, run so that no answer can make them slow.

A pattern goes to RE2, which takes time in step with the text whatever the pattern. What RE2 does
not know (lookaround, references back) goes to `regex` with a time limit.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from stepdistill.common.placeholders import PLACEHOLDER

if TYPE_CHECKING:
    import regex

LONGEST_PATTERN = 20_000
TIME_LIMIT_S = 0.05
Groups = tuple[tuple[int, int], ...]


class PatternError(Exception):
    """A pattern that no engine takes."""


class PatternTooSlow(Exception):
    """A search that ran into the time limit."""


def filled(pattern: str, fields: Mapping[str, str]) -> str:
    """The pattern with a row's texts in place of `{name}`, as they stand: not escaped."""
    if "{" not in pattern:
        return pattern
    return PLACEHOLDER.sub(lambda found: fields.get(found[1], found[0]), pattern)


class Pattern:
    """A compiled pattern, without regard to case; a dot matches line breaks, too."""

    def __init__(self, pattern: str) -> None:
        if len(pattern) > LONGEST_PATTERN:
            raise PatternError(f"longer than {LONGEST_PATTERN} characters")
        self._linear = _linear(pattern)
        self._limited = None if self._linear else _with_limit(pattern)
        self._groups = range(1, 1 + (self._linear or cast(Any, self._limited)).groups)

    def search(self, text: str) -> Groups | None:
        """Where the groups of the first match lie, (-1, -1) for one that took no part.

        Raises PatternTooSlow.
        """
        if self._linear is not None:
            return self._search_linear(text)
        assert self._limited is not None
        try:
            found = self._limited.search(text, timeout=TIME_LIMIT_S)
        except TimeoutError:
            raise PatternTooSlow from None
        return tuple(map(found.span, self._groups)) if found else None

    def _search_linear(self, text: str) -> Groups | None:
        data = text.encode(errors="replace")
        found = self._linear.search(data)
        if found is None:
            return None
        spans: Groups = tuple(map(found.span, self._groups))
        if len(data) == len(text):
            return spans
        return tuple((_characters(data, start), _characters(data, end)) for start, end in spans)


@lru_cache(maxsize=4096)
def compiled(pattern: str) -> Pattern:
    """A pattern, compiled once; several templates ask about the same row. Raises PatternError."""
    return Pattern(pattern)


@lru_cache(maxsize=64)
def places(pattern: str) -> Callable[[str], list[int]]:
    """What finds where a pattern of RE2's own begins in a text, without regard to case."""
    linear = _linear(pattern)
    assert linear is not None, pattern

    def found(text: str) -> list[int]:
        data = text.encode(errors="replace")
        starts = [match.start() for match in linear.finditer(data)]
        if len(data) == len(text) or not starts:
            return starts
        return [_characters(data, start) for start in starts]

    return found


def _linear(pattern: str) -> Any:
    """The pattern for RE2; None where RE2 does not know a part of it."""
    # Only imported templates have patterns: others do without this module.
    import re2

    engine = cast(Any, re2)  # it says nothing about its types
    options = engine.Options()
    options.case_sensitive, options.dot_nl, options.log_errors = False, True, False
    try:
        return engine.compile(pattern.encode(), options)
    except (engine.error, UnicodeEncodeError):
        return None


def _with_limit(pattern: str) -> "regex.Pattern[str]":
    import regex

    try:
        return regex.compile(pattern, regex.IGNORECASE | regex.DOTALL)
    except (regex.error, RecursionError, OverflowError) as error:
        raise PatternError(str(error)) from None


def _characters(data: bytes, until: int) -> int:
    """How many characters these bytes are; -1 stays -1."""
    return len(data[:until].decode(errors="ignore")) if until >= 0 else until
