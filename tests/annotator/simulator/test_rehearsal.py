"""A rehearsal plays the teacher of any task: every kind of label, with gold labels and without, in
the words of every template, and in two minds where it is asked twice."""

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from stepdistill.annotator.plan.key import SAMPLE, Request
from stepdistill.annotator.plan.plan import Plan, PlannedRow
from stepdistill.annotator.reading.verdict.refusal import gives_no_reasons
from stepdistill.annotator.run.conclusions import make_rules
from stepdistill.annotator.run.planning import make_template_plan
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.settings.shards import ShardSettings
from stepdistill.annotator.simulator.answers import SimulatedTeacher
from stepdistill.annotator.simulator.rehearsal import rehearse, rehearse_templates
from stepdistill.annotator.store.answer import Answer
from stepdistill.common.kinds.registry import kind_of
from tests.annotator.made import an_answer
from tests.annotator.simulator.demo_plan import demo_plan

TEXTS = [
    f"{first} {n} parcels came on day {n % 7} of week {n}."
    for n in range(60)
    for first in ("My", "Our", "All", "These")
]
LABELS: dict[str, dict[str, Any]] = {
    "classes": {"kind": "classes", "classes": {"late": {}, "lost": {}, "fine": {}}},
    "multi": {"kind": "multi", "classes": {"joy": {}, "fear": {}, "anger": {}}},
    "options": {"kind": "options", "options": ["a", "b"]},
    "number": {"kind": "number", "minimum": 1, "maximum": 5},
    "equation": {"kind": "equation"},
    "text": {"kind": "text"},
}
TEMPLATES = (
    {"id": "one", "user": "{text} ({a} or {b})? Answer in two lines:\nLabel: it\nRationale: why"},
    {"id": "other", "user": "{text} ({a} or {b})? In two short sentences, with\nLabel: and why."},
)


def plan_of(folder: Path, label: dict[str, Any]) -> Plan:
    """A task whose file has no labels at all."""
    (folder / "prompts" / "new").mkdir(parents=True)
    with (folder / "rows.csv").open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(("text", "a", "b"))
        lines.writerows((text, "river", "lake") for text in TEXTS)
    task = {
        "task": "new",
        "fields": {name: name for name in ("text", "a", "b")},
        "label": label,
        "student": {"input": "{text}"},
    }
    content = {"task.yaml": task, "templates.yaml": {"templates": [*TEMPLATES]}}
    for name, each in content.items():
        (folder / "prompts" / "new" / name).write_text(yaml.safe_dump(each))
    config = RunSettings(
        task="new", teacher="t", data=str(folder / "rows.csv"), prompts=folder / "prompts"
    )
    return make_template_plan(config, ())


def answered(teacher: SimulatedTeacher, request: Request, **more: object) -> Answer:
    return an_answer(teacher.answer({**request.body, **more}))


def rows_of(plan: Plan) -> list[PlannedRow]:
    return list(plan.rows())


@pytest.mark.parametrize("kind", LABELS)
def test_rows_without_labels_get_some_of_every_kind(tmp_path: Path, kind: str) -> None:
    plan = plan_of(tmp_path, LABELS[kind])
    teacher, rules = rehearse([plan]), make_rules(plan, ShardSettings())
    found = Counter[str]()
    for planned in rows_of(plan):
        name = planned.assignment.label
        reading = rules.counted(name, answered(teacher, planned.label), planned.row.fields)
        assert reading.label is not None and reading.rationale is not None
        assert kind_of(plan.task.label).check(reading.label, planned.row.fields) is None
        found[reading.label] += 1
    assert len(found) > 1


def test_a_made_up_label_can_be_learnt(tmp_path: Path) -> None:
    """It goes by the first word, but for the share on which the teacher errs."""
    plan = plan_of(tmp_path, LABELS["classes"])
    teacher, rules = rehearse([plan], accuracy=1.0), make_rules(plan, ShardSettings())
    by_word: dict[str, set[str | None]] = {}
    for planned in rows_of(plan):
        text = planned.row.fields["text"]
        reading = rules.counted("one", answered(teacher, planned.label), planned.row.fields)
        by_word.setdefault(text.split()[0], set()).add(reading.label)
    assert all(len(labels) == 1 for labels in by_word.values())


def test_every_template_of_the_task_is_known() -> None:
    plan = demo_plan()
    teacher = rehearse_templates([plan], SimulatedTeacher(), {"reason-first": 0.0})
    makers = plan.request_makers()
    assert len(makers) == 3
    right = Counter[str]()
    for planned in rows_of(plan):
        for name, make in makers.items():
            answer = teacher.answer(make(planned.row).body)
            assert not gives_no_reasons(answer)
            right[name] += str(planned.row.gold) in answer
    assert right["reason-first"] < right["label-first"] == right["plain-sentence"]


def test_it_is_in_two_minds_where_it_is_asked_again() -> None:
    plan = demo_plan("label-first")
    teacher, rules = rehearse([plan]), make_rules(plan, ShardSettings())

    def votes(planned: PlannedRow, **more: object) -> list[str | None]:
        answers = [answered(teacher, planned.label, **{SAMPLE: n}, **more) for n in range(5)]
        fields = planned.row.fields
        return [rules.counted("label-first", each, fields).label for each in answers]

    rows = rows_of(plan)
    every = [votes(planned) for planned in rows]
    divided = sum(len({*each}) > 1 for each in every)
    assert 0.15 * len(rows) < divided < 0.6 * len(rows)
    assert every == [votes(planned) for planned in rows]
    elected = [Counter(each).most_common(1)[0][0] for each in every]
    golds = [planned.row.gold for planned in rows]
    first = [each[0] for each in every]
    # Votes mend more than they spoil.
    assert sum(map(str.__eq__, map(str, elected), map(str, golds))) > sum(
        map(str.__eq__, map(str, first), map(str, golds))
    )
    assert all(len({*votes(planned, temperature=0)}) == 1 for planned in rows[:50])


def test_a_served_one_counts_who_asks_the_same_again() -> None:
    plan = demo_plan("label-first", samples=60)
    known = rehearse_templates([plan], SimulatedTeacher(counts=True), {})
    steady = rehearse_templates([plan], SimulatedTeacher(), {})
    asked = [planned.label.body for planned in rows_of(plan)]
    assert [steady.answer(body) for body in asked] == [known.answer(body) for body in asked]
    again = [[known.answer(body) for body in asked] for _ in range(5)]
    assert any(each != again[0] for each in again)
    assert [steady.answer(body) for body in asked] == [steady.answer(body) for body in asked]
