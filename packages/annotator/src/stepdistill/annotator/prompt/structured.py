"""Structured output: the JSON that a teacher is made to answer with, where a template asks for it.

The reasons come before the label: a teacher that writes its answer from left to right has then
thought before it decides. Answers are read as all others are, so a server that ignores the format,
or a model that `leave_out`s it, changes nothing but the wording.
"""

from pydantic import JsonValue

from stepdistill.common.task import LabelSpec


def response_format(label: LabelSpec) -> dict[str, JsonValue]:
    """The body's `response_format` for labels of this kind."""
    said: dict[str, JsonValue] = {"type": "string"}
    if label.kind == "classes":
        said["enum"] = [*label.classes]
    schema: dict[str, JsonValue] = {
        "type": "object",
        "properties": {"rationale": {"type": "string"}, "label": said},
        "required": ["rationale", "label"],
        "additionalProperties": False,
    }
    return {
        "type": "json_schema",
        "json_schema": {"name": "answer", "strict": True, "schema": schema},
    }
