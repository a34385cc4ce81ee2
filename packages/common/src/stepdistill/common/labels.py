"""What labels are compared by: words without case or spacing, equations by their value.

Equations are read by a small parser of our own, never by eval: text from a model is not a program.
"""

import math
import re
import unicodedata

# A number (`1,200`, `10.0`, `.5`, `1e3`) or any one character, with the spaces before it. Commas
# part thousands: `1,5` is no number, for nobody knows which.
_TOKEN = re.compile(
    r"\s*(?:((?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3}(?!\w))?)|(.))"
)
_DECIMAL = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_OPERATORS = str.maketrans(
    {"×": "*", "x": "*", "X": "*", "÷": "/", "−": "-", "–": "-", ":": "/"}
    | dict.fromkeys("$€£¥₹", "")  # `$18`, as a gold label may have it
)
_WHOLE = re.compile(r"-?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)")
# `2020-01-02`, `2.1.2020`: no subtraction and no division
_DATE = re.compile(r"[12]\d{3}([-/.])\d{1,2}\1\d{1,2}|\d{1,2}([-/.])\d{1,2}\2[12]\d{3}")
_FRACTION = re.compile(r"(\d*) ?([\u00bc-\u00be\u2150-\u215e])")  # `1½`
_CLOSE = 1e-9  # of two numbers that are not both whole, relative; absolute where one is 0
EXACT = 2**53  # from here on a float does not tell all whole numbers apart
_PLACES = 4  # a decimal of so many places and digits is taken for what rounds to it
_UNIT = re.compile(r"\([^()\d]*\)$")  # `(apples)` at the end
LONGEST_EQUATION = 10_000  # characters; what is longer is no answer, and has no value
_DEEPEST = 50  # brackets and signs inside each other: a text of 10,000 `(` must not end Python


def plain(label: str) -> str:
    """A label without case, full stop and doubled spaces, for comparison only: letters that look
    alike are alike, however they are put together, and `.5` keeps its point."""
    if not label.isascii():
        label = unicodedata.normalize("NFD", label)
    text = " ".join(label.casefold().split())
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return text.rstrip(" .") or text


def normal(text: str) -> str:
    """The same letters, put together in the one way that Unicode calls composed (NFC)."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def same_value(one: str, other: str) -> bool:
    """Whether two equations or numbers have the same value: whole numbers exactly, others but for
    the rounding of floats; `3.3333` is 10 / 3, as somebody has rounded it.

    >>> same_value("( 3 + 4 )", "7.0"), same_value("0.0001", "0.0002")
    (True, False)
    """
    left = value_of(one)
    right = left if one == other else value_of(other)
    if left is None or right is None:
        return False
    if left == right:
        return abs(left) < EXACT or same_digits(one, other)
    if not left or not right:
        return abs(left - right) <= _CLOSE
    if left.is_integer() and right.is_integer():
        return False
    close = math.isclose(left, right, rel_tol=_CLOSE)
    return close or _rounded(one, other, right) or _rounded(other, one, left)


def same_digits(one: str, other: str) -> bool:
    """Whether two large numbers are the same, as far as they are written out."""
    texts = one.strip().replace(",", ""), other.strip().replace(",", "")
    return texts[0] == texts[1] or not all(map(_WHOLE.fullmatch, texts))


def _rounded(text: str, exact: str, value: float) -> bool:
    """Whether a text is a decimal that the value rounds to, and the value has more digits."""
    places, known = _places(text), _places(exact)
    if places is None or places < _PLACES or (known is not None and known <= places):
        return False
    number = float(text)
    return abs(number) >= 10.0 ** (_PLACES - 1 - places) and round(value, places) == number


def _places(text: str) -> int | None:
    """Digits behind the point; None where the text is no plain decimal."""
    text = text.strip()
    return len(text.partition(".")[2]) if _DECIMAL.fullmatch(text) else None


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
    if _DATE.fullmatch(text):
        return None
    text = _FRACTION.sub(_spelt_out, _UNIT.sub("", text))
    side = text.rsplit("=", 1)[-1] if _names_a_variable(text) else text.split("=", 1)[0]
    try:
        value = _Parser(side).value()
    except (ValueError, ZeroDivisionError, OverflowError):
        return None
    return value if math.isfinite(value) else None


def _spelt_out(found: re.Match[str]) -> str:
    """`(1+1/2)` for `1½`."""
    over, _, under = unicodedata.normalize("NFKC", found[2]).partition("\u2044")
    return f"({found[1] or 0}+{over}/{under})"


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
