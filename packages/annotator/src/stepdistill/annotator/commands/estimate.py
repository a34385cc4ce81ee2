"""`annotate estimate`."""

from datetime import UTC, datetime

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.estimate.cheapest import find_ways, ways_facts, ways_table
from stepdistill.annotator.estimate.estimate import keep_estimate
from stepdistill.annotator.estimate.few_shot import compare_few_shot, shots_of
from stepdistill.annotator.estimate.run_estimate import (
    Knowledge,
    by_model,
    by_rate,
    by_template,
    check_estimable,
    estimate_run,
    probe_plans,
)
from stepdistill.annotator.estimate.view import Estimates, facts_of, show_estimate
from stepdistill.annotator.money.prices import load_own_prices
from stepdistill.annotator.plan.plan import name_of
from stepdistill.annotator.prompt.template import load_templates
from stepdistill.annotator.run.known_addresses import with_known_addresses
from stepdistill.annotator.run.planning import make_plans, row_warnings
from stepdistill.annotator.settings.console import CONSOLE, ConsoleSettings
from stepdistill.annotator.settings.estimate import EstimateSettings
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.study.few_shot_cost import keep_few_shot_cost
from stepdistill.annotator.study.metadata import load_metadata


def estimate_command(settings: EstimateSettings, console: ConsoleSettings = CONSOLE) -> None:
    """Say what a run would cost, before it costs anything. Nobody is asked, but with --probe.

    Examples:

        annotate estimate cqa --data data/cqa --teacher gpt-6-luna

        annotate estimate cqa --data data/cqa --teacher gpt-6-luna --probe 50
        --requests-per-minute 500

        annotate estimate cqa --data data/cqa --teacher gpt-6-luna --few-shot
        --compare gpt-5-mini,gpt-4o-mini --templates all
    """
    config, output = with_known_addresses(settings.run()), ConsoleOutput(quiet=console.is_quiet)
    known = Knowledge(
        own=load_own_prices(config.prices),
        metadata=load_metadata(settings.metadata, config.task),
        day=datetime.now(UTC).date(),
    )
    plans = make_plans(config)
    for remark in (remark for plan in plans for remark in plan.source.remarks):
        output.say(remark)
    for line in row_warnings(plans):
        output.warn(line)
    estimates = _estimates(settings, config, known, output)
    if estimates.run.work.to_ask:
        keep_estimate(config.out, name_of(plans), known.day.isoformat(), estimates.run)
    if estimates.few_shot is not None:
        keep_few_shot_cost(config.out, estimates.few_shot.summed(config.task, known.day))
    by_s = settings.cheapest_by_s
    ways = None if by_s is None else find_ways(config, known, by_s)
    if console.as_json:
        more = {"cheapest_by": ways_facts(ways)} if ways is not None else {}
        output.json({**facts_of(estimates), **more})
        return
    show_estimate(estimates, output)
    if ways is not None:
        output.table(ways_table(ways))
        output.show(ways.basis)


def _estimates(
    settings: EstimateSettings, config: RunSettings, known: Knowledge, output: ConsoleOutput
) -> Estimates:
    """The run's estimate, and those that are set beside it; with --probe after asking a little."""
    others = list(dict.fromkeys([config.teacher, *settings.compare]))
    alone = list(settings.templates)
    if alone == ["all"]:
        alone = list(load_templates(config.prompts, config.task))
    wants_shots = settings.few_shot or settings.few_shot_file is not None
    shots = shots_of(config, settings.few_shot_file) if wants_shots else None
    check_estimable(config, others, alone, known)
    if settings.probe is not None:
        probe_plans(config, settings.probe, output)
    variants = {
        "model": by_model(config, others, known) if settings.compare else [],
        "template": by_template(config, alone, known),
        "rationale rate": by_rate(config, list(settings.rationale_rates), known),
    }
    return Estimates(
        day=known.day,
        run=estimate_run(config, known),
        variants={heading: found for heading, found in variants.items() if found},
        few_shot=compare_few_shot(config, shots, known) if shots is not None else None,
    )
