"""Numbers are read whole or not at all, whatever way they are written in."""

import re
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepdistill.annotator.reading.verdict.equations import equation_in
from stepdistill.annotator.reading.verdict.number_words import numbers_in_words
from stepdistill.annotator.reading.verdict.numbered_text import MOST_READ, NumberedText
from stepdistill.annotator.reading.verdict.text import prepare
from stepdistill.annotator.reading.verdict.written_numbers import numbers_in, with_plain_digits
from stepdistill.common.labels import value_of
from tests.annotator.reading.tasks import PROBLEM, reader

WRAPPINGS = [
    "{}",
    "Answer: {}",
    "**Answer: {}**",
    "**Answer:** {}",
    "Both are added. The answer is {}.",
    "Both are added. The answer is **{}**.",
    "Both are added.\n#### {}",
    "Both are added. \\boxed{{{}}}",
    "So it is $\\boxed{{{}}}$.",
    "Thus the answer is \\({}\\).",
    "Label: {}\nRationale: Both of them are added.",
    "Both are added. Therefore, it is {}.",
    "Both are added, so the total = {}",
]
WRITTEN = {
    **{"1,234": 1234, "1{,}234": 1234, "12\\,000": 12_000, "12\\;000": 12_000, "1_000": 1000},
    **{"10 000": 10_000, "10\u00a0000": 10_000, "10\u2009000": 10_000, "10\u202f000.5": 10_000.5},
    **{"1'234": 1234, "1\u2019234": 1234, "1,234,567.89": 1234567.89, "12,34,567": 1234567},
    **{"1.234,50": 1234.5, "1.234.567": 1234567, "0,5": 0.5, "3,50 \u20ac": 3.5, ".5": 0.5},
    **{"3 1/2": 3.5, "3 and 1/2": 3.5, "3\u00bd": 3.5, "3 \u00bd": 3.5, "\u00be": 0.75},
    **{"3\\frac{1}{2}": 3.5, "3 \\frac12": 3.5, "\\dfrac{3}{4}": 0.75, "-\\frac{3}{4}": -0.75},
    **{"3/4": 0.75, "1\u2044\u0034": 0.25, "1.5e6": 1.5e6, "2E3": 2000, "1e-2": 0.01},
    **{"1.5 \\times 10^3": 1500, "1.5 \u00d7 10\u00b3": 1500, "1.5 x 10^{3}": 1500},
    **{"2 \\cdot 10^{-1}": 0.2, "10^3": 1000, "10^{3}": 1000, "10\u00b3": 1000, "2^{10}": 1024},
    **{"2 million": 2e6, "1.5 billion": 1.5e9, "2\u00bd million": 2.5e6, "1.5k": 1500},
    **{"$2.5M": 2.5e6, "5 lakh": 500_000, "3\u4e07": 30_000, "\u0661\u0662\u0663": 123},
    **{
        "\u0967\u0968\u0969": 123,
        "\uff11\uff0c\uff12\uff13\uff14": 1234,
        "\u0663\u066b\u0665": 3.5,
    },
    **{"-4": -4, "\u22124": -4, "minus 4": -4, "negative 4.5": -4.5, "-$5": -5, "$-5": -5},
    **{"$1,234.50": 1234.5, "\\$18": 18, "36%": 36, "36\\%": 36, "36 kg": 36, "36\\text{ kg}": 36},
    **{"36^\\circ": 36, "36\u00b0C": 36, "3x as many": 3},
    **{"\u20b912,34,567": 1234567, "US$36": 36, "x = 36": 36, "36 (thirty-six)": 36, "(36)": 36},
    **{"twenty-five": 25, "ninety nine": 99, "a hundred": 100, "one hundred and five": 105},
    **{"minus four": -4, "nine and a half": 9.5, "two million": 2e6},
}
NOT_ONE_NUMBER = [
    *("3-4", "3\u20134", "3 to 4", "3 or 4", "between 3 and 5", "from 3 to 5", "3, 4", "1,2,3"),
    *("7:30", "7:30 pm", "2024-05-01", "05/01/2024", "1.5.2024", "May 5, 2024", "5 May 2024"),
    *("May 5th, 2024", "3:2", "2^x", "10 00", "1,23", "1.2.3", "1,234,50", "\\frac{x}{2}"),
    *("3 pm", "5 o'clock", "2 hours 30 minutes", "5 ft 3 in", "5 dollars and 50 cents"),
    *("36 \u00b1 2", "\u221a36", "\\sqrt{36}", "2\\sqrt{3}", "2\\pi", "36x", "2 to the power of 3"),
    *("two thirds", "the 5th", "twenty-fifth", "five or six", "five six", "7 + 2 million"),
]


