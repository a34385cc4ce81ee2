"""Numbers as people and models write them, each read whole or not at all.

`1,234.50`, `1{,}234`, `10 000`, `12,34,567`, `3 1/2`, `2½`, `1.5e6`, `1.5 \\times 10^3`, `10^{3}`,
`\\frac{3}{4}`, `2 million` and the digits of other scripts. What is several numbers (`3-4`,
`1,2,3`), a time or a date is found, too, as a number without a value: no part of it is a label.
"""

import re
import unicodedata
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from typing import NamedTuple

_SPACE = " \u00a0\u2009\u202f\u2007"
_CURRENCY = "$\u20ac\u00a3\u00a5\u20b9\u20a9\u20bd\u20ba\u20ab\u20b4\u20a6\u20b1"
_MINUS = "-\u2212\u2013"
_VULGAR = "\u00bc-\u00be\u2150-\u215e\u2189"  # one half, one third, ... in one character
_RAISED = "\u2070\u00b9\u00b2\u00b3\u2074-\u2079"
# Scripts that put no space between a word and a number: kana, Han, Hangul, Thai.
_UNSPACED = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f"
# The signs that full-width and Arabic numbers are set in.
_FULL_WIDTH = dict(
    zip(
        "\uff0e\uff0c\uff0d\uff0b\uff0f\uff1a\uff05\uff04\uff1d\uff08\uff09\uff0a\u066b\u066c",
        ".,-+/:%$=()*.,",
        strict=True,
    )
)
_FULL_WIDTH_SIGN = re.compile(f"[{''.join(_FULL_WIDTH)}]")
_OTHER_DIGIT = re.compile(r"[^\D0-9]")
_MONTH_NAMES = (
    "January February March April May June July August September October November December"
)
_MONTHS = frozenset(_MONTH_NAMES.split())
_POWERS_OF_TEN = {
    **{"hundred": 2, "thousand": 3, "lakh": 5, "million": 6, "crore": 7, "billion": 9},
    **{"milliard": 9, "trillion": 12, "k": 3, "m": 6, "mn": 6, "b": 9, "bn": 9},
    **{"\u767e": 2, "\u5343": 3, "\u4e07": 4, "\u842c": 4, "\u4ebf": 8, "\u5104": 8},
}
_BEFORE_YEARS = frozenset(("in", "In", "since", "Since"))
_ENDINGS_BEFORE_ODD_NUMBERS = frozenset(
    word[-3:] for word in (*_MONTHS, "minus", "negative", "since", " in", " In", "\nIn", "In")
)
_OPERATORS = frozenset("=+*/\u00d7\u00f7,")
_HAN_SIZES = "\u767e\u5343\u4e07\u842c\u4ebf\u5104"
_MOST_DIGITS = 60  # more are kept as they stand, but not computed with

_WORD_LETTER = re.compile(rf"[^\W_{_UNSPACED}]")

# `1,234.50`, `1{,}234`, `10\,000`, `10 000`, `1'234`: one sign between all groups.
_GROUPED = re.compile(
    rf"[1-9]\d{{0,2}}(?P<sep>,|\{{,\}}|\{{?\\[,;:!]\}}?|\\ |['\u2019_{_SPACE}])\d{{3}}"
    rf"(?:(?P=sep)\d{{3}})*+(?![\d/\u2044])(?:\.\d++)?"
)
_INDIAN = re.compile(r"[1-9]\d?(?:,\d\d)+,\d{3}(?!\d)(?:\.\d++)?")  # 12,34,567
# `1.234,50`, `1.234.567`, `10 000,50`, `0,5`: the decimal comma, where it can be nothing else.
_DECIMAL_COMMA = re.compile(
    r"[1-9]\d{0,2}(?:(?:\.\d{3})++,\d++|(?:\.\d{3}){2,}+(?!\d)"
    rf"|(?:[{_SPACE}'\u2019]\d{{3}})++,\d\d?(?!\d))|0,\d++"
    rf"|\d++,\d\d(?=[{_SPACE}]?(?:\u20ac|EUR|[Ee]uro))"
)

