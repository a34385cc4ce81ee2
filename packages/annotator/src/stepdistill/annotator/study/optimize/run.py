"""The whole way of `annotate optimize` on one page: search, confirm, report."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.errors import CeilingReached
from stepdistill.annotator.reading.readers import VERDICT, VERSIONS
from stepdistill.annotator.run.planning import make_tariff
from stepdistill.annotator.run.run_notes import Spender, noted
from stepdistill.annotator.run.structured import recall_formats
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.settings.study import SearchSettings
from stepdistill.annotator.simulator.rehearsal import rehearse_search
from stepdistill.annotator.simulator.search_teacher import Taste
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.study.metadata import (
    METADATA_NAME,
    Metadata,
    TemplateResult,
    save_metadata,
)
from stepdistill.annotator.study.optimize.history import HISTORY_NAME, write_history
from stepdistill.annotator.study.optimize.prepare import Prepared, prepare
from stepdistill.annotator.study.optimize.proposal import ProposalFilter
from stepdistill.annotator.study.optimize.report import Confirmation, SearchOutcome, Spent
from stepdistill.annotator.study.optimize.search import (
    Asker,
    CandidatePool,
    Search,
    SearchContext,
)
from stepdistill.annotator.study.race import RaceRules
from stepdistill.annotator.study.ranking import rank, unread_remarks
from stepdistill.annotator.study.score import total_usd

_CONFIRMATION_SHARE = Decimal("0.25")  # of the ceiling: kept so that the winner can be confirmed
_TASTE = Taste(seed=1)  # of the embedded simulator


def run_search(
    config: RunSettings,
    optimizer: RunSettings,
    settings: SearchSettings,
    folder: Path,
    console: ConsoleOutput,
) -> SearchOutcome:
    """Search, and confirm the winner. Raises DistillError; what was answered until then is stored.

    config, optimizer: how the two models are reached, under one ceiling. folder: for the history.
    """
    prepared = prepare(config, optimizer, settings)
    tariff = make_tariff(prepared.config)
    spender = Spender(plan=prepared.name, config=prepared.config, tariff=tariff, kind="search")
    with ResponseStore.open(config.store, write=True) as store, noted(store, spender) as spending:
        recall_formats(store, [prepared.plan])
        simulated = rehearse_search([prepared.plan], _TASTE)
        search = _search(prepared, folder, SearchContext(store, console, spending, simulated))
        stopped = _iterate(search, console)
        confirmation, unconfirmed = _confirm(search)
    write_history(search.history, search.lines, final=True)
    _write_scores(search, folder / METADATA_NAME)
    ranking = rank([each for each in search.pool.whole() if each.correct])
    remarks = unread_remarks(ranking, prepared.plan.task.task)
    return SearchOutcome(
        prepared=replace(prepared, remarks=[*prepared.remarks, *remarks]),
        iterations=search.iterations,
        stopped=stopped,
        lines=search.lines,
        ranking=ranking,
        winner=search.pool.templates[search.winner],
        start=search.best_of_start,
        confirmation=confirmation,
        unconfirmed=unconfirmed,
        spent=_spent(search),
        history=search.history,
        metadata=folder / METADATA_NAME,
    )


def _search(prepared: Prepared, folder: Path, context: SearchContext) -> Search:
    return Search(
        prepared=prepared,
        pool=CandidatePool(
            plan=prepared.plan,
            rows=prepared.rows.searched,
            n_rows=prepared.rows.n_searched,
            rules=RaceRules() if prepared.settings.race else None,
            asker=Asker(_with_search_ceiling(prepared.config), context),
        ),
        optimizer=Asker(_with_search_ceiling(prepared.optimizer), context),
        confirmer=Asker(prepared.config, context),
        proposal_filter=ProposalFilter(prepared.meta_prompt, prepared.start),
        history=folder / HISTORY_NAME,
    )


def _with_search_ceiling(config: RunSettings) -> RunSettings:
    if config.max_cost_usd is None:
        return config
    return replace(config, max_cost_usd=config.max_cost_usd * (1 - _CONFIRMATION_SHARE))


def _iterate(search: Search, console: ConsoleOutput) -> str | None:
    """Search to the end; why it was stopped before, if it was."""
    n = search.prepared.settings.iterations
    tell = console.progress_line("iterations done", total=n)
    try:
        search.begin()
        console.say(f"{len(search.prepared.start)} templates to begin with, {_best(search)}")
        while not search.is_over:
            search.iterate()
            console.say(f"iteration {search.iterations} of {n}, {_best(search)}")
            tell(search.iterations)
    except CeilingReached:
        if not search.lines:  # not even the start was tried: there is nothing to report
            raise
        return (
            f"--max-cost: the search has used its three quarters in iteration "
            f"{search.iterations + 1}; with a higher one the same command goes on"
        )
    return None


def _best(search: Search) -> str:
    best = search.lines[-1].best_score or 0.0
    return f"best {100 * best:.1f} % of {search.pool.n_rows} rows: {search.winner}"


def _confirm(search: Search) -> tuple[Confirmation | None, str | None]:
    """The winner's confirmation, or why there is none."""
    if search.winner == search.best_of_start:
        return None, "no template did better than the best that the search began with"
    if not search.prepared.rows.n_held_out:
        return None, "no rows are left to confirm the winner with"
    try:
        return search.confirm(), None
    except CeilingReached:
        return None, "--max-cost came before the winner could be confirmed"


def _write_scores(search: Search, path: Path) -> None:
    prepared = search.prepared
    result = TemplateResult(
        setting=prepared.setting,
        reader_version=VERSIONS[VERDICT],
        data=prepared.plan.source.digest,
        templates={name: each.score for name, each in search.pool.scored.items()},
    )
    save_metadata(path, Metadata(task=prepared.plan.task.task, results=[result]))


def _spent(search: Search) -> Spent:
    askers = (search.pool.asker, search.optimizer, search.confirmer)
    progress = [each for asker in askers for each in asker.progress]
    proposals = search.optimizer.bill.usd
    return Spent(
        asked=sum(each.asked for each in progress),
        cached=sum(each.cached for each in progress),
        run_usd=total_usd(asker.spent_usd for asker in askers),
        proposals_usd=None if proposals is None else float(proposals),
        answers_usd=total_usd(each.score.cost_usd for each in search.all_scored()),
    )
