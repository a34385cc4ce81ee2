"""A trial: the same rows, asked of every template; made before anybody is asked."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from stepdistill.annotator.dataset.selection import RowSample, draw_sample
from stepdistill.annotator.money.prices import Tariff
from stepdistill.annotator.plan.plan import Plan
from stepdistill.annotator.prompt.mix import check_templates, single
from stepdistill.annotator.prompt.render import leak_warning
from stepdistill.annotator.prompt.template import load_templates
from stepdistill.annotator.reading.readers import ORIGINAL
from stepdistill.annotator.reading.record import Rules
from stepdistill.annotator.run.conclusions import make_rules
from stepdistill.annotator.run.planning import (
    PreparedRun,
    make_template_plan,
    plan_of_templates,
    prepare_run,
)
from stepdistill.annotator.run.run_notes import Study
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.settings.shards import ShardSettings
from stepdistill.annotator.study.metadata import Metadata, Setting
from stepdistill.common.command_line import taken_from
from stepdistill.common.errors import PromptError

_CHAT = "/chat/completions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is put to the test."""

    test_size: int | float | None  # rows; a float is a share of them, 0 to 1; None: all
    seed: int | None  # draws the rows
    templates: tuple[str, ...] = ()  # empty: all of the task
    allow_leak: tuple[str, ...] | None = ()  # that may print the gold label; None: all


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One plan per template, over rows that have a gold label and in the order they were drawn."""

    setting: Setting
    run: PreparedRun  # whom it asks
    plans: Mapping[str, Plan]  # by template
    rules: Rules  # by which answers count
    n_rows: int  # that each template is asked
    without_gold: int  # rows of the split that cannot be judged
    remarks: list[str]  # what a person should know, a line each

    @property
    def tariff(self) -> Tariff:
        """What the teacher costs."""
        return self.run.tariff

    @property
    def right_is(self) -> str:
        """What counts as right, where that is not the very label."""
        return self.rules.kind.right_is()

    @property
    def study(self) -> Study:
        """What the store remembers of it."""
        return Study(
            split=self.setting.split,
            test_size=self.setting.test_size,
            seed=self.setting.seed or 0,
            templates=tuple(plan.templates[name] for name, plan in self.plans.items()),
        )


def make_trial(config: RunSettings, choice: Choice) -> Trial:
    """The trial of a config's first split. Raises PromptError, DatasetError, ConfigError."""
    run = prepare_run(config)
    plan = make_template_plan(config, choice.templates, run.teacher)
    names, remarks = _templates_to_ask(plan, choice, config.shards.reader)
    asked = replace(plan, templates={name: plan.templates[name] for name in names})
    sample = draw_sample(plan.task, plan.source, plan.split, choice.test_size, choice.seed or 0)
    if sample.without_gold:
        remarks.append(f"{sample.without_gold:,} rows without a gold label are left out")
    if isinstance(choice.test_size, int) and sample.n < choice.test_size:
        remarks.append(f"only {sample.n:,} rows of {plan.split} have a gold label: all are taken")
    return Trial(
        setting=Setting(
            teacher=plan.model,
            server=plan.endpoint.name + plan.endpoint.path.removesuffix(_CHAT),
            split=plan.split,
            reader=config.shards.reader,
            rationale_from=config.shards.rationale_from,
            min_confidence=config.shards.min_confidence,
            test_size=choice.test_size,
            seed=choice.seed if choice.test_size is not None else None,
            effort=config.effort,
        ),
        run=run,
        plans=_plans_by_template(plan, names, sample),
        rules=make_rules(asked, config.shards),
        n_rows=sample.n,
        without_gold=sample.without_gold,
        remarks=remarks,
    )


def plans_of_study(config: RunSettings, study: Study) -> list[Plan]:
    """The plans of a trial that the store remembers, one per template. Raises DistillError."""
    # Of several wordings under one id the last keeps the id, the others get their digest with it.
    last = {each.id: each for each in study.templates}
    named = {
        each.id if last[each.id] is each else f"{each.id}@{each.digest[:6]}": each
        for each in study.templates
    }
    plan = plan_of_templates(replace(config, splits=(study.split,)), named)
    sample = draw_sample(plan.task, plan.source, plan.split, study.test_size, study.seed)
    return list(_plans_by_template(plan, named, sample).values())


def choices_of_metadata(
    config: RunSettings, metadata: Metadata
) -> Iterator[tuple[RunSettings, Choice]]:
    """What recomputes each result of a metadata file: templates that are gone are left out."""
    known = load_templates(config.prompts, config.task)
    for result in metadata.results:
        setting = result.setting
        templates = tuple(name for name in result.templates if name in known)
        if not templates:
            continue
        # The scheme is no part of a request's key: any one finds the stored answers.
        url = f"https://{setting.server}"
        choice = Choice(
            test_size=setting.test_size,
            seed=setting.seed,
            templates=templates,
            allow_leak=None,
        )
        shards = taken_from(setting, ShardSettings)
        changed = replace(
            config,
            teacher=setting.teacher,
            effort=setting.effort,
            splits=(setting.split,),
            base_url=url,
        )
        yield replace(changed, shards=shards), choice


def _plans_by_template(plan: Plan, names: Iterable[str], sample: RowSample) -> dict[str, Plan]:
    over_sample = replace(plan, source=sample.source)
    return {
        name: replace(over_sample, mix=single(name), templates={name: plan.templates[name]})
        for name in names
    }


def _templates_to_ask(plan: Plan, choice: Choice, reader: str) -> tuple[list[str], list[str]]:
    """Their names, and a line for each template that is left out."""
    check_templates({*(choice.allow_leak or ())}, set(plan.templates), plan.task.task)
    names: list[str] = []
    remarks: list[str] = []
    for name, template in plan.templates.items():
        warning = leak_warning(plan.task, template)
        if reader == ORIGINAL and template.original is None and not choice.templates:
            remarks.append(f"left out: template {name} has no regexes for --reader original")
        elif warning is None or choice.allow_leak is None or name in choice.allow_leak:
            names.append(name)
        elif name in choice.templates:  # asked for by name: not to be left out in silence
            raise PromptError(
                f"{warning}: its score would mean nothing; --allow-leak {name}, if so"
            )
        else:
            remarks.append(f"left out: {warning} (--allow-leak {name} takes it in)")
    if not names:
        raise PromptError(f"task {plan.task.task} has no template to try")
    return names, remarks
