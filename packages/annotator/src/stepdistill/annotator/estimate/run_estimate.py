"""From settings to estimates, over the very plans that a run would carry out. Nobody is asked, but
by a probe."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date

import uvloop

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.estimate.estimate import (
    GUESS,
    NOTHING_KNOWN,
    Estimate,
    Expected,
    Terms,
    estimate,
    known_scores,
)
from stepdistill.annotator.estimate.three_points import ThreePoints
from stepdistill.annotator.estimate.workload import Workload, workload_of
from stepdistill.annotator.money.prices import OwnPrices, Tariff
from stepdistill.annotator.money.tokens import encoding_of
from stepdistill.annotator.plan.plan import Plan, Unanswered, name_of
from stepdistill.annotator.provider.profiles import serving
from stepdistill.annotator.run.ask import ask
from stepdistill.annotator.run.planning import make_plans, prepare_run
from stepdistill.annotator.run.run_notes import Spender, noted
from stepdistill.annotator.run.structured import recall_formats
from stepdistill.annotator.run.teacher import addresses_named
from stepdistill.annotator.run.unread import why_unanswered
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.settings.teacher import thinking_room
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.study.metadata import Metadata
from stepdistill.annotator.teacher.progress import Progress
from stepdistill.annotator.teacher.spec import RateLimits

NamedEstimate = tuple[str, Estimate]


# Of the room for thoughts, that is used at the least, likely, and at the most.
_THOUGHTS = (0.02, 0.1, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What is known before anybody is asked."""

    own: OwnPrices
    metadata: Metadata
    day: date  # whose prices hold


def rated_plans(config: RunSettings) -> list[Plan]:
    """The plans as a rationale rate has them asked: reasons of their own for some rows only."""
    rate = config.shards.rationale_rate
    return [
        replace(plan, rationales_below=rate) if plan.explains_apart else plan
        for plan in make_plans(config)
    ]


def estimate_run(config: RunSettings, known: Knowledge, *, is_new: bool = False) -> Estimate:
    """What `annotate run` with these settings would cost; is_new: as if the store had no answer,
    but with what its answers say of their length.

    Raises DistillError: a model without a known price, whatever is wrong with prompts or rows.
    """
    plans = rated_plans(config)
    encoding = encoding_of(plans[0].model)
    work = _stored_workload(config, plans, encoding)
    if is_new and work.stored:
        learned, work = work, workload_of(plans, None, encoding)
        for place, load in learned.loads.items():
            work.loads[place].answers, work.loads[place].counted = load.answers, load.counted
    return estimate(work, terms_of(config, plans[0], known))


def _stored_workload(config: RunSettings, plans: list[Plan], encoding: str) -> Workload:
    if not (config.store / "data.mdb").exists():
        return workload_of(plans, None, encoding)
    with ResponseStore.open(config.store, write=False) as store:
        recall_formats(store, plans)
        return workload_of(plans, store, encoding, config.max_tokens)


def terms_of(config: RunSettings, plan: Plan, known: Knowledge) -> Terms:
    """The terms of a teacher. Raises ConfigError: no price is known."""
    provider = serving(config.teacher, config.base_url, config.providers).provider
    host = plan.endpoint.name
    tariff = Tariff(model=plan.model, host=host, own=known.own, provider=provider)
    n = max(1, len(addresses_named(config)))  # each with limits of its own
    requests, tokens = config.requests_per_minute, config.tokens_per_minute
    return Terms(
        model=plan.model,
        online=tariff.known_price(known.day, tier=config.served_tier),
        batch=tariff.known_price(known.day, mode="batch"),
        limits=RateLimits(
            requests_per_minute=None if requests is None else n * requests,
            tokens_per_minute=None if tokens is None else n * tokens,
        ),
        max_tokens=config.max_tokens,
        scores=known_scores(known.metadata, plan, config.teacher),
        otherwise=_guess(config),
    )


def _guess(config: RunSettings) -> Expected:
    """What to expect of a teacher of which nothing is known yet; how long it thinks is anybody's
    guess."""
    room = thinking_room(config.teacher, config.effort)
    if not room:
        return NOTHING_KNOWN
    thoughts = ThreePoints(*(share * room for share in _THOUGHTS))
    return Expected(GUESS + thoughts, "guessed, with thoughts: --probe 50 would tell")


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


def by_model(config: RunSettings, models: Iterable[str], known: Knowledge) -> list[NamedEstimate]:
    """The same run by other teachers."""
    return [(name, estimate_run(replace(config, teacher=name), known)) for name in models]


def by_template(config: RunSettings, names: Iterable[str], known: Knowledge) -> list[NamedEstimate]:
    """The same rows, every one asked with one template for label and rationale."""
    alone = [(name, replace(config, template=name, mix=None)) for name in names]
    return [(name, estimate_run(each, known)) for name, each in alone]


def by_rate(config: RunSettings, rates: Iterable[float], known: Knowledge) -> list[NamedEstimate]:
    """The same run with reasons for a share of its records."""
    shards = [(rate, replace(config.shards, rationale_rate=rate)) for rate in rates]
    return [(f"{rate:g}", estimate_run(replace(config, shards=s), known)) for rate, s in shards]


def probe_plans(config: RunSettings, rows: int, output: ConsoleOutput) -> Progress:
    """Ask the requests of about this many rows, spread evenly, so that an estimate knows how long
    answers are. They are kept like all answers, and the run does not ask them again.

    Raises DistillError.
    """
    run = prepare_run(config)
    plans = rated_plans(config)
    n_rows = sum(plan.count_rows() or rows for plan in plans)
    unanswered = [Unanswered(plan=plan, every=max(1, n_rows // rows)) for plan in plans]
    progress = Progress()
    spender = Spender(plan=name_of(plans), config=config, tariff=run.tariff, kind="probe")
    with (
        ResponseStore.open(config.store, write=True) as store,
        noted(store, spender) as spending,
    ):
        spending.count(progress)
        uvloop.run(ask(run, unanswered, store, output, progress))
    error = why_unanswered([progress])
    if error is not None:
        raise error
    output.say(f"probe: {progress.asked:,} requests asked, {progress.cached:,} were stored already")
    return progress
