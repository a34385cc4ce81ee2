"""A trial: the same rows, asked of every template; made before anybody is asked."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from stepdistill.annotator.dataset.selection import RowSample, draw_sample
from stepdistill.annotator.money.run_notes import Study
from stepdistill.annotator.money.tariff import Tariff
from stepdistill.annotator.plan.plan import Plan
from stepdistill.annotator.prompt.leak import leak_warning
from stepdistill.annotator.prompt.mix import check_templates, single
from stepdistill.annotator.reading.readers import ORIGINAL, Readers, make_readers
from stepdistill.annotator.run.planning import make_tariff, make_template_plan, plan_of_templates
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.study.metadata import Setting
from stepdistill.common.errors import PromptError

_CHAT = "/chat/completions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is put to the test, and how it is judged.

    test_size: rows, or a fraction of them where it is a float; None for all. templates: empty for
    all of the task. allow_leak: templates that may print the gold label or rationale; None: all.
    """

    test_size: int | float | None
    seed: int | None
    reader: str
    templates: tuple[str, ...] = ()
    allow_leak: tuple[str, ...] | None = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One plan per template, over rows that have a gold label and in the order they were drawn.

    without_gold: rows of the split that nobody can judge. remarks: what a person should know.
    """

    setting: Setting
    plans: Mapping[str, Plan]
    readers: Readers
    tariff: Tariff
    n_rows: int
    without_gold: int
    remarks: list[str]

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
    plan = make_template_plan(config, choice.templates)
    names, remarks = _admitted(plan, choice)
    sample = draw_sample(plan.task, plan.source, plan.split, choice.test_size, choice.seed or 0)
    plans = _apart(plan, names, sample)
    if sample.without_gold:
        remarks.append(f"{sample.without_gold:,} rows without a gold label are left out")
    if isinstance(choice.test_size, int) and sample.n < choice.test_size:
        remarks.append(f"only {sample.n:,} rows of {plan.split} have a gold label: all are taken")
    used = {name: plan.templates[name] for name in names}
    return Trial(
        setting=_setting(plan, choice),
        plans=plans,
        readers=make_readers(choice.reader, plan.task.label, used),
        tariff=make_tariff(config),
        n_rows=sample.n,
        without_gold=sample.without_gold,
        remarks=remarks,
    )


def plans_again(config: RunSettings, study: Study) -> list[Plan]:
    """The plans of a trial that the store remembers, one per template; of several that share an id
    the last keeps it. Raises PromptError, DatasetError, ConfigError."""
    last = {each.id: each for each in study.templates}
    named = {
        each.id if last[each.id] is each else f"{each.id}@{each.digest[:6]}": each
        for each in study.templates
    }
    plan = plan_of_templates(replace(config, splits=(study.split,)), named)
    sample = draw_sample(plan.task, plan.source, plan.split, study.test_size, study.seed)
    return list(_apart(plan, named, sample).values())


def _apart(plan: Plan, names: Iterable[str], sample: RowSample) -> dict[str, Plan]:
    over_sample = replace(plan, source=sample.source)
    return {
        name: replace(over_sample, mix=single(name), templates={name: plan.templates[name]})
        for name in names
    }


def _admitted(plan: Plan, choice: Choice) -> tuple[list[str], list[str]]:
    """The templates to ask, and what is to be said of those that are left out."""
    check_templates({*(choice.allow_leak or ())}, set(plan.templates), plan.task.task)
    names: list[str] = []
    remarks: list[str] = []
    for name, template in plan.templates.items():
        warning = leak_warning(plan.task, template)
        if choice.reader == ORIGINAL and template.original is None and not choice.templates:
            remarks.append(f"left out: template {name} has no regexes for --reader original")
        elif warning is None or choice.allow_leak is None or name in choice.allow_leak:
            names.append(name)
        elif name in choice.templates:
            raise PromptError(
                f"{warning}: its score would mean nothing; --allow-leak {name}, if so"
            )
        else:
            remarks.append(f"left out: {warning} (--allow-leak {name} takes it in)")
    if not names:
        raise PromptError(f"task {plan.task.task} has no template to try")
    return names, remarks


def _setting(plan: Plan, choice: Choice) -> Setting:
    return Setting(
        teacher=plan.model,
        server=plan.endpoint.name + plan.endpoint.path.removesuffix(_CHAT),
        split=plan.split,
        reader=choice.reader,
        test_size=choice.test_size,
        seed=choice.seed if choice.test_size is not None else None,
    )
