"""Prompts that give the answer away: placeholders that print a row's gold label or rationale.

A teacher that is shown the label repeats it, and its template looks better than it is. Such prompts
can have their use (reasons for a known label), so they are allowed, but never in silence.
"""

from stepdistill.annotator.dataset.rows import Row
from stepdistill.annotator.prompt.template import Template
from stepdistill.common.placeholders import is_name, placeholders
from stepdistill.common.task import TaskSpec


def gold_placeholders(task: TaskSpec) -> dict[str, str]:
    """placeholder -> `gold label` or `gold rationale`, for every name that prints one.

    Such are fields that are filled from its place in a row, and the name of that place itself.
    """
    found: dict[str, str] = {}
    for place, what in ((task.gold_rationale, "gold rationale"), (task.gold, "gold label")):
        if place is None:
            continue
        if is_name(place) and place not in task.fields:
            found[place] = what
        inside = f"{{{place}}}"
        fields = task.fields.items()
        found |= {name: what for name, path in fields if path == place or inside in path}
    return found


def leaks(task: TaskSpec, template: Template) -> dict[str, str]:
    """The placeholders of a template that give the answer away: name -> what it prints."""
    named = placeholders(template.system + template.user)
    return {name: what for name, what in gold_placeholders(task).items() if name in named}


def gold_words(task: TaskSpec, row: Row) -> dict[str, str]:
    """What fills the gold placeholders of a row; empty where the dataset does not say."""
    texts = {"gold label": row.gold or "", "gold rationale": row.gold_rationale or ""}
    gold = {name: texts[what] for name, what in gold_placeholders(task).items()}
    return {name: text for name, text in gold.items() if name not in row.fields}


def leak_warning(task: TaskSpec, template: Template) -> str | None:
    """One loud line for a template that gives the answer away, None for all others."""
    found = leaks(task, template)
    if not found:
        return None
    named = " and ".join(f"the {what} ({{{name}}})" for name, what in found.items())
    return f"template {template.id} prints {named}: its teacher is told what it is asked"