# Whatever could go on with a number: most numbers of a text are over before it.
_GOES_ON = (
    rf"[{_SPACE}]?(?:[\d^/\u2044\u00d7*\u00b7\u22c5\\{_VULGAR}{_HAN_SIZES}]|x[{_SPACE}]?10)"
    rf"|[.,:'\u2019_]\d|[{_RAISED}]|[eE][+-]?\d|\{{|[-\u2013\u2014]\d|[xyz]\b"
    rf"|[{_SPACE}]?(?:\u00b1|\+/-|\u221a|\u03c0|[ap]\.?m\b|[AP]\.?M\b|o'clock)|[ ]to[ ]the[ ]power"
    r"|(?:\^\{?)?(?:st|nd|rd|th)\b|[kKmMbB][nN]?\b"
    r"|[\s-](?:and[ ][\d\\]|hundred|thousand|[mbt]r?illi|lakh|crore|of[ ][A-Z]|[JFMASOND][a-z]{2})"
)
# Nothing of the above: a quick look before it, since most numbers of a text end here.
_IS_OVER = r"[ ](?:[defgijknqrsuvwyz=-]|\+[ ])|[.,](?!\d)|[)}\]<>=;!?\"%$]|\Z"
_FIRST = re.compile(rf"[\d\\{_VULGAR}]")  # one set of characters: a search skips to it
_BEGINS = re.compile(
    rf"(?P<digits>\d++(?:\.\d++)?|\.\d++)(?P<more>(?!{_IS_OVER})(?={_GOES_ON}))?"
    rf"|[{_VULGAR}]|\\[dtc]?frac(?![A-Za-z])"
)
_ORDINAL = re.compile(r"(?:\^\{?)?(?:st|nd|rd|th)\b")
_SLASHED = re.compile(r"\s?[/\u2044]\s?(?P<below>\d++)(?!\.\d)")
_FRACTION = re.compile(
    r"\\[dtc]?frac\s?(?:\{\s?(?P<above>-?[\d,]{1,20})\s?\}|(?P<a>\d))"
    r"\s?(?:\{\s?(?P<below>[\d,]{1,20})\s?\}|(?P<b>\d))"
)
_ANY_FRACTION = re.compile(r"\\[dtc]?frac\s?(?:\{[^{}]{0,80}\}\s?){0,2}")
# What makes `3` a mixed number: ` 1/2`, ` and 1/2`, `½`, `\frac{1}{2}`.
_MIXED = re.compile(
    rf"(?:[{_SPACE}]|[ ]and[ ]|\\[,;: ]|-(?=\\))?"
    rf"(?:(?P<above>\d{{1,4}})\s?[/\u2044]\s?(?P<below>\d{{1,4}})(?![\d/\u2044])"
    rf"|(?P<vulgar>[{_VULGAR}])|(?P<latex>(?=\\[dtc]?frac)))"
)
_EXPONENT = re.compile(r"[eE](?P<bare>[+-]?\d{1,3})(?!\w|\.\d)")
_POWER = (
    r"(?:[ ]?(?:\^|\*\*)[ ]?(?:\{[ ]?(?P<braced>[-+\u2212]?\d{1,3})[ ]?\}"
    r"|\(?(?P<bare>[-+\u2212]?\d{1,3})\)?(?!\d|\.\d))"
    rf"|(?P<raised>\u207b?[{_RAISED}]{{1,3}}))"
)
_TO_THE_POWER = re.compile(_POWER)
_TIMES_TEN = re.compile(rf"\s?(?:\\times|\\cdot|[\u00d7x*\u00b7\u22c5])\s?10{_POWER}")
_SIZE = re.compile(
    r"[\s-]?(?P<word>hundred|thousand|million|billion|trillion|lakh|crore|milliard)"
    r"(?:s|en|es)?(?![^\W_])"
    r"|(?P<sign>[kK]|[mM][nN]?|[bB][nN]?)(?![^\W_]|\s?(?:[=+/^-]|\*(?!\*)))"
    rf"|[{_SPACE}]?(?P<han>[{_HAN_SIZES}])"
)
_MOMENT = re.compile(
    r"\d{1,2}(?::\d\d)?\s?(?:[ap]\.?m\b|[AP]\.?M\b|o'clock)|(?:\d{4}(?P<one>[-/.])\d{1,2}(?P=one)\d{1,2}"
    r"|\d{1,2}(?P<other>[-/.])\d{1,2}(?P=other)(?:19|20)\d\d|\d{1,2}:\d\d(?::\d\d)?)(?!\d|[./-]\d)"
)
_YEAR = re.compile(r"(?:1[89]|20)\d\d(?![\d.,]\d|\s?[/%$])(?= |,|\.?\Z)")
_OF_A_MONTH = re.compile(
    rf"(?:,?[ ](?:of[ ])?(?P<month>{'|'.join(sorted(_MONTHS))})\b)?(?:,?[ ]\d{{4}}\b)?"
)
_RANGE = re.compile(
    rf"[-\u2013\u2014](?P<upper>\d[\d,]*+(?:\.\d++)?)(?!\s?(?:[=+/\u00d7^(]|\*(?!\*))|[{_MINUS}\w])"
)
# The rest of what is no single number, such as a list without spaces.
_REST = re.compile(
    rf"(?:[.,:'\u2019_/\u2044{_SPACE}]?\d|\^(?!\{{?\s?\\circ)\{{?[\w+-]*+\}}?|[eE][+-]?\d"
    rf"|\*\*\d|[{_VULGAR}]|\\[,;: ]\d|\s?(?:\u00b1|\+/-|\\pm|\u221a|\\sqrt|\u03c0|\\pi)(?![A-Za-z])"
    r"|[ ]to[ ]the[ ]power|[xyz](?!\w|\s?\d|[ ](?:as|more|the|times)[ ]))++"
)
_ROOTS = ("\u221a", "\u221a(", "sqrt{", "sqrt(")  # before a number: it is not the root

