"""Number: a rating or another quantity; right within the task's tolerance."""

import math
import re
from collections.abc import Mapping, Sequence
from statistics import StatisticsError, correlation, fmean

from pydantic import JsonValue

from stepdistill.common.kinds.kind import Answered, Kind, LabelWording
from stepdistill.common.labels import EXACT, same_digits

# `4`, `-1.5`, `1,234.5`, `.5`, `1e-3`
_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d*)?(?:[eE][-+]?\d+)?")
_MINUS = str.maketrans("\u2212\u2013", "--")  # as typesetters write it
_ROUNDING = 1e-9
_INVENTED = 10.0  # how far numbers go that are made up, where the task has no bounds
_LARGEST = 1e30  # no rating, and its errors' squares and their products stay finite


class BoundedNumber(Kind):
    """A label is a number, within bounds where the task names such."""

    name = "number"

    def check(self, label: str, fields: Mapping[str, str]) -> str | None:
        value, spec = number_in(label), self.spec
        if value is None:
            return f"{label} is not a number"
        if spec.minimum is not None and value < spec.minimum:
            return f"{label} is less than {spec.minimum:g}"
        if spec.maximum is not None and value > spec.maximum:
            return f"{label} is more than {spec.maximum:g}"
        return None

    def schema(self) -> dict[str, JsonValue]:
        bounds = {"minimum": self.spec.minimum, "maximum": self.spec.maximum}
        return {"type": "number", **{name: at for name, at in bounds.items() if at is not None}}

    def wording(self, what: str) -> LabelWording:
        bounds = self._bounds()
        return LabelWording(
            question=f"Which number is the {what} of this text{bounds and f', {bounds}'}?",
            answer=f"the {what}, a number{bounds and f' {bounds}'} and nothing else",
            value=f"the {what}, a number{bounds and f' {bounds}'}",
        )

    def sentence(self) -> str:
        bounds = self._bounds()
        return f"The label is a number{bounds and f' {bounds}'}."

    def same(self, one: str, other: str, choices: Sequence[str] = ()) -> bool:
        left, right = number_in(one), number_in(other)
        if left is None or right is None:
            return super().same(one, other, choices)
        if left == right and abs(left) >= EXACT and not self.spec.tolerance:
            return same_digits(one, other)
        return self._is_right(left, right)

    def right_is(self) -> str:
        tolerance = self.spec.tolerance or 0.0
        return (
            f"a number within {tolerance:g} of the gold label" if tolerance else "the same number"
        )

    def gold(self, text: str) -> str | None:
        value = number_in(text)
        return None if value is None else written(value)

    def target(self, label: str) -> str:
        return self.label_of(label)

    def said(self, text: str) -> str | None:
        label = self.gold(text)
        return label if label is not None and self.check(label, {}) is None else None

    def label_of(self, text: str) -> str:
        return self.gold(text) or text

    def scores(self, answered: Sequence[Answered]) -> dict[str, float]:
        """Errors and correlations over the rows that have a number within the task's bounds, as
        one outside is no label; `within` of all rows."""
        both = [(self._within_bounds(said or ""), number_in(gold)) for said, gold in answered]
        pairs = [(said, gold) for said, gold in both if said is not None and gold is not None]
        found = {"within": sum(self._is_right(*pair) for pair in pairs) / len(both)} if both else {}
        if pairs:
            errors = [said - gold for said, gold in pairs]
            found["mean_error"] = fmean(map(abs, errors))
            found["rmse"] = math.sqrt(fmean(error * error for error in errors))
        said, gold = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        try:
            found["pearson"] = correlation(said, gold)
            found["spearman"] = correlation(_ranks(said), _ranks(gold))
        except StatisticsError:
            pass  # fewer than two rows, or all of them alike
        return found

    def spoken(self, label: str) -> str:
        return self.label_of(label)

    def invented(self, fields: Mapping[str, str], u: float) -> str:
        """A whole number, where there is one within the bounds."""
        low, high = self.spec.minimum, self.spec.maximum
        start = low if low is not None else (high - _INVENTED if high is not None else 0.0)
        end = high if high is not None else start + _INVENTED
        whole = range(math.ceil(start), math.floor(end) + 1)
        return written(whole[int(u * len(whole))] if whole else start + u * (end - start))

    def slips(self, label: str, fields: Mapping[str, str]) -> tuple[str, ...]:
        """A step too many, and one too few, as far as the bounds allow."""
        value, spec = number_in(label), self.spec
        if value is None:
            return ()
        step = max(1.0, 2 * (spec.tolerance or 0.0))
        near = (written(value + step), written(value - step))
        return tuple(each for each in near if self.check(each, fields) is None)

    def _within_bounds(self, text: str) -> float | None:
        return number_in(text) if self.check(text, {}) is None else None

    def _is_right(self, said: float, gold: float) -> bool:
        tolerance = self.spec.tolerance or 0.0
        if said.is_integer() and gold.is_integer():
            return abs(said - gold) <= tolerance
        return math.isclose(said, gold, rel_tol=_ROUNDING, abs_tol=tolerance * (1 + _ROUNDING))

    def _bounds(self) -> str:
        low, high = self.spec.minimum, self.spec.maximum
        if low is not None and high is not None:
            return f"from {low:g} to {high:g}"
        if low is not None:
            return f"of {low:g} or more"
        return "" if high is None else f"of {high:g} or less"


def number_in(text: str) -> float | None:
    """The value of a text that is a number and nothing else.

    >>> number_in("1,234.50")
    1234.5
    """
    text = text.strip().translate(_MINUS)
    if not _NUMBER.fullmatch(text):
        return None
    try:
        value = float(text.replace(",", ""))
    except ValueError:
        return None  # a sign or a dot alone
    return value if abs(value) <= _LARGEST else None  # not NaN either


def written(value: float) -> str:
    """A number as labels have it: `4`, `-1.5`; never `4.0`, so that a student learns one form."""
    return f"{value + 0.0:.15g}"


def _ranks(values: Sequence[float]) -> list[float]:
    """1 for the smallest; equal values share the mean of their ranks."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks, start = [0.0] * len(values), 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for place in order[start:end]:
            ranks[place] = (start + 1 + end) / 2
        start = end
    return ranks
