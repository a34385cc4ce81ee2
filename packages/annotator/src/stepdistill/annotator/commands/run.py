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

        annotate run esnli --data data/esnli --split train,valid --teacher gpt-6-luna \\
            --mix apart --rationale-rate auto --point-worth 2
    """
    output = ConsoleOutput(quiet=console.is_quiet)
    if settings.cheapest_by_s is not None:
        # Estimates are loaded where one is wanted: they are a tenth of a run's start.
        from stepdistill.annotator.estimate.cheapest import choose_cheapest

        settings = choose_cheapest(settings, output)
    if settings.shards.is_rate_found:
        from stepdistill.annotator.run.auto_rate import run_at_found_rate

        settings, result, found = run_at_found_rate(settings, output)
    else:
        result, found = run(settings, output), None
    if console.as_json:
        facts = {} if found is None else {"rationale_rate": found.facts()}
        output.json({**summary_of(settings, result), **facts})
    else:
        show_run(settings, result, output)
        for line in () if found is None else found.lines():
            output.show(line)
    if result.error is not None:
        raise result.error
