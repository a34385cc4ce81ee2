"""The whole way of `annotate optimize` on one page: search, confirm, say what came of it."""

from contextlib import AbstractContextManager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.errors import CeilingReached
from stepdistill.annotator.money.spending import Spender, Spending, noted
from stepdistill.annotator.reading.readers import VERDICT, VERSIONS
from stepdistill.annotator.run.planning import make_tariff
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
from stepdistill.annotator.study.optimize.asker import Asker, SearchContext
from stepdistill.annotator.study.optimize.candidate_pool import CandidatePool
from stepdistill.annotator.study.optimize.confirmation import Confirmation
from stepdistill.annotator.study.optimize.history import HISTORY_NAME, write_history
from stepdistill.annotator.study.optimize.outcome import SearchOutcome, Spent
from stepdistill.annotator.study.optimize.prepare import Prepared, prepare
from stepdistill.annotator.study.optimize.proposal_filter import ProposalFilter
from stepdistill.annotator.study.optimize.search import Search
from stepdistill.annotator.study.race import RaceRules
from stepdistill.annotator.study.ranking import rank

# What a search leaves of its ceiling, so that its winner can be confirmed.
_KEPT = Decimal("0.25")
_TASTE = Taste(seed=1)


def run_search(
    config: RunSettings,
    optimizer: RunSettings,
    settings: SearchSettings,
    folder: Path,
    screen: ConsoleOutput,
) -> SearchOutcome:
    """Raises DistillError; whatever was answered until then is stored.

    config, optimizer: how the two models are reached, under one ceiling. folder: for the history.
    """
    prepared = prepare(config, optimizer, settings)
    with ResponseStore.open(config.store, write=True) as store, _noted(prepared, store) as spending:
        played = rehearse_search([prepared.plan], _TASTE)
        desk = SearchContext(store=store, screen=screen, spending=spending, rehearsed=played)
        search = _search(prepared, settings, folder, desk)
        stopped = _play(search, screen)
        confirmation, unconfirmed = _confirm(search)
    write_history(search.history, search.lines, final=True)
    _write_scores(search, prepared, folder / METADATA_NAME)
    return SearchOutcome(
        task=config.task,
        optimizer=optimizer.teacher,
        setting=prepared.setting,
        settings=settings,
        n_searched=search.ground.n_searched,
        n_held_out=search.ground.n_held_out,
        iterations=search.iterations,
        stopped=stopped,
        lines=search.lines,
        places=rank([each for each in search.arena.whole() if each.correct]),
        winner=search.arena.templates[search.winner],
        start=search.best_of_start,
        confirmation=confirmation,
        unconfirmed=unconfirmed,
        spent=_spent(search),
        history=search.history,
        metadata=folder / METADATA_NAME,
        remarks=prepared.remarks,
    )


def _noted(prepared: Prepared, store: ResponseStore) -> AbstractContextManager[Spending]:
    tariff = make_tariff(prepared.config)
    spender = Spender(plan=prepared.name, config=prepared.config, tariff=tariff, kind="search")
    return noted(store, spender)


def _search(
    prepared: Prepared, settings: SearchSettings, folder: Path, desk: SearchContext
) -> Search:
    searching, optimizer, whole = (
        Asker.of(config, desk)
        for config in (_less(prepared.config), _less(prepared.optimizer), prepared.config)
    )
    ground = prepared.ground
    return Search(
        settings=settings,
        start=prepared.start,
        ground=ground,
        arena=CandidatePool(
            plan=prepared.plan,
            rows=ground.searched,
            n_rows=ground.n_searched,
            rules=RaceRules() if settings.race else None,
            asker=searching,
        ),
        meta_prompt=prepared.meta_prompt,
        optimizer=prepared.asking,
        proposing=optimizer,
        confirming=whole,
        gatekeeper=ProposalFilter(prepared.meta_prompt, prepared.start),
        history=folder / HISTORY_NAME,
    )


def _less(config: RunSettings) -> RunSettings:
    """With the ceiling of the search itself."""
    ceiling = config.max_cost_usd
    return config if ceiling is None else replace(config, max_cost_usd=ceiling * (1 - _KEPT))


def _play(search: Search, screen: ConsoleOutput) -> str | None:
    """Search to the end; why it was stopped before, if it was."""
    settings = search.settings
    tell = screen.pace("iterations done", total=settings.iterations)
    try:
        search.begin()
        screen.say(f"{len(search.start)} templates to begin with, {_best(search)}")
        while not search.is_over:
            search.iterate()
            screen.say(f"iteration {search.iterations} of {settings.iterations}, {_best(search)}")
            tell(search.iterations)
    except CeilingReached:
        if not search.lines:
            raise
        return (
            f"--max-cost: the search has used its three quarters in iteration "
            f"{search.iterations + 1}; with a higher one the same command goes on"
        )
    return None


def _best(search: Search) -> str:
    best = search.lines[-1].best_score or 0.0
    return f"best {100 * best:.1f} % of {search.arena.n_rows} rows: {search.winner}"


def _confirm(search: Search) -> tuple[Confirmation | None, str | None]:
    """The winner's confirmation, or why there is none."""
    if search.winner == search.best_of_start:
        return None, "no template did better than the best that the search began with"
    if not search.ground.n_held_out:
        return None, "no rows are left to confirm the winner with"
    try:
        return search.confirm(), None
    except CeilingReached:
        return None, "--max-cost came before the winner could be confirmed"


def _write_scores(search: Search, prepared: Prepared, path: Path) -> None:
    result = TemplateResult(
        setting=prepared.setting,
        reader_version=VERSIONS[VERDICT],
        data=prepared.plan.source.digest,
        templates={name: each.score for name, each in search.arena.scored.items()},
    )
    save_metadata(path, Metadata(task=prepared.plan.task.task, results=[result]))


def _spent(search: Search) -> Spent:
    askers = (search.arena.asker, search.proposing, search.confirming)
    runs = [each.spent_usd for each in askers]
    scores = [each.score.cost_usd for each in search.all_scored()]
    proposals = search.proposing.bill.usd
    return Spent(
        asked=sum(progress.asked for each in askers for progress in each.progress),
        cached=sum(progress.cached for each in askers for progress in each.progress),
        run_usd=None if None in runs else sum(each or 0.0 for each in runs),
        proposals_usd=None if proposals is None else float(proposals),
        answers_usd=None if None in scores else sum(each or 0.0 for each in scores),
    )
