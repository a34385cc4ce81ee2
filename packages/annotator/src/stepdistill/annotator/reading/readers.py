"""The readers by name. A reader turns an answer and its row's texts into label and rationale."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from stepdistill.annotator.prompt.template import Template
from stepdistill.annotator.reading import original
from stepdistill.annotator.reading.original import OriginalReader
from stepdistill.annotator.reading.reading import Reading
from stepdistill.annotator.reading.verdict import verdict_reader
from stepdistill.annotator.reading.verdict.verdict_reader import VerdictReader
from stepdistill.common.errors import ConfigError
from stepdistill.common.task import LabelSpec

VERDICT, ORIGINAL = verdict_reader.NAME, original.NAME
VERSIONS = {VERDICT: verdict_reader.VERSION, ORIGINAL: original.VERSION}


class Reader(Protocol):
    """Reads the answers of one template; never raises."""

    def read(self, answer: str, fields: Mapping[str, str]) -> Reading:
        """Label and rationale of an answer; `fields` are the row's texts by placeholder."""
        ...

    def stated(self, answer: str, fields: Mapping[str, str]) -> tuple[tuple[int, int], ...]:
        """The characters of an answer that state the label; none where there is none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Readers:
    """A kind of reader for each of a task's templates. version: raised when its rules change."""

    name: str
    version: int
    by_template: Mapping[str, Reader]

    def read(self, template: str, answer: str, fields: Mapping[str, str]) -> Reading:
        """What the template's reader reads."""
        return self.by_template[template].read(answer, fields)


def make_readers(name: str, label: LabelSpec, templates: Mapping[str, Template]) -> Readers:
    """The readers of these templates, by template id. Raises ConfigError."""
    if name == VERDICT:
        verdict = VerdictReader(label)
        by_template: dict[str, Reader] = {
            key: verdict.of_prompt(each.system, each.user) for key, each in templates.items()
        }
    elif name == ORIGINAL:
        by_template = {key: _original(label, each) for key, each in templates.items()}
    else:
        raise ConfigError(f"--reader {name}: choose from {', '.join(VERSIONS)}")
    return Readers(name=name, version=VERSIONS[name], by_template=by_template)


def _original(label: LabelSpec, template: Template) -> OriginalReader:
    if template.original is None:
        raise ConfigError(
            f"--reader original: template {template.id} has no regexes of the original (only "
            "imported ones have): read it with --reader verdict, or name another with --template"
        )
    return OriginalReader(label, template.original)
