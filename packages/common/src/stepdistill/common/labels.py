"""What labels are compared by: words without case or spacing, equations by their value.

Equations are read by a small parser of our own, never by eval: text from a model is not a program.
"""

import math
import re

# A number (`1,200`, `10.0`, `.5`, `1e3`) or any one character, with the spaces before it.
_TOKEN = re.compile(r"\s*(?:((?:\d[\d,]*\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3}(?!\w))?)|(.))")
_DECIMAL = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_OPERATORS = str.maketrans(
    {"×": "*", "x": "*", "X": "*", "÷": "/", "−": "-", "–": "-", ":": "/"}
    | dict.fromkeys("$€£¥₹", "")  # `$18`, as a gold label may have it
)
_UNIT = re.compile(r"\([^()\d]*\)$")  # `(apples)` at the end
LONGEST_EQUATION = 10_000  # characters; what is longer is no answer, and has no value
_DEEPEST = 50  # brackets and signs inside each other: a text of 10,000 `(` must not end Python


def plain(label: str) -> str:
    """A label without case, outer punctuation and doubled spaces, for comparison only."""
    return " ".join(label.casefold().split()).strip(" .")


def same_value(one: str, other: str) -> bool:
    """Whether two equations or numbers have the same value, up to the fourth digit."""
    left = value_of(one)
    right = left if one == other else value_of(other)
    return (
        left is not None
        and right is not None
        and math.isclose(left, right, rel_tol=1e-6, abs_tol=1e-4)
    )


def value_of(text: str) -> float | None:
    """The value of `( 10.0 * 45.0 )`, `1,200`, `x = 3 + 4` or `9 (apples)`; None where the text
    is no equation.

    >>> value_of("( 8 - 2 ) / 3")
    2.0
    """
    text = text.strip()
    if len(text) > LONGEST_EQUATION:
        return None
    if _DECIMAL.fullmatch(text):
        value = float(text)
        return value if math.isfinite(value) else None
    text = _UNIT.sub("", text)
    side = text.rsplit("=", 1)[-1] if _names_a_variable(text) else text.split("=", 1)[0]
    try:
        value = _Parser(side).value()
    except (ValueError, ZeroDivisionError, OverflowError):
        return None
    return value if math.isfinite(value) else None


def _names_a_variable(text: str) -> bool:
    """`x = 3 + 4` names its value on the right; `3 + 4 = 7` and `3 + 4` on the left."""
    left, equals, _ = text.partition("=")
    return bool(equals) and not any(map(str.isdecimal, left))


class _Parser:
    """Reads a value by the rules of arithmetic; raises ValueError.

    sum: product (+|- product)*; product: factor (*|/ factor)*; factor: -factor|number|(sum).
    """

    def __init__(self, text: str) -> None:
        found = _TOKEN.findall(text.translate(_OPERATORS).strip())
        self._tokens = [number or other for number, other in reversed(found)]  # the next one last
        self._depth = 0

    def value(self) -> float:
        result = self._sum()
        if self._tokens:
            raise ValueError(f"unexpected {self._tokens[-1]!r}")
        return result

    def _next_is(self, *wanted: str) -> bool:
        return bool(self._tokens) and self._tokens[-1] in wanted

    def _sum(self) -> float:
        result = self._product()
        while self._next_is("+", "-"):
            sign = 1 if self._tokens.pop() == "+" else -1
            result += sign * self._product()
        return result

    def _product(self) -> float:
        result = self._factor()
        while self._next_is("*", "/"):
            if self._tokens.pop() == "*":
                result *= self._factor()
            else:
                result /= self._factor()
        return result

    def _factor(self) -> float:
        self._depth += 1
        if not self._tokens or self._depth > _DEEPEST:
            raise ValueError("no number here, or brackets too deep")
        token = self._tokens.pop()
        if token == "-":
            result = -self._factor()
        elif token == "(":
            result = self._sum()
            if not self._next_is(")"):
                raise ValueError("a bracket is not closed")
            self._tokens.pop()
        else:
            result = float(token.replace(",", ""))
        self._depth -= 1
        return result
