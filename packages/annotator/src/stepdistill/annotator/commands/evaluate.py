"""`annotate evaluate`."""

from stepdistill.annotator.commands.ranking import show_report, write_reports
from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.run.known_addresses import with_known_addresses
from stepdistill.annotator.settings.console import JSON, JsonSettings
from stepdistill.annotator.settings.study import EvaluateSettings
from stepdistill.annotator.study.experiment import run_experiment
from stepdistill.annotator.study.metadata import load_metadata
from stepdistill.annotator.study.report import facts
from stepdistill.annotator.study.trial import Choice, choices_of_metadata, make_trial
from stepdistill.common.command_line import taken_from
from stepdistill.common.errors import ConfigError


def evaluate_command(settings: EvaluateSettings, console: JsonSettings = JSON) -> None:
    """Judge templates by the answers that the store has; nobody is asked.

    Without --test-size every answered row counts.

    Examples:

        annotate evaluate demo

        annotate evaluate cqa --data data/cqa --teacher gpt-3.5-turbo --reader original --csv -
    """
    config, choice = (
        with_known_addresses(settings.asking()),
        taken_from(settings, Choice, allow_leak=None),
    )
    asked = (
        [(config, choice)]
        if settings.teacher
        else list(choices_of_metadata(config, load_metadata(settings.metadata, settings.task)))
    )
    if not asked:
        raise ConfigError(
            f"{settings.metadata} holds no results to compute again: name a --teacher"
        )
    output = ConsoleOutput(quiet=console.is_quiet)
    reports = [
        run_experiment(each, make_trial(each, trial), settings.metadata, output)
        for each, trial in asked
    ]
    if (settings.csv or settings.md or settings.html) and len(reports) > 1:
        raise ConfigError("--csv, --md and --html show one setting: name its --teacher")
    write_reports(reports[0], settings)
    if console.as_json:
        output.json({"studies": [facts(report) for report in reports]})
        return
    for report in reports:
        show_report(report, output)
