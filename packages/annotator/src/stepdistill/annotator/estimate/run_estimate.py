"""From settings to estimates: over the very plans that a run would carry out; nobody is asked."""

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date

from stepdistill.annotator.estimate.estimate import Estimate, Terms, estimate
from stepdistill.annotator.estimate.expectations import Expectations, scores_of
from stepdistill.annotator.estimate.workload import weigh
from stepdistill.annotator.money.prices import OwnPrices, Tariff
from stepdistill.annotator.money.tokens import encoding_of
from stepdistill.annotator.plan.plan import Plan
from stepdistill.annotator.run.planning import make_plans
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.study.metadata import Metadata
from stepdistill.annotator.teacher.spec import RateLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What is known before anybody is asked. day: whose prices hold."""

    own: OwnPrices
    metadata: Metadata
    day: date


def estimate_run(config: RunSettings, known: Knowledge) -> Estimate:
    """What `annotate run` with these settings would cost. Raises DistillError: a model without a
    known price, and whatever is wrong with task, prompts or rows."""
    return estimate_plans(config, rated(config, make_plans(config)), known)


def rated(config: RunSettings, plans: list[Plan]) -> list[Plan]:
    """The plans as a rationale rate has them asked: reasons of their own for some rows only."""
    rate = config.shards.rationale_rate
    return [replace(plan, rationales_below=rate) if plan.explains_apart else plan for plan in plans]


def estimate_plans(
    config: RunSettings, plans: list[Plan], known: Knowledge, *, is_new: bool = False
) -> Estimate:
    """What these plans would cost; is_new: as if the store had no answer, but with what its answers
    say of their length."""
    terms = terms_of(config, plans[0], known)
    encoding = encoding_of(config.teacher)
    with ExitStack() as stack:
        store = _store(config, stack)
        work = weigh(plans, store, encoding)
        if is_new and work.stored:
            learned = work
            work = weigh(plans, None, encoding)
            for place, load in learned.loads.items():
                work.loads[place].answers, work.loads[place].counted = load.answers, load.counted
    return estimate(work, terms)


def terms_of(config: RunSettings, plan: Plan, known: Knowledge) -> Terms:
    """The terms of a teacher. Raises ConfigError: no price is known."""
    tariff = Tariff(model=config.teacher, host=plan.endpoint.name, own=known.own)
    return Terms(
        model=config.teacher,
        online=tariff.known_price(known.day),
        batch=tariff.known_price(known.day, mode="batch"),
        expectations=Expectations(
            max_tokens=config.max_tokens,
            scores=scores_of(known.metadata, plan, config.teacher),
        ),
        limits=RateLimits(
            requests_per_minute=config.requests_per_minute,
            tokens_per_minute=config.tokens_per_minute,
        ),
    )


def check_estimable(
    config: RunSettings, models: Iterable[str], templates: Iterable[str], known: Knowledge
) -> None:
    """Raise DistillError before anything is paid for: a model of these has no known price, or the
    task lacks a template of these."""
    for name in models:
        teacher = replace(config, teacher=name)
        terms_of(teacher, make_plans(teacher)[0], known)
    for name in templates:
        make_plans(replace(config, template=name, mix=None))


def by_model(
    config: RunSettings, models: Iterable[str], known: Knowledge
) -> list[tuple[str, Estimate]]:
    """The same run by other teachers."""
    return [(name, estimate_run(replace(config, teacher=name), known)) for name in models]


def by_template(
    config: RunSettings, names: Iterable[str], known: Knowledge
) -> list[tuple[str, Estimate]]:
    """The same rows, every one asked with one template for label and rationale."""
    alone = [(name, replace(config, template=name, mix=None)) for name in names]
    return [(name, estimate_run(each, known)) for name, each in alone]


def by_rate(
    config: RunSettings, rates: Iterable[float], known: Knowledge
) -> list[tuple[str, Estimate]]:
    """The same run with reasons for a share of its records."""
    found: list[tuple[str, Estimate]] = []
    for rate in rates:
        shards = replace(config.shards, rationale_rate=rate)
        found.append((f"{rate:g}", estimate_run(replace(config, shards=shards), known)))
    return found


def _store(config: RunSettings, stack: ExitStack) -> ResponseStore | None:
    if not (config.store / "data.mdb").exists():
        return None
    return stack.enter_context(ResponseStore.open(config.store, write=False))