def value(label: str | None) -> float | None:
    return None if label is None else value_of(label)


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_a_number_is_read_in_every_way_to_write_it(wrapping: str) -> None:
    read = {
        written: value(reader("svamp").read(wrapping.format(written), PROBLEM).label)
        for written in WRITTEN
        if not (written.startswith("$") and "\\(" in wrapping)
    }
    assert read == {written: pytest.approx(WRITTEN[written]) for written in read}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_no_part_of_what_is_no_single_number_is_a_label(wrapping: str) -> None:
    read = [reader("svamp").read(wrapping.format(each), PROBLEM).label for each in NOT_ONE_NUMBER]
    assert dict(zip(NOT_ONE_NUMBER, read, strict=True)) == dict.fromkeys(NOT_ONE_NUMBER)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("14 - 5 = 9", ["14", "5", "9"]),
        ("14-5", ["14", "5"]),
        ("beads:\n- 4 red\n- 3 blue", ["4", "3"]),
        ("It is \u2013 4 or -$3.", ["-4", "-3"]),
        ("2B = 394, 5m long, the 21st", ["2", "394", "5"]),
        ("2k + 3", ["2", "3"]),
        ("\\frac{x}{2} = 5", [None, "5"]),
        ("10^{99} is 3/4/5 or \u00bd\u00bd or 2**3**3", [None, None, None, None]),
        ("In 2019, 36 came.", ["2019", "36"]),
        ("a5 and v1.2.3 and x", []),
        ("\u7b54\u3048\u306f36\u3067\u3059", ["36"]),
    ],
)
def test_the_numbers_of_a_text(text: str, plain: list[str | None]) -> None:
    assert [number.plain for number in numbers_in(text)] == plain


def grouped(separator: str) -> st.SearchStrategy[tuple[str, Fraction]]:
    return st.integers(1000, 10**12).map(lambda n: (f"{n:,}".replace(",", separator), Fraction(n)))


def of_a_fraction(form: str) -> st.SearchStrategy[tuple[str, Fraction]]:
    parts = st.tuples(st.integers(1, 999), st.integers(1, 99), st.integers(1, 99))
    return parts.map(lambda p: (p[0], min(p[1:]), max(p[1:]) + 1)).map(
        lambda p: (form.format(*p), p[0] + Fraction(p[1], p[2]))
    )


def to_a_power(form: str) -> st.SearchStrategy[tuple[str, Fraction]]:
    parts = st.tuples(st.integers(1, 999), st.integers(-6, 9))
    return parts.map(lambda p: (form.format(*p), p[0] * Fraction(10) ** p[1]))


DECIMALS = st.decimals(0, 10**6, places=2).map(lambda n: (str(n), Fraction(n)))
IN_SCRIPTS = st.tuples(
    st.integers(0, 10**6), st.sampled_from("\u0660\u06f0\u0966\u09e6\uff10")
).map(lambda p: ("".join(chr(ord(p[1]) + int(d)) for d in str(p[0])), Fraction(p[0])))
NUMBERS = st.one_of(
    DECIMALS,
    IN_SCRIPTS,
    *(grouped(each) for each in (",", "{,}", "\\,", " ", "\u00a0", "\u202f", "'", "\u2019")),
    *(of_a_fraction(each) for each in ("{} {}/{}", "{} and {}/{}", "{}\\frac{{{}}}{{{}}}")),
    *(to_a_power(each) for each in ("{}e{}", "{} \\times 10^{{{}}}", "{} \u00d7 10^{}")),
)


