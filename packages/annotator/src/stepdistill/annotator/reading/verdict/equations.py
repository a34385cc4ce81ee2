"""The equation that a whole text is, such as `( 14 - 5 ) * 3` or `14 - 5 = 9`."""

import re

from stepdistill.annotator.reading.verdict.written_numbers import numbers_in
from stepdistill.common.labels import LONGEST_EQUATION, same_value, value_of

_EQUATION = re.compile(r"[\d(.$\u2212-][\d\s.,()$\u2212+*/x\u00d7\u00f7=-]*")
_OPERATION = re.compile(r"[\d)]\s*[-+*/x\u00d7\u00f7\u2212]\s*[$(]?\d")
_ASSIGNED = re.compile(r"^\s*[A-Za-z]\w{0,20}\s*=(?=.*\d)")
_UNIT = re.compile(  # `14 - 5 red beads`
    r"(?<=[\d)])\s+(?!hundred|thousand|million|billion|trillion|lakh|crore|dozen|and |or |to )"
    r"[^\W\d_]{2,}(?:\s[^\W\d_]+){0,2}\Z"
)
_MAY_BE = re.compile(r"[\s*`\"'$]*(?:[^A-Za-z]|[A-Za-z]\w{0,20}\s*=)")
_WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}(?!\w|\{)")
_TWO_LETTERS = re.compile("[A-Za-z]{2}")
_MARKS_AROUND = "*`\"'$ "
_BEFORE_DIGITS = "-\u2212\u2013$ "
_FRACTION = re.compile(r"\\[dtc]?frac\s?\{([^{}]{1,80})\}\s?\{([^{}]{1,80})\}")
_LATEX = (
    (re.compile(r"\\(?:times|cdot|ast)(?![A-Za-z])"), "*"),
    (re.compile(r"\\div(?![A-Za-z])"), "/"),
    (re.compile(r"\\(?:left|right)(?![A-Za-z])|\\[()\[\]]"), ""),
    (re.compile(r"\\(?=\$)"), ""),
    (re.compile(r"\\text\s?\{[^{}\d]{0,80}\}\s*\Z"), ""),
)


def equation_in(text: str) -> str | None:
    """The equation that a whole text is; `3 + 4 = 7` gives its left side, if that is its value."""
    if not _MAY_BE.match(text) or len(text) > LONGEST_EQUATION:
        return None
    text = _ASSIGNED.sub("", text.strip().lstrip(_MARKS_AROUND).rstrip(_MARKS_AROUND + ".=?"))
    text = text.strip()
    found = _as_it_stands(text)
    if found is not None or (_may_have_value(text) and value_of(text) is not None):
        return found
    text = _UNIT.sub("", text) if "=" not in text else text
    return None if _WORD.search(text) else _as_it_stands(_plainly(text))


def _may_have_value(text: str) -> bool:
    """Words have no value: a quick look before all of a sentence is read as an equation."""
    return "=" in text or "(" in text or _TWO_LETTERS.search(text) is None


def _as_it_stands(text: str) -> str | None:
    if not _EQUATION.fullmatch(text) or not _OPERATION.search(text) or _is_one_number(text):
        return None
    left, *others = (side.strip() for side in text.replace("$", "").split("="))
    if value_of(left) is None:
        return None
    if not others or same_value(left, others[-1]) or value_of(others[-1]) is None:
        return left
    return others[-1]


def _is_one_number(text: str) -> bool:
    """A range or a date, which only look like a difference; `60/10/2` divides."""
    first = next(numbers_in(text), None)
    if first is None or first.plain is not None or (first.start, first.end) != (0, len(text)):
        return False
    return first.moment or "/" not in text


def _plainly(text: str) -> str:
    """The signs of LaTeX and the ways to write a number in plain ones."""
    if _is_whole_number(text):
        return ""
    if "\\" in text:
        for sign, plain in _LATEX:
            text = sign.sub(plain, text)
        text = _FRACTION.sub(lambda found: f"({_grouped(found[1])}/{_grouped(found[2])})", text)
    pieces, place = list[str](), 0
    for number in numbers_in(text):
        if number.plain is None:
            return ""
        written = text[number.start : number.end]
        digits = written.lstrip(_BEFORE_DIGITS)
        if not (_EQUATION.fullmatch(digits) and same_value(digits, number.plain.lstrip("-"))):
            digits = _grouped(number.plain.lstrip("-"))
        end_of_sign = number.end - len(written.lstrip(_BEFORE_DIGITS))
        pieces += (text[place:end_of_sign], digits)
        place = number.end
    return "".join((*pieces, text[place:])).strip()


def _is_whole_number(text: str) -> bool:
    first = next(numbers_in(text), None)
    if first is None or first.plain is None:
        return False
    return (first.start, first.end) == (0, len(text))


def _grouped(part: str) -> str:
    return part if part.replace(".", "").isdigit() else f"({part})"
