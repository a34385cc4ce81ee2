"""A template is filled in one pass: what stands in a value is text, whatever it looks like."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepdistill.annotator.prompt.task import check_placeholders, filler
from stepdistill.common.errors import PromptError
from tests.annotator.dataset.made import a_task

TASK = a_task(fields={"problem": "problem", "hint_2": "hint"})
NAMES = st.from_regex(r"[A-Za-z_]\w{0,8}", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{problem}", "{hint_2} {problem} {{x}}"),
        ("{hint_2}{hint_2}", "\\1\\g<0>\\1\\g<0>"),
        ('{"label": "{hint_2}"}', '{"label": "\\1\\g<0>"}'),
        ("{}{0}{ problem }{two words}", "{}{0}{ problem }{two words}"),
        ("{{hint_2}}", "{\\1\\g<0>}"),
        ("", ""),
    ],
)
def test_values_stay_as_they_are(text: str, filled: str):
    fields = {"problem": "{hint_2} {problem} {{x}}", "hint_2": r"\1\g<0>"}

    assert filler(text)(fields) == filled


@given(fields=st.dictionaries(NAMES, st.text(max_size=30), min_size=1, max_size=4), data=st.data())
def test_every_placeholder_gives_its_value_in_its_place(
    fields: dict[str, str], data: st.DataObject
):
    order = data.draw(st.lists(st.sampled_from(sorted(fields)), max_size=6))
    between = data.draw(st.text(alphabet="ab \n}", max_size=5))
    text = between.join(f"{{{name}}}" for name in order)

    assert filler(text)(fields) == between.join(fields[name] for name in order)


def test_an_unknown_placeholder_is_named_with_those_there_are():
    with pytest.raises(PromptError) as refused:
        check_placeholders("here", "{problem} {hint}", TASK)

    assert str(refused.value) == "here has {hint}, but task sums has only {problem}, {hint_2}"


def test_known_placeholders_and_other_braces_pass():
    check_placeholders("here", '{problem}{hint_2}{} {"a": 1} {two words}', TASK)
