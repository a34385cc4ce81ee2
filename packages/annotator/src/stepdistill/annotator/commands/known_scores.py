"""What is known about templates, for the list of them: of several results the one on most rows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from stepdistill.annotator.prompt.template import Template
from stepdistill.annotator.study.metadata import Setting, TemplateResult
from stepdistill.annotator.study.score import TemplateScore


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Every score of each template, the one on most rows last."""

    scores: Mapping[str, list[tuple[Setting, TemplateScore]]]

    @classmethod
    def of(cls, results: Iterable[TemplateResult]) -> Self:
        """Sorted by template."""
        found: dict[str, list[tuple[Setting, TemplateScore]]] = {}
        for result in results:
            for name, score in result.templates.items():
                found.setdefault(name, []).append((result.setting, score))
        for scores in found.values():
            scores.sort(key=lambda pair: pair[1].rows)
        return cls(scores=found)

    def outdated(self, template: Template) -> bool:
        """Whether the template has been edited since it was measured."""
        scores = self.scores.get(template.id)
        return scores is not None and scores[-1][1].prompt != template.digest

    def shown(self, template: Template, mark: str) -> tuple[str, str]:
        """Accuracy and rows as a table shows them; mark: what stands behind an outdated one."""
        scores = self.scores.get(template.id)
        if not scores:
            return "-", "-"
        _, score = scores[-1]
        behind = mark if self.outdated(template) else ""
        return f"{100 * score.accuracy:.1f} %{behind}", f"{score.rows:,}"

    def facts(self, template: str) -> list[dict[str, object]]:
        """All scores, for programs."""
        return [
            {"setting": setting.model_dump(), **score.model_dump()}
            for setting, score in self.scores.get(template, [])
        ]