_OPENS = re.compile(
    rf"(?:(?P<sign>[{_MINUS}])\s?)?(?:\\?[{_CURRENCY}]\s?(?P<minus>[{_MINUS}])?)?\Z"
)
_IN_WORDS = re.compile(
    r"(?:(?:^|\b(?:is|are|was|be|equals?|of|to)[ ]|[:=({*$#\"][ ]?)(?=minus)|\b(?=negative))"
    r"(?P<word>minus|negative)[ ]\Z",
    re.IGNORECASE,
)
_SAID_TO_BE = re.compile(r"\b(?:is|are|was|were|be|equals?|to|of)\Z", re.IGNORECASE)


class Number(NamedTuple):
    """A number as it stands in a text.

    start, end: its characters, with its sign and currency; plain: its digits, sign and fraction as
    a label has them, None where it is no single number; moment: whether it is a time or a date.
    """

    start: int
    end: int
    plain: str | None
    moment: bool = False


class _Written(NamedTuple):
    """A number without its sign. end: its last character's place, plus one."""

    end: int
    plain: str | None
    moment: bool = False


def with_plain_digits(text: str) -> str:
    """The text with digits `0` to `9` for those of any script, at its length."""
    if text.isascii():
        return text
    text = _OTHER_DIGIT.sub(lambda found: str(unicodedata.decimal(found.group())), text)
    return _FULL_WIDTH_SIGN.sub(lambda found: _FULL_WIDTH[found.group()], text)


def numbers_in(text: str, start: int = 0) -> Iterator[Number]:
    """The numbers of a text (with plain digits) from left to right; none overlap."""
    place, floor = start, 0
    while candidate := _FIRST.search(text, place):
        first = candidate.start()
        if first > place and text[first - 1] == ".":
            first -= 1
        begins = _BEGINS.match(text, first)
        if begins is None:
            place = candidate.end()
            continue
        place = begins.end()
        before, digits = text[first - 1 : first], begins["digits"]
        if before == " " and digits and begins["more"] is None:
            # Nearly all numbers of an answer: `has 14 beads`, `= 14`.
            ending = text[max(0, first - 4) : first - 1]
            last = ending[-1:]
            if last in _OPERATORS or (last.isalpha() and ending not in _ENDINGS_BEFORE_ODD_NUMBERS):
                floor = place
                yield Number(first, place, digits)
                continue
        if digits and (before in (".", ",") or _WORD_LETTER.match(before)):
            continue
        written = _written(text, begins)
        if written is None:
            continue
        if text.endswith(_ROOTS, 0, first):
            written = written._replace(plain=None)
        begin, negative = _opening(text, first, floor)
        plain = f"-{written.plain}" if negative and written.plain else written.plain
        place = floor = written.end
        yield Number(begin, written.end, plain, written.moment)


