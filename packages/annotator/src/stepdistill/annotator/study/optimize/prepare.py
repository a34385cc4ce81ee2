"""A search before anybody is asked: rows, templates, words, models, and what is wrong with them."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from stepdistill.annotator.plan.model_options import load_options
from stepdistill.annotator.plan.plan import Plan, name_of
from stepdistill.annotator.prompt.template import Template
from stepdistill.annotator.reading.readers import VERDICT
from stepdistill.annotator.run.planning import endpoint, make_door, make_tariff, uses_simulator
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.settings.study import SearchSettings
from stepdistill.annotator.study.metadata import Setting
from stepdistill.annotator.study.optimize.meta_prompt import MetaPrompt, load_meta_prompt
from stepdistill.annotator.study.optimize.proposal_filter import FOUND
from stepdistill.annotator.study.optimize.search_rows import SearchRows, share_out
from stepdistill.annotator.study.trial import Choice, Trial, make_trial
from stepdistill.common.errors import PromptError


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """name: the search's, the same whenever it is started again.

    config, optimizer: how the two models are reached, under one budget. plan, asking: whom rows
    and meta-prompts go to. setting: of the rows searched by.
    """

    name: str
    config: RunSettings
    optimizer: RunSettings
    plan: Plan
    asking: Plan
    start: tuple[Template, ...]
    ground: SearchRows
    meta_prompt: MetaPrompt
    setting: Setting
    remarks: list[str]


def prepare(config: RunSettings, optimizer: RunSettings, settings: SearchSettings) -> Prepared:
    """Raises PromptError, DatasetError and ConfigError."""
    trial = _trial(config, settings)
    plan = next(iter(trial.plans.values()))
    asking = replace(
        plan,
        model=optimizer.teacher,
        endpoint=endpoint(optimizer),
        options=load_options(optimizer.models, optimizer.teacher),
    )
    name = name_of([*trial.plans.values(), asking])
    for each in (config, optimizer):
        _check(each)
    ground = share_out(plan, trial.n_rows, searched=settings.test_size, problems=settings.problems)
    return Prepared(
        name=name,
        config=config.under(name),
        optimizer=optimizer.under(name),
        plan=plan,
        asking=asking,
        start=tuple(each.templates[name] for name, each in trial.plans.items()),
        ground=ground,
        meta_prompt=load_meta_prompt(config.prompts, plan.task, ground.problems),
        setting=trial.setting.model_copy(update={"test_size": ground.n_searched}),
        remarks=trial.remarks,
    )


def _trial(config: RunSettings, settings: SearchSettings) -> Trial:
    """The templates of the start over all rows of the search."""
    wanted = settings.test_size + settings.problems + settings.held_out
    choice = Choice(
        test_size=wanted, seed=settings.seed, reader=VERDICT, templates=settings.templates
    )
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


def _check(config: RunSettings) -> None:
    """What would end the search at its first request to this model."""
    if not uses_simulator(config):
        make_door(config, None)
    if config.max_cost_usd is not None:
        make_tariff(config).known_price(datetime.now(UTC).date())
