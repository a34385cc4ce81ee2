"""Which names would be lost: every name of a label set, put as a teacher would put it, read back.

A task with such names is refused before anybody pays for its answers: two classes whose names
differ in nothing that an answer keeps, or a name that is itself a mark of thinking.
"""

import json
from collections.abc import Iterable, Iterator, Mapping

from stepdistill.annotator.reading.verdict.verdict_reader import VerdictReader
from stepdistill.common.task import LabelSpec

_REASONS = "What is asked is said there, and nothing in it speaks against that."
# Ways to put a label, by name; `{name}` and, in JSON, `{json}` stand for it.
FORMS: Mapping[str, str] = {
    "alone": "{name}",
    "line": "Label: {name}",
    "two lines": f"Label: {{name}}\nRationale: {_REASONS}",
    "at the end": f"{_REASONS}\nLabel: {{name}}",
    "quoted": f'{_REASONS} So the label is "{{name}}".',
    "bold": f"**{{name}}**\n\n{_REASONS}",
    "json": f'{{{{"rationale": "{_REASONS}", "label": {{json}}}}}}',
}


def unreadable_names(
    label: LabelSpec, forms: Iterable[str] = tuple(FORMS)
) -> dict[str, tuple[str, ...]]:
    """The classes that are not read back -> the forms, of FORMS, in which each is lost.

    Empty for labels without names of their own: options come with each row.
    """
    wanted = tuple(forms)
    reader = VerdictReader(label)
    lost = {name: tuple(_lost(reader, name, wanted)) for name in label.classes}
    return {name: ways for name, ways in lost.items() if ways}


def _lost(reader: VerdictReader, name: str, forms: tuple[str, ...]) -> Iterator[str]:
    for form in forms:
        answer = FORMS[form].format(name=name, json=json.dumps(name, ensure_ascii=False))
        if reader.read(answer, {}).label != name:
            yield form
