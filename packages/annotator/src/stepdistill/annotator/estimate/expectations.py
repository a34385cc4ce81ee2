"""How long a template's answers will be: as its answers in the store are, else as the task's
metadata says of it, else guessed; and which of these it was."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

from stepdistill.annotator.estimate.span import Span, around
from stepdistill.annotator.estimate.workload import AnswerLengths
from stepdistill.annotator.plan.plan import Plan
from stepdistill.annotator.study.metadata import Metadata, TemplateScore

# Of gpt-3.5-turbo's recorded answers to 180 zero-shot templates of four tasks, tokens by template:
# 5 % below, the mean, 5 % above. Within a template answers vary by about their mean.
GUESS = Span(8, 55, 130)
_SPREAD = 1.0
_Z_95 = 1.96
ENOUGH = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """Tokens of an answer. basis: where that is known from, in words."""

    tokens: Span
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectations:
    """max_tokens: no answer is longer. scores: by template, of the same teacher.

    without: what to expect where nothing is known, and why.
    """

    max_tokens: int
    scores: Mapping[str, TemplateScore]
    without: tuple[Span, str] = (GUESS, "guessed: --probe 50 would tell")

    def of(self, template: str, answers: AnswerLengths) -> Expected:
        """What to expect of a template with these answers in the store."""
        score = self.scores.get(template)
        if answers.n >= ENOUGH or (answers.n and score is None):
            return self._capped(answers.mean, f"by {answers.n:,} answers in the store")
        if score is not None:
            mean = score.tokens.completion / score.rows
            error = _Z_95 * _SPREAD * mean / sqrt(score.rows)
            return self._capped(around(mean, error), f"by {score.rows:,} answers in metadata.yaml")
        return self._capped(*self.without)

    def _capped(self, tokens: Span, basis: str) -> Expected:
        capped = Span(*(min(each, float(self.max_tokens)) for each in tokens))
        return Expected(tokens=capped, basis=basis)


def scores_of(metadata: Metadata, plan: Plan, teacher: str) -> dict[str, TemplateScore]:
    """What the metadata knows of a teacher's answers, by template: from most rows, where several
    studies asked it. An edited template is another one."""
    found: dict[str, TemplateScore] = {}
    for result in metadata.results:
        if result.setting.teacher != teacher:
            continue
        for name, score in result.templates.items():
            before = found.get(name)
            template = plan.templates.get(name)
            is_more = score.rows and (before is None or before.rows < score.rows)
            if is_more and template is not None and score.prompt == template.digest:
                found[name] = score
    return found
