"""`annotate experiment`."""

from stepdistill.annotator.commands.ranking import show_report, write_reports
from stepdistill.annotator.commands.tournament import tournament
from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.run.known_addresses import with_known_addresses
from stepdistill.annotator.settings.console import CONSOLE, ConsoleSettings
from stepdistill.annotator.settings.study import ExperimentSettings
from stepdistill.annotator.study.experiment import run_experiment
from stepdistill.annotator.study.race import RaceRules
from stepdistill.annotator.study.report import facts
from stepdistill.annotator.study.trial import Choice, make_trial
from stepdistill.common.command_line import taken_from


def experiment_command(settings: ExperimentSettings, console: ConsoleSettings = CONSOLE) -> None:
    """Ask the same rows of every template, and rank the templates by what comes of it.

    With --teachers several models take part, each with its efforts and tiers, at its price: then
    what is bought is ranked, by accuracy and by dollars per right label, and the race is on.

    Running the same command again goes on where it stopped; nothing is asked twice.

    Examples:

        annotate experiment demo --teacher simulated --test-size 100

        annotate experiment cqa --data data/cqa --teacher gpt-6-luna --test-size 0.01 --seed 1
        --templates label-first,reason-first --html ranking.html

        annotate experiment cqa --data data/cqa --teacher gpt-6-luna --test-size 75 --race

        annotate experiment cqa --data data/cqa --teachers gpt-6-luna@flex,gpt-6-sol@effort=low
        --test-size 1000 --max-cost 5 --plot figures
    """
    output = ConsoleOutput(quiet=console.is_quiet)
    if settings.teachers:
        tournament(settings, output, console)
        return
    config = with_known_addresses(settings.asking())
    trial = make_trial(config, taken_from(settings, Choice))
    rules = RaceRules(error=settings.race_error, share=settings.race_share)
    report = run_experiment(
        config, trial, settings.metadata, output, rules if settings.race else None
    )
    write_reports(report, settings)
    if console.as_json:
        output.json(facts(report))
    else:
        show_report(report, output)
    if report.error is not None:
        raise report.error
