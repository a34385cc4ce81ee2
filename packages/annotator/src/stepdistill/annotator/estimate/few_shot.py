"""Zero-shot against few-shot: the same rows, the same teacher, the same price; only the prompt
differs, and with it the answers. The claim to check is that zero-shot costs 85 % less.

A task's few-shot prompt, solved examples before the row's own question, is `few-shot.yaml`. No run
asks it; it is what zero-shot prompts are compared with.
"""

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from stepdistill.annotator.estimate.estimate import Estimate, Expected, estimate
from stepdistill.annotator.estimate.run_estimate import Knowledge, estimate_run, terms_of
from stepdistill.annotator.estimate.three_points import around
from stepdistill.annotator.estimate.workload import workload_of
from stepdistill.annotator.money.tokens import count_tokens, encoding_of
from stepdistill.annotator.prompt.mix import single
from stepdistill.annotator.prompt.task import check_placeholders, load_task
from stepdistill.annotator.prompt.template import Template
from stepdistill.annotator.prompt.yaml_file import read_yaml
from stepdistill.annotator.run.planning import make_plans
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.study.few_shot_cost import FewShotCost
from stepdistill.common.errors import PromptError
from stepdistill.common.placeholders import filler, placeholders, unknown_placeholders
from stepdistill.common.task import TaskSpec

FEW_SHOT_NAME = "few-shot.yaml"
_ANSWER = ("rationale", "label")
# How far the length of few-shot answers is from that of the examples, at most: a stated guess.
_DEVIATION = 0.25


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Shot(_Part):
    """One solved example."""

    fields: dict[str, str]  # the task's, by name
    rationale: str
    label: str


class FewShot(_Part):
    """The content of a `few-shot.yaml`."""

    about: str = ""  # where the examples are from
    question: str = Field(min_length=1)  # with the row's fields as placeholders
    answer: str = "A: {rationale} So the answer is {label}."  # how an example is solved
    shots: list[Shot] = Field(min_length=1)

    @property
    def answers(self) -> list[str]:
        """The examples' answers, as a teacher is to write its own."""
        fill = filler(self.answer)
        return [fill({"rationale": shot.rationale, "label": shot.label}) for shot in self.shots]

    @property
    def template(self) -> Template:
        """The prompt: the examples, then the row's question."""
        fill = filler(self.question)
        solved = (
            f"{fill(shot.fields)}\n{answer}"
            for shot, answer in zip(self.shots, self.answers, strict=True)
        )
        user = "\n\n".join((*solved, f"{self.question}\nA:"))
        return Template(id=f"few-shot-{len(self.shots)}", user=user)


def load_few_shot(path: Path, task: TaskSpec) -> FewShot:
    """A few-shot prompt. Raises PromptError: it is not there, or an example does not fit."""
    if not path.is_file():
        raise PromptError(
            f"{path}: not found: a few-shot prompt has question, answer and shots, as those of "
            f"prompts/cqa/{FEW_SHOT_NAME}"
        )
    found = read_yaml(path, FewShot)
    check_placeholders(f"{path}: question", found.question, task)
    for name in unknown_placeholders(found.answer, _ANSWER):
        raise PromptError(f"{path}: answer has {{{name}}}, but only rationale and label")
    for number, shot in enumerate(found.shots, start=1):
        if missing := unknown_placeholders(found.question, shot.fields):
            raise PromptError(f"{path}: shot {number} lacks the field {missing[0]}")
        # It stands in the template now, which is filled again for every row.
        if any(placeholders(text) for text in (*shot.fields.values(), shot.rationale, shot.label)):
            raise PromptError(f"{path}: shot {number} has a placeholder in its own words")
    return found


def shots_of(config: RunSettings, path: Path | None) -> FewShot:
    """The few-shot prompt of a file, None for the task's own. Raises PromptError."""
    task = load_task(config.prompts, config.task)
    return load_few_shot(path or config.prompts / task.task / FEW_SHOT_NAME, task)


@dataclass(frozen=True, slots=True, kw_only=True)
class FewShotComparison:
    """The same rows asked zero-shot and few-shot."""

    shots: int
    zero: Estimate  # the run as it is, no answer stored
    few: Estimate  # every row asked once with the examples
    alike: Estimate  # few-shot prompts, but answers as long as those of the zero-shot run

    @property
    def saved(self) -> float | None:
        """What zero-shot saves, as a share of few-shot's likely cost."""
        return self._saved(self.few)

    @property
    def saved_alike(self) -> float | None:
        """Likewise, where answers are equally long."""
        return self._saved(self.alike)

    def _saved(self, few: Estimate) -> float | None:
        one, other = Decimal(self.zero.online_usd.likely), Decimal(few.online_usd.likely)
        return float(1 - one / other) if other else None  # None: the other is free

    def summed(self, task: str, day: date) -> FewShotCost:
        """The costs alone, at this day's prices."""
        return FewShotCost(
            task=task,
            teacher=self.zero.terms.model,
            price_date=day.isoformat(),
            rows=self.zero.work.rows,
            shots=self.shots,
            zero=self.zero.online_usd,
            few=self.few.online_usd,
            alike=self.alike.online_usd,
        )


def compare_few_shot(config: RunSettings, prompt: FewShot, known: Knowledge) -> FewShotComparison:
    """The same rows asked zero-shot and few-shot. Raises DistillError."""
    plans = make_plans(config)
    encoding = encoding_of(plans[0].model)
    zero = estimate_run(config, known, is_new=True)
    terms = terms_of(config, plans[0], known)
    mix, templates = single(prompt.template.id), {prompt.template.id: prompt.template}
    few_plans = [replace(plan, mix=mix, templates=templates, votes=1) for plan in plans]
    work = workload_of(few_plans, None, encoding)
    counts = [count_tokens(answer, encoding) for answer in prompt.answers]
    mean, n = sum(counts) / len(counts), len(prompt.shots)
    by_examples = Expected(around(mean, _DEVIATION * mean), f"by the {n} examples")
    as_zero = Expected(zero.answer.times(1 / max(1, zero.work.rows)), "as zero-shot")
    return FewShotComparison(
        shots=n,
        zero=zero,
        few=estimate(work, replace(terms, scores={}, otherwise=by_examples)),
        alike=estimate(work, replace(terms, scores={}, otherwise=as_zero)),
    )
