"""Which names would be lost: every name of a label set, put as a teacher would put it, read back.

A task with such names is refused before anybody pays for its answers: two classes whose names
differ in nothing that an answer keeps, or a name that is itself a mark of thinking.
"""

import json
import re
from collections.abc import Iterator, Mapping

from stepdistill.annotator.prompt.template import Template
from stepdistill.annotator.reading.verdict.headings import REASON_WORDS
from stepdistill.annotator.reading.verdict.verdict_reader import VerdictReader
from stepdistill.common.task import LabelSpec

_REASONS = "What is asked is said there, and nothing in it speaks against that."
_JSON = f'{{{{"rationale": "{_REASONS}", "label": {{json}}}}}}'
# Ways to put a label, by name; `{name}` and, in JSON, `{json}` stand for it.
FORMS: Mapping[str, str] = {
    "alone": "{name}",
    "line": "Label: {name}",
    "two lines": f"Label: {{name}}\nRationale: {_REASONS}",
    "at the end": f"{_REASONS}\nLabel: {{name}}",
    "quoted": f'{_REASONS} So the label is "{{name}}".',
    "bold": f"**{{name}}**\n\n{_REASONS}",
    "json": _JSON,
}
# What a template asks for: `Label: one of these names`, a line on its own and no row's text in it;
# `a line "Label: " and`; `the words "Therefore, the answer is"`; `"The answer is ... because ..."`.
_HEADING = re.compile(r"\s*(?:[-*] |\d\. )?(\w[\w ]{0,30}): *(?=\S)[^{}\n]*")
_QUOTED_HEADING = re.compile(r"[\"\u201c](\w[\w ]{0,30}):\s*[\"\u201d]")
_QUOTED_WORDS = re.compile(
    r"(?<![\w.?!])[\"\u201c](\w[^\"\u201c\u201d{}:]{2,80}\b(?:is|be|as))\s*"
    r"(?:(?:\.{3}|\u2026)([^\"\u201d]*))?[\"\u201d]"
)
_REASON = re.compile(rf"\b(?:{REASON_WORDS})\b", re.IGNORECASE)


def forms_of(template: Template) -> dict[str, str]:
    """The forms that a template asks for -> a text with `{name}`, as of FORMS; empty where it says
    none that is known."""
    if template.structured:
        return {"a JSON object": _JSON}
    text, found = f"{template.system}\n{template.user}", dict[str, str]()
    headings = list(_headings(text))
    labels = [each for each in headings if not _REASON.search(each)]
    if len(labels) == 1 and len(headings) <= 2:
        lines = [f"{each}: {'{name}' if each in labels else _REASONS}" for each in headings]
        found[f"`{labels[0]}: ...`"] = "\n".join(lines)
    for quoted in _QUOTED_HEADING.finditer(text):
        if not _REASON.search(quoted[1]):
            found[f"`{quoted[1]}: ...`"] = f"{_REASONS}\n{quoted[1]}: {{name}}"
    for quoted in _QUOTED_WORDS.finditer(" ".join(text.split())):
        behind = f" because {_REASONS[0].lower()}{_REASONS[1:]}" if quoted[2] else "."
        before = "" if quoted[2] else f"{_REASONS} "
        found[f"`{quoted[1]} ...`"] = f"{before}{quoted[1]} {{name}}{behind}"
    return found


def _headings(text: str) -> Iterator[str]:
    """Of lines that begin with one; not of prose whose line happens to begin before a colon."""
    before = ""
    for line in text.splitlines():
        heading = _HEADING.fullmatch(line)
        if heading and (before.endswith(":") or not before or _HEADING.fullmatch(before)):
            yield heading[1].strip()
        before = line.rstrip()


def lost_names(label: LabelSpec, template: Template) -> list[str]:
    """A line for each class or alias that is not read back in a form that the template asks for."""
    return [
        f"`{name}` is lost: an answer as {' or '.join(ways)} is not read as it; rename it in "
        "task.yaml, or ask for another form"
        for name, ways in unreadable_names(label, forms_of(template)).items()
    ]


def unreadable_names(
    label: LabelSpec, forms: Mapping[str, str] = FORMS
) -> dict[str, tuple[str, ...]]:
    """The classes and aliases that are not read back -> the names of the forms that lose them.

    Empty for labels without names of their own: options come with each row.
    """
    reader = VerdictReader(label)
    means = {alias: name for name, each in label.classes.items() for alias in each.aliases}
    means |= {name: name for name in label.classes}
    lost = {name: tuple(_lost(reader, name, meant, forms)) for name, meant in means.items()}
    return {name: ways for name, ways in lost.items() if ways}


def _lost(reader: VerdictReader, name: str, meant: str, forms: Mapping[str, str]) -> Iterator[str]:
    for form, text in forms.items():
        answer = text.format(name=name, json=json.dumps(name, ensure_ascii=False))
        if reader.read(answer, {}).label != meant:
            yield form
