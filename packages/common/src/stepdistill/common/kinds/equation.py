"""Equation: an equation, or the number that it comes to; compared by value."""

# budget: a kind is a file, however small: that is where the next one goes.

import re
from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from stepdistill.common.kinds.kind import Kind, LabelWording
from stepdistill.common.labels import same_value, value_of

_NUMBER = re.compile(r"(?<!\d)\d{1,9}(?!\d)")  # `42` of `42 apples`


class Equation(Kind):
    """A label is an equation such as `( 3 + 4 ) * 2`, or its value."""

    name = "equation"

    def check(self, label: str, fields: Mapping[str, str]) -> str | None:
        return None if value_of(label) is not None else f"{label} has no value"

    def schema(self) -> dict[str, JsonValue]:
        return {"type": "string"}

    def wording(self, what: str) -> LabelWording:
        return LabelWording(
            question=f"What is the {what} of this problem?",
            answer=f"the {what}, as a number or an equation alone",
            value=f"the {what}, a text with a number or an equation alone",
        )

    def sentence(self) -> str:
        return "The label is an equation of the numbers, or its value."

    def same(self, one: str, other: str, choices: Sequence[str] = ()) -> bool:
        return super().same(one, other, choices) or same_value(one, other)

    def right_is(self) -> str:
        return "the same value: whole numbers exactly, others as they are rounded"

    def invented(self, fields: Mapping[str, str], u: float) -> str:
        """The sum of the row's first two numbers."""
        numbers = _NUMBER.findall(" ".join(fields.values()))
        first, second = [*numbers, "1", "1"][:2]
        return f"{first} + {second}"

    def spoken(self, label: str) -> str:
        value = value_of(label)
        return label if value is None else f"{value:g}"

    def slips(self, label: str, fields: Mapping[str, str]) -> tuple[str, ...]:
        value = value_of(label)
        # Slips of a calculation: one too many, and twice as much with something on top.
        return () if value is None else (f"{value + 1:g}", f"{value * 2 + 3:g}")