@settings(max_examples=400)
@given(number=NUMBERS, negative=st.booleans(), wrapping=st.sampled_from(WRAPPINGS))
def test_a_number_is_read_back(number: tuple[str, Fraction], negative: bool, wrapping: str) -> None:
    written, wanted = number
    label = reader("svamp").read(wrapping.format("-" * negative + written), PROBLEM).label
    assert value(label) == pytest.approx(float(-wanted if negative else wanted), abs=1e-4)


@given(text=st.text(alphabet="0123456789.,:'/^ {}\\-+ex\u00bd\u2009\u0661", max_size=40))
def test_a_number_never_ends_within_another(text: str) -> None:
    text, end = with_plain_digits(text), 0
    for number in numbers_in(text):
        assert end <= number.start < number.end <= len(text)
        end = number.end
        if number.plain is not None:
            assert not re.match(r"[.,:'_]?\d", text[end:])
            assert value_of(number.plain) is not None or number.plain.endswith("/0")


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("zero beads, twenty-one rings", ["0", "21"]),
        ("two thousand three hundred and fifteen", ["2315"]),
        ("negative seven, or a million", ["-7", "1000000"]),
        ("five six; twenty-eleven; three quarters; twenty-first", [None, None, None, None]),
        ("someone often tends to listen", []),
    ],
)
def test_numbers_in_words(text: str, numbers: list[str | None]) -> None:
    assert list(numbers_in_words(text, 0, len(text))) == numbers


@pytest.mark.parametrize(
    ("text", "equation"),
    [
        ("14 - 5 = 9", "14 - 5"),
        ("14 - 5 = 8", "8"),
        ("3 + 4 = 7 = 7", "3 + 4"),
        ("14 - 5 = x", "14 - 5"),
        ("x = 14 - 5", "14 - 5"),
        (".5 + 3", ".5 + 3"),
        ("60/10/2", "60/10/2"),
        ("$14 \\times 5$", "14 * 5"),
        ("\\frac{14-5}{3}", "((14-5)/3)"),
        ("10 000 - 5", "10000 - 5"),
        ("1{,}234 + 3\u00bd", "1234 + (7/2)"),
        ("14 - 5 beads", "14 - 5"),
        ("3-4", None),
        ("2024-05-01", None),
        ("3 1/2", None),
    ],
)
def test_an_equation_has_no_equals_sign(text: str, equation: str | None) -> None:
    assert equation_in(text) == equation


@given(st.text(alphabet="0123456789.,+-*/()=x $\\{}", max_size=40))
def test_no_label_holds_an_equals_sign(text: str) -> None:
    for answer in (text, f"Answer: {text}", f"The equation is {text}", f"\\boxed{{{text}}}"):
        assert "=" not in (reader("svamp").read(answer, PROBLEM).label or "")


def test_of_a_long_answer_the_end_alone_is_looked_at() -> None:
    """8 MB of `1+1+...` takes no longer than its last part, and is no equation."""
    answer = "1+" * 4_000_000
    text = NumberedText(prepare(answer, (), hide_quotations=False))
    assert len(text.numbers) <= MOST_READ
    assert text.numbers[0].start >= len(answer) - MOST_READ
    assert value_of(answer) is None
    assert reader("svamp").read(answer, PROBLEM).label is None
    assert reader("svamp").read("9" * 8_000_000, PROBLEM).label is None
    too_long = reader("svamp").read(answer + " So the answer is 9.", PROBLEM)
    assert (too_long.label, too_long.reason) == (None, "too_long_to_read")
