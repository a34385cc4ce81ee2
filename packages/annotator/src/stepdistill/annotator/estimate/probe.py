"""A probe: a few of a run's requests, asked now, so that an estimate knows how long answers are.

They are kept like all answers, and the run does not ask them again.
"""

import uvloop

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.estimate.run_estimate import rated
from stepdistill.annotator.plan.plan import Unanswered, name_of
from stepdistill.annotator.run.ask import ask
from stepdistill.annotator.run.planning import make_plans, prepare_run
from stepdistill.annotator.run.run_notes import Spender, noted
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.teacher.progress import Progress


def probe_plans(config: RunSettings, rows: int, screen: ConsoleOutput) -> Progress:
    """Ask the requests of about this many rows, spread evenly. Raises DistillError."""
    run = prepare_run(config)
    plans = rated(config, make_plans(config, run.teacher))
    total = sum(plan.count_rows() or rows for plan in plans)
    rests = [Unanswered(plan=plan, every=max(1, total // rows)) for plan in plans]
    progress = Progress()
    spender = Spender(plan=name_of(plans), config=config, tariff=run.tariff, kind="probe")
    with (
        ResponseStore.open(config.store, write=True) as store,
        noted(store, spender) as spending,
    ):
        spending.count(progress)
        uvloop.run(ask(run, rests, store, screen, progress))
    screen.say(f"probe: {progress.asked:,} requests asked, {progress.cached:,} were stored already")
    return progress
