"""`annotate optimize`."""

from dataclasses import replace

from stepdistill.annotator.commands.ranking import ranking_table, show_measures
from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.prompt.template import append_template, as_yaml
from stepdistill.annotator.run.known_addresses import with_known_addresses
from stepdistill.annotator.run.teacher import at_its_own_address
from stepdistill.annotator.settings.console import CONSOLE, ConsoleSettings
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.settings.study import OptimizeSettings
from stepdistill.annotator.study.optimize.report import SearchOutcome, as_html, facts, sentences
from stepdistill.annotator.study.optimize.run import run_search
from stepdistill.annotator.study.report import write_report

_SHOWN = 10  # templates of the ranking


def optimize_command(settings: OptimizeSettings, console: ConsoleSettings = CONSOLE) -> int:
    """Search for a better prompt: a model proposes templates, the rows decide (OPRO).

    The best so far are shown to it again, with their scores. Running the same command again goes on
    where it stopped, and with more --iterations further; nothing is asked twice.

    Examples:

        annotate optimize demo --teacher simulated --iterations 8

        annotate optimize cqa --data data/cqa --teacher gpt-6-luna --optimizer gpt-6 --max-cost 5

        annotate optimize svamp --data data/svamp --teacher my-model --base-url
        http://localhost:8000/v1 --optimizer openai:gpt-6
    """
    config, optimizer = with_known_addresses(settings.asking()), settings.optimizing()
    if settings.optimizer_base_url is None:
        optimizer = at_its_own_address(optimizer, settings.teacher)
    optimizer = with_known_addresses(optimizer)
    output = ConsoleOutput(quiet=console.is_quiet)
    outcome = run_search(config, optimizer, settings, settings.out, output)
    outcome = _written(outcome, config, settings.write_templates)
    show_outcome(outcome, output, settings.html, as_json=console.as_json)
    return 3 if outcome.stopped else 0


def _written(outcome: SearchOutcome, config: RunSettings, when: str | None) -> SearchOutcome:
    """The outcome, its winner appended to the task's templates where that is wanted."""
    when = when or ("never" if config.uses_simulator else "confirmed")
    confirmed = outcome.confirmation is not None and outcome.confirmation.confirmed
    if not outcome.found_better or when == "never" or (when == "confirmed" and not confirmed):
        return outcome
    path = append_template(config.prompts, config.task, outcome.winner)
    return replace(outcome, written=path)


def show_outcome(
    outcome: SearchOutcome, output: ConsoleOutput, html: str | None, *, as_json: bool
) -> None:
    """On the output, and as a page where one is asked for. Raises ConfigError."""
    if html is not None:
        write_report(html, as_html(outcome))
    if as_json:
        output.json(facts(outcome))
        return
    prepared, setting = outcome.prepared, outcome.prepared.setting
    for remark in prepared.remarks:
        output.warn(remark)
    output.show(
        f"{prepared.config.task}: {setting.rows} of {setting.split}, {setting.teacher} "
        f"({setting.server}), templates by {prepared.optimizer.teacher}"
    )
    output.table(ranking_table(outcome.ranking[:_SHOWN], 1))
    output.show("")
    show_measures(outcome.ranking[:_SHOWN], output)
    if outcome.found_better:
        output.show(as_yaml(outcome.winner))
    for line in sentences(outcome):
        output.show(line)
    output.show(f"History: {outcome.history}; scores: {outcome.metadata}")
    if outcome.written:
        output.show(f"{outcome.winner.id} was added to {outcome.written}")
