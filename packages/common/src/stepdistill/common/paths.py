"""Paths to the values of a raw row: `text`, `choices[0]`, `answers.text[1]`, `{Body} {Tail}`."""

import re
from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import Any, cast

from stepdistill.common.kinds.kind import text_of

_STEP = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]")  # the steps of `answers.text[1]`: answers, text, 1
_PATH = re.compile(r"\{([^{}]+)\}")  # `{answers.text[1]}` in "{question} ({answers.text[1]})"
NOT_THERE = (LookupError, TypeError)  # what a raw row without the path answers with
_MOST_PARTS = 100  # of a list
RawRow = dict[str, object]
Getter = Callable[[RawRow], object]


def getter(path: str) -> Getter:
    """How to get the value at `choices[0]` or `a.b` from a raw row; a path with braces is a text
    that is filled from the paths inside them.

    What it returns raises LookupError or TypeError when a row has no such path.
    """
    if "{" in path:
        inner = {found[1]: getter(found[1]) for found in _PATH.finditer(path)}
        return lambda raw: _PATH.sub(lambda found: text_of(inner[found[1]](raw)), path)
    steps = [int(number) if number else key for key, number in _STEP.findall(path)]
    if not steps or steps == [path]:
        return itemgetter(path)

    def walk(raw: RawRow) -> object:
        if path in raw:  # a column's own name: `content.text`, as of JSON made a table, or `No.`
            return raw[path]
        value: Any = raw
        for step in steps:
            value = value[step]
        return value

    return walk


def paths_in(row: RawRow) -> Iterator[str]:
    """Every path to a value of a row, those to its columns and to what lies in them.

    >>> list(paths_in({"id": 1, "content": {"text": "a"}, "choices": ["b"]}))
    ['id', 'content', 'content.text', 'choices', 'choices[0]']
    """
    for name, value in row.items():
        yield from _paths(name, value)


def _paths(path: str, value: object) -> Iterator[str]:
    yield path
    if isinstance(value, dict):
        for name, part in cast(RawRow, value).items():
            yield from _paths(f"{path}.{name}", part)
    elif isinstance(value, list):
        for place, part in enumerate(cast(list[object], value)[:_MOST_PARTS]):
            yield from _paths(f"{path}[{place}]", part)
