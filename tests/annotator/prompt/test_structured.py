"""A structured template asks for a JSON object; readers take what comes back, object or not."""

import orjson
import pytest

from stepdistill.annotator.prompt.structured import response_format
from stepdistill.annotator.reading.verdict.verdict_reader import VerdictReader
from stepdistill.common.task import LabelSpec

NLI = LabelSpec.model_validate(
    {"kind": "classes", "classes": {"entailment": {}, "contradiction": {}}}
)


def test_classes_are_a_closed_set_and_reasons_come_first():
    asked = orjson.loads(orjson.dumps(response_format(NLI)))

    schema = asked["json_schema"]["schema"]
    assert asked["type"] == "json_schema"
    assert asked["json_schema"]["strict"] is True
    assert list(schema["properties"]) == schema["required"] == ["rationale", "label"]
    assert schema["properties"]["label"]["enum"] == ["entailment", "contradiction"]
    assert schema["additionalProperties"] is False


def test_other_labels_are_free_text():
    asked = orjson.loads(orjson.dumps(response_format(LabelSpec(kind="equation"))))

    assert asked["json_schema"]["schema"]["properties"]["label"] == {"type": "string"}


@pytest.mark.parametrize(
    "answer",
    [
        '{"rationale": "Cooks work in kitchens, as the text says.", "label": "entailment"}',
        "Label: entailment\nRationale: Cooks work in kitchens, as the text says.",
    ],
)
def test_an_answer_is_read_whether_or_not_the_format_was_heeded(answer: str):
    reading = VerdictReader(NLI).read(answer, {})

    assert reading.label == "entailment"
    assert reading.rationale == "Cooks work in kitchens, as the text says."
