"""`annotate run`."""

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.run.pipeline import run
from stepdistill.annotator.run.summary import show_run, summary_of
from stepdistill.annotator.settings.console import CONSOLE, ConsoleSettings
from stepdistill.annotator.settings.run import RunSettings


def run_command(settings: RunSettings, console: ConsoleSettings = CONSOLE) -> None:
    """Annotate a task's rows. Running the same command again goes on where it stopped.

    Examples:

        annotate run demo --teacher simulated --split train --split test

        annotate run svamp --data data/svamp --teacher gpt-6-luna --samples 500

        annotate run cqa --data data/cqa --teacher my-model --base-url http://localhost:8000/v1

        annotate run esnli --data data/esnli --teacher gpt-6-luna --batch-api --no-wait

        annotate run esnli --data data/esnli --teacher gpt-6-luna --cheapest-by 18h
    """
    output = ConsoleOutput(quiet=console.is_quiet)
    if settings.cheapest_by_s is not None:
        # Estimates are loaded where one is wanted: they are a tenth of a run's start.
        from stepdistill.annotator.estimate.cheapest import choose_cheapest

        settings = choose_cheapest(settings, output)
    result = run(settings, output)
    if console.as_json:
        output.json(summary_of(settings, result))
    else:
        show_run(settings, result, output)
    if result.error is not None:
        raise result.error
