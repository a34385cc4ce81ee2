"""Zero-shot against few-shot: the same rows, the same teacher, the same price; only the prompt
differs, and with it the answers. The claim to check is that zero-shot costs 85 % less."""

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from stepdistill.annotator.estimate.estimate import Estimate, Terms, estimate, saved_share
from stepdistill.annotator.estimate.expectations import Expectations
from stepdistill.annotator.estimate.run_estimate import Knowledge, estimate_plans, rated, terms_of
from stepdistill.annotator.estimate.span import Span, around
from stepdistill.annotator.estimate.workload import weigh
from stepdistill.annotator.money.tokens import count_tokens, encoding_of
from stepdistill.annotator.plan.plan import Plan
from stepdistill.annotator.prompt.few_shot import FEW_SHOT_NAME, FewShot, load_few_shot
from stepdistill.annotator.prompt.mix import single
from stepdistill.annotator.prompt.task import load_task
from stepdistill.annotator.run.planning import make_plans
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.study.few_shot_cost import FewShotCost

# How far the length of few-shot answers is from that of the examples, at most: a stated guess.
_DEVIATION = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class FewShotComparison:
    """zero: the run as it is, no answer stored. few: every row asked once with the examples.

    alike: few-shot prompts, but answers as long as those of the zero-shot run.
    """

    shots: int
    zero: Estimate
    few: Estimate
    alike: Estimate

    @property
    def saved(self) -> float | None:
        """What zero-shot saves, as a share of few-shot's likely cost."""
        return saved_share(self.zero.online_usd.likely, self.few.online_usd.likely)

    @property
    def saved_alike(self) -> float | None:
        """Likewise, where answers are equally long."""
        return saved_share(self.zero.online_usd.likely, self.alike.online_usd.likely)

    def summed(self, task: str, day: date) -> FewShotCost:
        """The costs alone, at this day's prices."""
        return FewShotCost(
            task=task,
            teacher=self.zero.model,
            price_date=day.isoformat(),
            rows=self.zero.rows,
            shots=self.shots,
            zero=self.zero.online_usd,
            few=self.few.online_usd,
            alike=self.alike.online_usd,
        )


def shots_of(config: RunSettings, path: Path | None) -> FewShot:
    """The few-shot prompt of a file, None for the task's own. Raises PromptError."""
    task = load_task(config.prompts, config.task)
    return load_few_shot(path or config.prompts / task.task / FEW_SHOT_NAME, task)


def compare_few_shot(config: RunSettings, shown: FewShot, known: Knowledge) -> FewShotComparison:
    """The same rows asked zero-shot and few-shot. Raises DistillError."""
    plans = make_plans(config)
    zero = estimate_plans(config, rated(config, plans), known, is_new=True)
    terms = terms_of(config, plans[0], known)
    few_plans = [_with_shots(plan, shown) for plan in plans]
    length = _length(shown, encoding_of(config.teacher))
    alike = zero.answer.times(1 / max(1, zero.rows))
    return FewShotComparison(
        shots=len(shown.shots),
        zero=zero,
        few=_estimate(few_plans, terms, length, f"by the {len(shown.shots)} examples"),
        alike=_estimate(few_plans, terms, alike, "as zero-shot"),
    )


def _with_shots(plan: Plan, shown: FewShot) -> Plan:
    template = shown.template
    return replace(plan, mix=single(template.id), templates={template.id: template}, votes=1)


def _length(shown: FewShot, encoding: str) -> Span:
    counts = [count_tokens(answer, encoding) for answer in shown.answers]
    mean = sum(counts) / len(counts)
    return around(mean, _DEVIATION * mean)


def _estimate(plans: list[Plan], terms: Terms, length: Span, basis: str) -> Estimate:
    limit = terms.expectations.max_tokens
    expectations = Expectations(max_tokens=limit, scores={}, without=(length, basis))
    work = weigh(plans, None, encoding_of(terms.model))
    return estimate(work, replace(terms, expectations=expectations))
