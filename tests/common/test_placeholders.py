"""A text is filled in one pass: names are filled, other braces and all values stay as they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepdistill.common.placeholders import filler, is_name, placeholders, unknown_placeholders

NAMES = st.from_regex(r"[^\W\d]\w{0,8}", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{problem}", "{hint_2} {problem} {{x}}"),
        ("{hint_2}{hint_2}", "\\1\\g<0>\\1\\g<0>"),
        ('{"label": "{hint_2}"}', '{"label": "\\1\\g<0>"}'),
        ("{}{0}{1}{2a}{ problem }{two words}{a-b}", "{}{0}{1}{2a}{ problem }{two words}{a-b}"),
        (r"\d{2} {ä}{{ä}}", r"\d{2} in Köln{in Köln}"),
        ("{{hint_2}}", "{\\1\\g<0>}"),
        ("", ""),
    ],
)
def test_values_and_other_braces_stay_as_they_are(text: str, filled: str):
    fields = {"problem": "{hint_2} {problem} {{x}}", "hint_2": r"\1\g<0>", "ä": "in Köln"}

    assert filler(text)(fields) == filled


@given(fields=st.dictionaries(NAMES, st.text(max_size=30), min_size=1, max_size=4), data=st.data())
def test_every_placeholder_gives_its_value_in_its_place(
    fields: dict[str, str], data: st.DataObject
):
    order = data.draw(st.lists(st.sampled_from(sorted(fields)), max_size=6))
    between = data.draw(st.text(alphabet="ab \n}", max_size=5))
    text = between.join(f"{{{name}}}" for name in order)

    assert filler(text)(fields) == between.join(fields[name] for name in order)
    assert all(map(is_name, fields))
    assert list(placeholders(text)) == list(dict.fromkeys(order))


@given(st.text(), st.dictionaries(NAMES, st.text(max_size=5)))
def test_any_text_is_filled_or_says_which_field_lacks(text: str, fields: dict[str, str]):
    missing = unknown_placeholders(text, fields)
    if not missing:
        filler(text)(fields)
        return
    with pytest.raises(KeyError) as lacking:
        filler(text)(fields)
    assert lacking.value.args == (missing[0],)


def test_placeholders_are_counted_in_their_order():
    text = '{b} {a} {b} {"c": {d}} {1}'

    assert list(placeholders(text).items()) == [("b", 2), ("a", 1), ("d", 1)]
    assert unknown_placeholders(text, ("a", "d")) == ["b"]


@pytest.mark.parametrize("name", ["", "1", "2a", "a b", "a-b", "{a}", "a\n", "a.b"])
def test_no_placeholder_names_these(name: str):
    assert not is_name(name)
