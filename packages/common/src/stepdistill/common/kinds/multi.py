"""Multi: any number of classes at once. A label is a set, and is written as one text:

    joy; surprise      the classes' names in the task's order, with `; ` between them
    none               the empty set

Shards, files of rows and a student's answers hold that text, so their format is that of all kinds.
"""

import ast
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from statistics import fmean
from typing import Any

import orjson
from pydantic import JsonValue

from stepdistill.common.kinds.kind import (
    Answered,
    Kind,
    LabelWording,
    class_of,
    named_in,
    names_one_a_line,
    text_of,
)
from stepdistill.common.labels import plain
from stepdistill.common.task import NO_CLASS

SEPARATOR = "; "
# What may stand between names in a dataset, the safest first: names seldom have a semicolon.
_SEPARATORS = (";", "|", "\n", "\t", ",", "/", " ")


class Multi(Kind):
    """A label names any number of the task's classes, or none."""

    name = "multi"

    def check(self, label: str, fields: Mapping[str, str]) -> str | None:
        unknown = [name for name in self.classes_in(label) if name not in self.spec.classes]
        return f"{', '.join(unknown)}: no class of the task" if unknown else None

    def schema(self) -> dict[str, JsonValue]:
        names: dict[str, JsonValue] = {"type": "string", "enum": [*self.spec.classes]}
        return {"type": "array", "items": names}

    def wording(self, what: str) -> LabelWording:
        names = names_one_a_line(self.spec)
        return LabelWording(
            question=f"Which {what} fit this text? Any of these names, one or several:\n\n{names}",
            answer=f"the {what}, all names that fit with ; between them, or {NO_CLASS}",
            value=f"the {what}, a list of all names that fit, empty where none does",
        )

    def sentence(self) -> str:
        names = ", ".join(self.spec.classes)
        return f"The label is any of these, one or several, or {NO_CLASS}: {names}."

    def form(self, label: str, choices: Sequence[str] = ()) -> tuple[str, ...]:
        # What is no class is marked, so that it is none of their names.
        names = {
            name: named_in(self.spec.classes, name) or f"\0{plain(name)}"
            for name in self.classes_in(label)
        }
        return tuple(sorted({*names.values()}))

    def right_is(self) -> str:
        return "the same set of classes, in any order"

    def gold_text(self, value: object) -> str:
        return list_text(value)

    def gold(self, text: str) -> str | None:
        """The set in `["joy", 3]`, `joy, surprise` or `joy`; None where a part is no class."""
        text = text.strip()
        if not text:
            return None
        for parts in _ways_to_part(text):
            names = [class_of(self.spec, part) for part in parts]
            known = [name for name in names if name is not None]
            if len(known) == len(names):
                return self.joined(known)
        return NO_CLASS if plain(text) == NO_CLASS else None

    def joined(self, names: Iterable[str]) -> str:
        """The label that names these classes, in the task's order."""
        wanted = set(names)
        return SEPARATOR.join(name for name in self.spec.classes if name in wanted) or NO_CLASS

    def classes_in(self, label: str) -> tuple[str, ...]:
        parts = (part.strip() for part in label.split(SEPARATOR.strip()))
        return tuple(part for part in dict.fromkeys(parts) if part and plain(part) != NO_CLASS)

    def target(self, label: str) -> str:
        return self.label_of(label)

    def said(self, text: str) -> str | None:
        return self.gold(text)

    def label_of(self, text: str) -> str:
        """In the task's order, each name once, where all of them are classes."""
        return self.gold(text) or text

    def scores(self, answered: Sequence[Answered]) -> dict[str, float]:
        """Jaccard index by row; F1 over all decisions, and as the mean over classes."""
        pairs = [(self._set(said or ""), self._set(gold)) for said, gold in answered]
        both = Counter(name for said, gold in pairs for name in said & gold)
        either = Counter(name for said, gold in pairs for name in (*said, *gold))
        f1 = [2 * both[name] / either[name] for name in either]
        jaccard = (
            len(s & g) / len(s | g) if s | g else float(said is not None)
            for (s, g), (said, _) in zip(pairs, answered, strict=True)
        )
        # Nothing to find and nothing said wrongly: all decisions are right.
        return {
            "micro_f1": 2 * both.total() / either.total() if either else 1.0,
            "macro_f1": fmean(f1) if f1 else 1.0,
            "jaccard": fmean(jaccard),
        }

    def invented(self, fields: Mapping[str, str], u: float) -> str:
        """None, one or two classes, each set as likely."""
        names = [*self.spec.classes]
        sets: list[list[str]] = [[], *([one] for one in names), *map(list, pairwise(names))]
        return self.joined(sets[int(u * len(sets))])

    def slips(self, label: str, fields: Mapping[str, str]) -> tuple[str, ...]:
        """One class more, or one less."""
        said = self._set(label)
        return tuple(self.joined(said ^ {name}) for name in self.spec.classes)

    def _set(self, label: str) -> set[str]:
        return set(self.classes_in(label))


def list_text(value: object) -> str:
    """A value of a dataset as text; a list as JSON, so that names hold what signs they like."""
    is_list = isinstance(value, list | tuple | set)
    return orjson.dumps([*value], default=str).decode() if is_list else text_of(value)


def parts_of(text: str) -> list[str] | None:
    """The parts of a list in JSON, or as Python prints it (`['joy']`); None where it is none.

    >>> parts_of('["joy", 3]')
    ['joy', '3']
    """
    if not text.startswith("["):
        return None
    for read in (json.loads, ast.literal_eval):
        with suppress(ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            parts: Any = read(text)
            return [part for each in parts if (part := text_of(each).strip())]
    return None


def _ways_to_part(text: str) -> Iterable[Sequence[str]]:
    """The whole as one name, as a list, and by each sign that may stand between names."""
    yield (text,)
    listed = parts_of(text)
    if listed is not None:
        yield listed
    for sign in _SEPARATORS:
        if sign in text:
            yield [part for each in text.split(sign) if (part := each.strip())]
