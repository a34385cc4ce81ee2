"""`annotate run`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.run.pipeline import RunResult, run
from stepdistill.annotator.run.summary import show_run, summary_of
from stepdistill.annotator.settings.console import CONSOLE, ConsoleSettings
from stepdistill.annotator.settings.run import RunSettings

if TYPE_CHECKING:
    from stepdistill.annotator.active_learning.report import Grown
    from stepdistill.annotator.run.auto_rate import FoundRate


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

        annotate run esnli --data data/esnli --split train,valid --teacher gpt-6-luna \\
            --grow --max-cost 20 --point-worth 0.5
    """
    output = ConsoleOutput(quiet=console.is_quiet)
    if settings.cheapest_by_s is not None:
        # Estimates are loaded where one is wanted: they are a tenth of a run's start.
        from stepdistill.annotator.estimate.cheapest import choose_cheapest

        settings = choose_cheapest(settings, output)
    outcome = _carried_out(settings, output)
    if console.as_json:
        output.json({**summary_of(outcome.settings, outcome.result), **outcome.facts()})
    else:
        outcome.show(output)
    if outcome.result.error is not None:
        raise outcome.result.error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """What came of a run, with what was found out for it."""

    settings: RunSettings
    result: RunResult
    found: "FoundRate | None" = None
    grown: "Grown | None" = None

    def facts(self) -> dict[str, object]:
        found, grown = self.found, self.grown
        return {
            **({} if grown is None else {"grow": grown.facts()}),
            **({} if found is None else {"rationale_rate": found.facts()}),
        }

    def show(self, output: ConsoleOutput) -> None:
        show_run(self.settings, self.result, output)
        for line in () if self.found is None else self.found.lines():
            output.show(line)
        if self.grown is not None:
            self.grown.show(output)


def _carried_out(settings: RunSettings, output: ConsoleOutput) -> _Outcome:
    # What chooses rows or finds a rate is loaded where it is wanted.
    grown = found = None
    if settings.grow:
        from stepdistill.annotator.active_learning.rounds import grow

        grown = grow(settings, output)
        settings = grown.settings
        if grown.unfinished is not None:
            return _Outcome(settings=settings, result=grown.unfinished, grown=grown)
    if settings.shards.is_rate_found:
        from stepdistill.annotator.run.auto_rate import run_at_found_rate

        settings, result, found = run_at_found_rate(settings, output)
    else:
        result = run(settings, output)
    if grown is not None:
        result = grown.totals.with_last(result)
    return _Outcome(settings=settings, result=result, found=found, grown=grown)
