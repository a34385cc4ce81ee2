"""Any template, any mix, any row: what is asked can be sent, is filled whole, and keeps its key."""

from dataclasses import replace
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from stepdistill.annotator.dataset.sources import Source
from stepdistill.annotator.plan.plan import Plan
from stepdistill.annotator.prompt.mix import Mix
from stepdistill.annotator.prompt.template import Template
from stepdistill.annotator.teacher.spec import TeacherSpec
from stepdistill.common.placeholders import placeholders
from tests.annotator.dataset.made import a_task
from tests.annotator.made import ENDPOINT

SPEC = TeacherSpec(model="any-model", base_url="http://localhost/v1", max_tokens=7)
TASK = a_task(fields={"one": "one", "two": "deep[0].two"}, gold="label", gold_rationale="why")
PIECES = st.lists(
    st.sampled_from(["{one}", "{two}", "{label}", "{why}", "{", "}", "{}", "{{one}}", "\\", "é "])
    | st.text(max_size=8),
    min_size=1,
    max_size=8,
)
KNOWN = {"one", "two", "label", "why"}
TEXTS = PIECES.map(lambda pieces: "".join(pieces) or "x").filter(
    lambda text: KNOWN.issuperset(placeholders(text))  # another name is refused before a run
)
VALUES: Any = st.text(max_size=20) | st.integers() | st.booleans() | st.none()
FIXED: Any = st.fixed_dictionaries
ROWS: Any = st.lists(
    FIXED(
        {
            "one": VALUES,
            "deep": st.tuples(FIXED({"two": VALUES})).map(list),
            "label": VALUES,
        },
        optional={"why": VALUES},
    ),
    max_size=5,
)
MIXES: Any = st.builds(
    Mix,
    seed=st.integers(0, 9),
    assignment=st.sampled_from(["stable", "original"]),
    label=st.sampled_from([{"a": 1.0}, {"a": 0.5, "b": 0.5}]),
    rationale=st.sampled_from([{}, {"b": 1.0}, {"a": 0.25, "b": 0.75}]),
)


def a_plan(rows: list[dict[str, Any]], texts: list[str], mix: Mix) -> Plan:
    source = Source(name="made", rows=lambda: iter(rows), count=lambda: len(rows), digest="made")
    templates = {
        name: Template(id=name, system=system, user=user)
        for name, system, user in zip("ab", texts[::2], texts[1::2], strict=True)
    }
    return Plan(
        task=TASK,
        split="train",
        source=source,
        samples=None,
        mix=mix,
        templates=templates,
        model="any-model",
        endpoint=ENDPOINT,
    )


@given(rows=ROWS, texts=st.lists(TEXTS, min_size=4, max_size=4), mix=MIXES)
@settings(max_examples=200)
def test_every_row_is_asked_what_can_be_sent(
    rows: list[dict[str, Any]], texts: list[str], mix: Mix
) -> None:
    plan = a_plan(rows, texts, mix)
    planned = list(plan.rows())
    assert [each.row.index for each in planned] == list(range(len(rows)))
    for each in planned:
        for request in each.requests:
            body = orjson.loads(SPEC.body(request))
            assert body.pop("max_tokens") == 7
            assert body["model"] == "any-model"
            assert [message["content"] for message in body["messages"]]
    again = [[request.key for request in each.requests] for each in replace(plan).rows()]
    assert again == [[request.key for request in each.requests] for each in planned]