def _written(text: str, begins: re.Match[str]) -> _Written | None:
    """The number whose first character is here; None for an ordinal number."""
    first, end = begins.span()
    if begins["digits"] is None:
        return _to_its_end(text, first, _fraction(text, first))
    word = _word_before(text, first)
    in_a_month = word in _MONTHS
    if word in _BEFORE_YEARS and _YEAR.match(text, first):
        return _Written(end, begins["digits"], moment=True)
    if not in_a_month and begins["more"] is None:
        return _Written(end, begins["digits"])
    if moment := _MOMENT.match(text, first):
        return _Written(moment.end(), None, moment=True)
    month = _OF_A_MONTH.match(text, _end_of_ordinal(text, end))
    if end - first <= 4 and (in_a_month or (month and month["month"])):
        return _Written(month.end() if month else end, None, moment=True)
    if _ORDINAL.match(text, end):
        return None
    return _to_its_end(text, first, _amount(text, begins))


def _word_before(text: str, first: int) -> str:
    """The word before a number, without what may open a quotation or a formula."""
    return text[max(0, first - 12) : max(0, first - 1)].rpartition(" ")[2].lstrip("$*#\"'([{\\")


def _end_of_ordinal(text: str, end: int) -> int:
    ordinal = _ORDINAL.match(text, end)
    return ordinal.end() if ordinal else end


def _amount(text: str, digits: re.Match[str]) -> _Written:
    """The digits, with their groups and with a fraction or a power behind them."""
    first = digits.start()
    if found := _DECIMAL_COMMA.match(text, first):
        whole, _, part = found.group().partition(",")
        plain = f"{re.sub(r'[^0-9]', '', whole)}.{part}".rstrip(".")
    elif found := _GROUPED.match(text, first) or _INDIAN.match(text, first):
        whole, dot, part = found.group().partition(".")
        plain = f"{re.sub(r'[^0-9]', '', whole)}{dot}{part}"
    else:
        found, plain = digits, digits.group()
    if (mixed := _mixed(text, found.end(), plain)) is not None:
        return mixed
    if slashed := _SLASHED.match(text, found.end()):
        return _Written(slashed.end(), f"{plain}/{slashed['below']}")
    if power := _TO_THE_POWER.match(text, found.end()):
        return _Written(power.end(), _computed(plain, _exponent(power), base=None))
    if power := _EXPONENT.match(text, found.end()):
        return _Written(power.end(), _computed(plain, _exponent(power)))
    return _Written(found.end(), plain)


def _mixed(text: str, end: int, whole: str) -> _Written | None:
    """`3 1/2`, `3 and 1/2`, `3½`, `3\\frac{1}{2}` as `7/2`; None where no fraction is added."""
    found = _MIXED.match(text, end)
    if found is None or not whole.isdigit() or len(whole) > _MOST_DIGITS:
        return None
    if found["above"]:
        part = _Written(found.end(), f"{found['above']}/{found['below']}")
    else:
        part = _fraction(text, found.start("vulgar") if found["vulgar"] else found.end())
    value = _value(part.plain)
    if value is None or not 0 < value < 1:
        return None if found["above"] else part._replace(plain=None)
    value += int(whole)
    return part._replace(plain=f"{value.numerator}/{value.denominator}")


def _fraction(text: str, first: int) -> _Written:
    """`½` or `\\frac{1}{2}`."""
    if text[first] != "\\":
        return _Written(first + 1, _vulgar(text[first]))
    if found := _FRACTION.match(text, first):
        above, below = found["above"] or found["a"], found["below"] or found["b"]
        return _Written(found.end(), f"{above}/{below}".replace(",", ""))
    other = _ANY_FRACTION.match(text, first)
    return _Written(other.end() if other else first + 1, None)


@cache
def _vulgar(sign: str) -> str:
    value = Fraction(unicodedata.numeric(sign)).limit_denominator(100)
    return f"{value.numerator}/{value.denominator}"


