"""Rendering: what of a row goes into a prompt, and what shape its answer is to have.

A template may print a row's gold label or rationale. A teacher that is shown the label repeats it,
and its template looks better than it is. Such prompts can have their use (reasons for a known
label), so they are allowed, but never in silence.
"""

from collections.abc import Callable, Mapping
from operator import attrgetter

from pydantic import JsonValue

from stepdistill.annotator.dataset.rows import Row
from stepdistill.annotator.prompt.template import Template
from stepdistill.common.kinds.registry import kind_of
from stepdistill.common.placeholders import is_name, placeholders
from stepdistill.common.task import LabelSpec, TaskSpec


def values_for(task: TaskSpec, template: Template) -> Callable[[Row], Mapping[str, str]]:
    """What gives a row's value for each placeholder of a template: its fields, and where the
    template prints gold, that too, empty where the dataset does not say."""
    if not leaks(task, template):
        return attrgetter("fields")
    gold = {name: what for name, what in gold_placeholders(task).items() if name not in task.fields}

    def values(row: Row) -> dict[str, str]:
        texts = {"gold label": row.gold or "", "gold rationale": row.gold_rationale or ""}
        return {**row.fields, **{name: texts[what] for name, what in gold.items()}}

    return values


def gold_placeholders(task: TaskSpec) -> dict[str, str]:
    """placeholder -> `gold label` or `gold rationale`, for every name that prints one.

    Such are fields that are filled from its path in a row, and the name of that path itself.
    """
    found: dict[str, str] = {}
    for path, what in ((task.gold_rationale, "gold rationale"), (task.gold, "gold label")):
        if path is None:
            continue
        if is_name(path) and path not in task.fields:
            found[path] = what
        inside = f"{{{path}}}"
        fields = task.fields.items()
        found |= {name: what for name, source in fields if source == path or inside in source}
    return found


def leaks(task: TaskSpec, template: Template) -> dict[str, str]:
    """The placeholders of a template that give the answer away: name -> what it prints."""
    named = placeholders(template.system + template.user)
    return {name: what for name, what in gold_placeholders(task).items() if name in named}


def leak_warning(task: TaskSpec, template: Template) -> str | None:
    """One loud line for a template that gives the answer away, None for all others."""
    found = leaks(task, template)
    if not found:
        return None
    named = " and ".join(f"the {what} ({{{name}}})" for name, what in found.items())
    return f"template {template.id} prints {named}: its teacher is told what it is asked"


def response_format(label: LabelSpec) -> dict[str, JsonValue]:
    """The body's `response_format` of a structured template: a JSON object of reasons and label.

    Answers are read as all others are, so a server that ignores the format, or a model that
    `leave_out`s it, changes nothing but the wording.
    """
    schema: dict[str, JsonValue] = {
        "type": "object",
        # Reasons first: a teacher writes from left to right, so it thinks before it decides.
        "properties": {"rationale": {"type": "string"}, "label": kind_of(label).schema()},
        "required": ["rationale", "label"],
        "additionalProperties": False,
    }
    return {
        "type": "json_schema",
        "json_schema": {"name": "answer", "strict": True, "schema": schema},
    }
