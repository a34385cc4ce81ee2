"""A search before anybody is asked: rows, templates, words, models, and what is wrong with them."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from stepdistill.annotator.dataset.rows import Row, read_rows
from stepdistill.annotator.dataset.selection import stretch
from stepdistill.annotator.dataset.sources import Source
from stepdistill.annotator.plan.plan import Plan, name_of
from stepdistill.annotator.prompt.template import Template
from stepdistill.annotator.run.planning import PreparedRun, prepare_run
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.settings.study import SearchSettings
from stepdistill.annotator.study.metadata import Setting
from stepdistill.annotator.study.optimize.proposal import FOUND, MetaPrompt, load_meta_prompt
from stepdistill.annotator.study.trial import Choice, Trial, make_trial
from stepdistill.common.errors import DatasetError, PromptError

_MIN_ROWS = 2  # to search by


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRows:
    """The rows of a search, in three parts that share none."""

    searched: Source  # all templates are scored on these
    n_searched: int
    held_out: Source  # not asked before the search has ended
    n_held_out: int
    problems: tuple[Row, ...]  # shown to the optimiser with their gold labels

    @property
    def n(self) -> int:
        """All rows of the search."""
        return self.n_searched + len(self.problems) + self.n_held_out


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A search that can begin."""

    name: str  # the same whenever the search is started again
    settings: SearchSettings
    config: RunSettings  # of the teacher; under one budget with the optimiser
    optimizer: RunSettings
    plan: Plan  # whom the rows go to
    optimizer_plan: Plan  # whom the meta-prompts go to
    start: tuple[Template, ...]  # to begin with
    rows: SearchRows
    meta_prompt: MetaPrompt
    setting: Setting  # of the rows searched by
    remarks: list[str]  # what a person should know, a line each


def prepare(config: RunSettings, optimizer: RunSettings, settings: SearchSettings) -> Prepared:
    """Raises PromptError, DatasetError and ConfigError."""
    trial = _trial(config, settings)
    plan = next(iter(trial.plans.values()))
    proposing = prepare_run(optimizer)
    proposer = proposing.teacher
    optimizer_plan = replace(
        plan, model=proposer.model, endpoint=proposer.endpoint, options=proposer.options
    )
    name = name_of([*trial.plans.values(), optimizer_plan])
    for each in (trial.run, proposing):
        _check(each)
    rows = _share_out(plan, trial.n_rows, settings)
    return Prepared(
        name=name,
        settings=settings,
        config=config,
        optimizer=optimizer,
        plan=plan,
        optimizer_plan=optimizer_plan,
        start=tuple(each.templates[name] for name, each in trial.plans.items()),
        rows=rows,
        meta_prompt=load_meta_prompt(config.prompts, plan.task, rows.problems),
        setting=trial.setting.model_copy(update={"test_size": rows.n_searched}),
        remarks=trial.remarks,
    )


def _trial(config: RunSettings, settings: SearchSettings) -> Trial:
    """The templates of the start over all rows of the search."""
    size = settings.test_size + settings.problems + settings.held_out
    choice = Choice(test_size=size, seed=settings.seed, templates=settings.templates)
    trial = make_trial(config, choice)
    if settings.templates:
        return trial
    own = {name: plan for name, plan in trial.plans.items() if not name.startswith(FOUND)}
    if not own:
        raise PromptError(
            f"task {config.task} has only templates that searches have found: name those to begin "
            "with by --templates"
        )
    return replace(trial, plans=own)


def _check(run: PreparedRun) -> None:
    """What would end the search at its first request to this model."""
    run.teacher.ready_to_ask()
    if run.settings.max_cost_usd is not None:
        run.tariff.known_price(datetime.now(UTC).date())


def _share_out(plan: Plan, n_rows: int, settings: SearchSettings) -> SearchRows:
    """The rows of a plan over n_rows drawn ones. Raises DatasetError: too few to search by."""
    # Where rows are scarce, those to search by go before those to confirm with.
    n_problems = settings.problems
    n_searched = min(settings.test_size, n_rows - n_problems)
    if n_searched < _MIN_ROWS:
        raise DatasetError(
            f"{plan.source.name}: {n_rows} rows with a gold label are too few to search by: "
            f"{n_problems} are shown as problems, and {_MIN_ROWS} at least are asked"
        )
    n_known = n_searched + n_problems
    shown = stretch(plan.source, n_searched, n_known)
    return SearchRows(
        searched=stretch(plan.source, 0, n_searched),
        n_searched=n_searched,
        held_out=stretch(plan.source, n_known, n_rows),
        n_held_out=n_rows - n_known,
        problems=tuple(read_rows(plan.task, shown, plan.split, None)),
    )