def _to_its_end(text: str, first: int, number: _Written) -> _Written:
    """With the power of ten behind it; without a value where more than that follows."""
    if power := _TIMES_TEN.match(text, number.end):
        number = _Written(power.end(), _computed(number.plain, _exponent(power)))
    if (size := _SIZE.match(text, number.end)) and _is_size(text, first, size):
        name = size["word"] or size["sign"] or size["han"]
        number = _Written(size.end(), _computed(number.plain, _POWERS_OF_TEN[name.lower()]))
    if (upper := _RANGE.match(text, number.end)) and _is_range(text, first, number, upper):
        number = _Written(upper.end(), None)
    rest = _REST.match(text, number.end)
    return _Written(rest.end(), None) if rest else number


def _is_size(text: str, first: int, size: re.Match[str]) -> bool:
    """`5m` are metres and `$5m` millions; `5M` are millions, and `5b` nothing known."""
    if size["sign"] not in ("m", "M", "b", "B"):
        return True
    return size["sign"] == "M" or text[max(0, first - 2) : first].strip()[-1:] in set(_CURRENCY)


def _is_range(text: str, first: int, number: _Written, upper: re.Match[str]) -> bool:
    """`3-4` is from 3 to 4; `14-5` and `2+3-4` take away."""
    low, high = _value(number.plain), _value(upper["upper"].replace(",", ""))
    before = text[max(0, first - 8) : first].rstrip()
    is_operand = before[-1:] in set("+*/×÷^-") and not before.endswith("**")
    return low is not None and high is not None and low < high and not is_operand


def _exponent(power: re.Match[str]) -> int:
    groups = power.groupdict()
    if raised := groups.get("raised"):
        sign = -1 if raised[0] == "\u207b" else 1
        return sign * int("".join(str(unicodedata.digit(each)) for each in raised.lstrip("\u207b")))
    return int((groups.get("braced") or groups["bare"]).replace("\u2212", "-"))


def _computed(plain: str | None, exponent: int, base: int | None = 10) -> str | None:
    """A number times a power of ten (base None: the number's own power); None if too long."""
    value = _value(plain)
    if value is None or abs(exponent) > _MOST_DIGITS or (base is None and value == 0):
        return None
    if base is None and abs(exponent) * len(plain or "") > 4 * _MOST_DIGITS:
        return None
    return _as_plain(value**exponent if base is None else value * Fraction(base) ** exponent)


def _value(plain: str | None) -> Fraction | None:
    if plain is None or len(plain) > _MOST_DIGITS:
        return None
    try:
        return Fraction(plain)
    except (ValueError, ZeroDivisionError):
        return None


def _as_plain(value: Fraction) -> str:
    """`1500`, `0.001`, or `1/3` where the decimals have no end."""
    for places in range(_MOST_DIGITS):
        scaled = value * 10**places
        if scaled.denominator == 1:
            digits, sign = str(abs(scaled.numerator)).rjust(places + 1, "0"), "-" * (value < 0)
            return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else sign + digits
    return f"{value.numerator}/{value.denominator}"


def _opening(text: str, first: int, floor: int) -> tuple[int, bool]:
    """Where the sign and the currency before a number begin, and whether it is below zero."""
    before = text[max(0, first - 6) : first]
    if before[-1:] == " " and before[-2:-1].isalnum():
        if before.endswith(("inus ", "tive ")):
            word = _IN_WORDS.search(text, max(floor, first - 20), first)
            return (word.start("word"), True) if word else (first, False)
        return first, False
    opens = _OPENS.search(before)
    if opens is None or not opens.group():
        return first, False
    start = max(floor, first - len(before) + opens.start())
    negative = opens["minus"] or (opens["sign"] and not _takes_away(text, start))
    return start, bool(negative)


def _takes_away(text: str, sign: int) -> bool:
    """Whether a minus is an operator, or the mark of a list, rather than a number's sign."""
    before = text[max(0, sign - 12) : sign]
    spaced = text[sign + 1].isspace()
    words = before.rstrip()
    if not words:
        return spaced and "\n" in before
    if before[-1].isalnum() or before[-1] in ".,":
        return True
    if words[-1].isdigit() or words[-1] in ")]}%" or (spaced and before.rstrip(" ")[-1:] == "\n"):
        return True
    if _SAID_TO_BE.search(words) or words[-1] in ":=(":
        return False
    return (spaced and words[-1].isalpha()) or text[sign] == "\u2013"
