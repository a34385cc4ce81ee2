"""Where a label is stated in an answer: the characters that a page marks."""

import pytest

from stepdistill.annotator.prompt.template import OriginalParse
from stepdistill.annotator.reading.original import OriginalReader
from stepdistill.annotator.reading.verdict.verdict_reader import VerdictReader
from stepdistill.annotator.view.detail import marked, named_in, values_in_json
from stepdistill.common.task import LabelSpec

MOODS = LabelSpec.model_validate({"kind": "classes", "classes": {"joyful": {}, "gloomy": {}}})
NUMBER = LabelSpec.model_validate({"kind": "number"})


@pytest.mark.parametrize(
    ("label", "answer", "stated"),
    [
        (MOODS, "joyful", ["joyful"]),
        (MOODS, " Joyful.\n", ["Joyful."]),
        (MOODS, "Label: gloomy\nRationale: it rains all day long.", ["gloomy"]),
        (MOODS, "It rains all day, and so the answer is gloomy.", ["gloomy"]),
        (MOODS, "<think>joyful? no, gloomy</think>Label: gloomy", ["gloomy"]),
        (MOODS, '{"rationale": "it rains all day long", "label": "gloomy"}', ["gloomy"]),
        (MOODS, "Nobody can tell from this text alone.", []),
        (MOODS, "", []),
        (MOODS, "<think>it never ends", []),
        (MOODS, "x" * 40_000, []),
        (NUMBER, "Rating: 4\nReason: nearly all of it was good.", ["4"]),
    ],
)
def test_what_states_the_label_is_found(label: LabelSpec, answer: str, stated: list[str]) -> None:
    reader = VerdictReader(label).of_prompt("", "Joyful or gloomy? {text}")
    spans = reader.stated(answer, {"text": "a text"})
    assert len(spans) == len(stated)
    for (start, end), word in zip(spans, stated, strict=True):
        assert word in answer[start:end]
    assert bool(spans) == (reader.read(answer, {"text": "a text"}).label is not None)


def test_of_a_pattern_it_is_the_group_of_the_label() -> None:
    parse = OriginalParse(label_parse=r"Label: (\w+)", explanation_parse=r"[^:]*: (.*)")
    reader = OriginalReader(MOODS, parse)
    answer = "Label: gloomy Why: it rains all day long"
    ((start, end),) = reader.stated(answer, {})
    assert answer[start:end] == "gloomy"
    assert reader.stated("nothing of this kind", {}) == ()


def test_pieces_make_the_text_again_whatever_the_spans_are() -> None:
    text = "Label: joyful, since the sun shines"
    spans = [((7, 13),), ((0, 5), (3, 9)), ((30, 99),), ((-3, 4),), ((5, 5),), ()]
    for label in spans:
        for rationale in ((15, len(text)), (0, 3), (10, 2), (20, 400), None):
            pieces = marked(text, label, rationale)
            assert "".join(str(each["text"]) for each in pieces) == text
    assert [each["is"] for each in marked(text, [(7, 13)], (15, len(text)))] == [
        *(None, "label", None, "rationale"),
    ]


def test_within_json_the_values_are_marked_and_not_the_object() -> None:
    reason = 'It is \\"paid\\" \\u00e9: yes.'
    text = f'{{"label": "Billing", "rationale":\n "{reason}", "n": 3, "more": {{"x": "y"}}}}'
    values = values_in_json(text)
    label, reasons = named_in(values, "billing"), named_in(values, 'It is "paid" é: yes.')
    assert label and text[slice(*label)] == "Billing"
    assert reasons and text[slice(*reasons)] == reason
    assert named_in(values, "y") and named_in(values, "no such value") is None
    assert values_in_json("Label: Billing") == values_in_json('["a"]') == {}
