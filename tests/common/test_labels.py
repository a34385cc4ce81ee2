"""Two labels are the same by meaning: words without case, equations by value, text never run."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepdistill.common.kinds.registry import kind_of
from stepdistill.common.labels import plain, same_value, value_of
from stepdistill.common.task import ClassSpec, LabelKind, LabelSpec

EQUATION_TEXT = st.text(alphabet="0123456789.,+-*/()=x ÷×−:\n\t", max_size=60)
NUMBERS = st.integers(0, 10_000)


def same_label(name: LabelKind, one: str, other: str) -> bool:
    classes = {"a": ClassSpec()} if name == "classes" else {}
    return kind_of(LabelSpec(kind=name, classes=classes)).same(one, other)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("( 10.0 * 45.0 )", 450.0),
        ("1,200", 1200.0),
        ("x = 3 + 4", 7.0),
        ("3 + 4 = 7", 7.0),
        ("= 5", 5.0),
        (".5 * 4", 2.0),
        ("2 × 3 ÷ 6", 1.0),
        ("9 − 4", 5.0),
        ("8 : 2", 4.0),
        ("2 x 3", 6.0),
        ("-(2 + 3)", -5.0),
        ("2 - -3", 5.0),
        (" 3 \n+ 4\n", 7.0),
        ("1e3 + 2.5E-1", 1000.25),
        ("$1,234.50", 1234.5),
        ("-€5", -5.0),
    ],
)
def test_an_equation_has_a_value(text: str, value: float):
    assert value_of(text) == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2 + 3 * 4", 14.0),
        ("( 2 + 3 ) * 4", 20.0),
        ("8 - 2 - 3", 3.0),
        ("8 / 2 / 2", 2.0),
        ("8 - ( 2 - 3 )", 9.0),
        ("12 / ( 2 * 3 )", 2.0),
        ("-2 * 3 + 10", 4.0),
    ],
)
def test_products_come_before_sums_and_brackets_before_both(text: str, value: float):
    assert value_of(text) == pytest.approx(value)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "addition",
            "1 / 0",
            "1 +",
            "( 1",
            "1 )",
            "()",
            "3 4",
            "1.5.2",
            "5 %",
            "²",
            "1e",
            "1e3x",
        ),
        *("x = ", "__import__('os')", "9" * 400, "1e400", "(" * 200 + "1" + ")" * 200, "-" * 200),
    ],
)
def test_what_is_no_equation_has_no_value(text: str):
    assert value_of(text) is None


@given(st.text(max_size=200))
def test_no_text_at_all_raises(text: str):
    value_of(text)


@given(EQUATION_TEXT)
def test_no_text_made_of_an_equation_s_letters_raises(text: str):
    value_of(text)


@pytest.mark.parametrize("piece", ["1+", "(", ")", "-", " ", "1,", "=", "1.1", "\n"])
def test_a_long_text_is_done_with_in_no_time(piece: str):
    start_s = time.process_time()
    value_of(piece * 20_000)

    assert time.process_time() - start_s < 1


def test_what_is_longer_than_any_equation_has_no_value():
    assert value_of("1+" * 4_000_000 + "1") is None


@given(a=NUMBERS, b=NUMBERS, c=st.integers(1, 100))
def test_values_are_those_of_arithmetic(a: int, b: int, c: int):
    assert value_of(f"( {a} + {b} ) / {c} - {a}") == pytest.approx((a + b) / c - a)
    assert value_of(f"{a} - {b} * {c}") == pytest.approx(a - b * c)


@given(a=NUMBERS, b=NUMBERS)
def test_equations_are_equal_by_value(a: int, b: int):
    assert same_value(f"{a} + {b}", f"{b}+{a}")
    assert same_label("equation", f"( {a}.0 + {b}.0 )", f"{a + b}")
    assert not same_value(f"{a} + {b}", f"{a + b + 1}")


def test_words_that_mean_no_value_are_not_equal_by_value():
    assert not same_value("none", "nothing")
    assert same_label("equation", "None", "none")


def test_only_equations_are_compared_by_value():
    assert same_label("equation", "3 + 4", "7")
    assert not same_label("text", "3 + 4", "7")
    assert not same_label("classes", "2.0", "2")


@pytest.mark.parametrize(
    ("one", "other"), [("Entailment", "entailment "), ("a  b", "A b."), ("STRASSE", "straße")]
)
def test_words_are_compared_without_case_spacing_and_full_stop(one: str, other: str):
    assert same_label("text", one, other)


@given(st.text(max_size=40))
def test_plain_is_stable_and_a_label_is_the_same_as_itself(text: str):
    assert plain(plain(text)) == plain(text)
    assert same_label("equation", text, text)


SPECS = {
    "classes": {"a": ClassSpec()},
    "multi": {"a": ClassSpec()},
}
OPTIONS: dict[str, list[str]] = {"options": ["x", "y"]}


@pytest.mark.parametrize("name", ["text", "equation", "number", "classes", "multi", "options"])
@pytest.mark.parametrize(
    ("one", "other"),
    [
        (".5", "5"),
        ("1,5", "15"),
        ("1,2,3", "123"),
        ("12,34", "1234"),
        ("1,2345", "12345"),
        ("12345678", "12345679"),
        ("12345678901234567890", "12345678901234567891"),
        ("0.0001", "0.0002"),
        ("0.00005", "0"),
        ("0.1234", "0.1235"),
        ("2020-01-02", "2019-1-1"),
        ("1.2.2020", "2.1.2020"),
        ("1/2/2020", "2/4/2020"),
        (".", ""),
        ("-5", "5"),
        ("1e3", "1e4"),
        ("1234.56", "1234.57"),
    ],
)
def test_what_is_not_equal_is_not_the_same(name: LabelKind, one: str, other: str):
    spec = LabelSpec(kind=name, classes=SPECS.get(name, {}), options=OPTIONS.get(name, []))
    kind = kind_of(spec)
    assert not kind.same(one, other) and not kind.same(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("½", "0.5"),
        ("1½", "1.5"),
        ("3 ¾", "3.75"),
        ("10 / 3", "3.3333"),
        ("1 / 3", "0.33333333"),
        ("0.1 + 0.2", "0.3"),
        ("0.1 + 0.2 - 0.3", "0"),
        ("1,234,567", "1234567.0"),
        ("12345678901234567890", "12,345,678,901,234,567,890"),
        ("5.", "5"),
        ("1e3", "1000"),
    ],
)
def test_equal_values_are_the_same_however_they_are_written(one: str, other: str):
    assert same_value(one, other) and same_value(other, one)


def test_letters_that_look_alike_are_alike():
    for spec in (LabelSpec(kind="text"), LabelSpec(kind="options", options=["x"])):
        assert kind_of(spec).same("cafe\u0301", "caf\u00e9")
    classes = {"cafe\u0301": ClassSpec(), "thé": ClassSpec()}
    assert kind_of(LabelSpec(kind="classes", classes=classes)).same("CAF\u00c9.", "cafe\u0301")
    assert kind_of(LabelSpec(kind="multi", classes=classes)).same(
        "caf\u00e9; thé", "thé; cafe\u0301"
    )


@pytest.mark.parametrize("name", ["classes", "multi"])
def test_classes_that_differ_in_case_are_two(name: LabelKind):
    names = ("US", "us", "it")
    kind = kind_of(LabelSpec(kind=name, classes={each: ClassSpec() for each in names}))
    assert not kind.same("US", "us")
    assert kind.same("IT", "it.") and kind.same("us", "us ")
    # It could be either, so it is neither.
    assert not kind.same("Us", "us") and not kind.same("Us", "US")
    assert [kind.gold(each) for each in ("US", "us", "Us", "It")] == ["US", "us", None, "it"]


def test_so_are_options_of_a_row():
    kind, row = kind_of(LabelSpec(kind="options", options=["a", "b"])), ("Polish", "polish")
    assert not kind.same("Polish", "polish", row)
    assert kind.same("Polish", "polish", ("Polish", "wax"))
