"""From a run's settings to its plans, one per split, and what they cost.

What can be wrong with task, prompts or rows is found here, before a request is sent.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice

from stepdistill.annotator.dataset.row_check import ALL, row_remarks
from stepdistill.annotator.dataset.sources import open_source
from stepdistill.annotator.money.prices import Tariff, load_own_prices
from stepdistill.annotator.plan.plan import Plan, PlannedRow
from stepdistill.annotator.prompt.check import check_words, fit_templates
from stepdistill.annotator.prompt.mix import Mix, chosen_mix, single
from stepdistill.annotator.prompt.render import leak_warning
from stepdistill.annotator.prompt.task import load_task, plain
from stepdistill.annotator.prompt.template import Template
from stepdistill.annotator.run.first_answers import FirstAnswers
from stepdistill.annotator.run.teacher import teacher_spec
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.teacher.spec import TeacherSpec
from stepdistill.common.task import TaskSpec

_LOOKED_UP = 50_000  # requests at a time
_LOOKED_AT = 10_000_000  # rows of other shards: a minute and a half


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedRun:
    """A run's settings, with what is made of them and of the files that they name, once."""

    settings: RunSettings
    teacher: TeacherSpec
    tariff: Tariff  # what the teacher costs
    first_answers: FirstAnswers | None = None  # looks at them; None: nobody does


def prepare_run(config: RunSettings) -> PreparedRun:
    """Read `models.yaml` and `prices.yaml`. Raises ConfigError, PromptError: a file is wrong."""
    teacher = teacher_spec(config)
    return PreparedRun(settings=config, teacher=teacher, tariff=make_tariff(config, teacher))


def make_tariff(config: RunSettings, teacher: TeacherSpec | None = None) -> Tariff:
    """What the teacher costs. Raises PromptError: the file of one's own prices is wrong."""
    teacher = teacher or teacher_spec(config)
    own = load_own_prices(config.prices)
    host, provider = teacher.endpoint.name, teacher.provider
    return Tariff(model=teacher.model, host=host, own=own, provider=provider)


def make_plans(config: RunSettings, teacher: TeacherSpec | None = None) -> list[Plan]:
    """The plan of each split. Raises PromptError, DatasetError and ConfigError.

    teacher: as `teacher_spec` has made it, where it has; so do the functions below.
    """
    task, teacher = load_task(config.prompts, config.task), teacher or teacher_spec(config)
    if config.plain_rows:
        task = plain(task)
    mix = chosen_mix(config.prompts, config.task, config.mix, config.template)
    used = fit_templates(config.prompts, task, sorted(mix.templates))
    splits = dict.fromkeys(config.splits)
    return [_plan(config, teacher, task, split, mix, used) for split in splits]


def make_template_plan(
    config: RunSettings, names: tuple[str, ...], teacher: TeacherSpec | None = None
) -> Plan:
    """A plan over the first split that knows these templates, or all of the task; its mix is the
    first of them alone. Raises PromptError, DatasetError and ConfigError."""
    task, teacher = load_task(config.prompts, config.task), teacher or teacher_spec(config)
    used = fit_templates(config.prompts, task, names)
    return _plan(config, teacher, task, config.splits[0], single(next(iter(used))), used)


def plan_of_templates(
    config: RunSettings, templates: dict[str, Template], teacher: TeacherSpec | None = None
) -> Plan:
    """A plan over the first split that knows these; its mix is the first of them alone. Raises
    PromptError, DatasetError and ConfigError."""
    task, teacher = load_task(config.prompts, config.task), teacher or teacher_spec(config)
    check_words(config.prompts, task, templates)
    return _plan(config, teacher, task, config.splits[0], single(next(iter(templates))), templates)


def _plan(
    config: RunSettings,
    teacher: TeacherSpec,
    task: TaskSpec,
    split: str,
    mix: Mix,
    templates: dict[str, Template],
) -> Plan:
    return Plan(
        task=task,
        split=split,
        source=open_source(task, config.data, split),
        samples=config.samples,
        row_shard=config.row_shard,
        chosen=tuple(config.chosen[split]) if split in config.chosen else None,
        mix=mix,
        templates=templates,
        model=teacher.model,
        options=teacher.options,
        endpoint=teacher.endpoint,
        votes=config.votes,
    )


def warnings(plans: list[Plan]) -> list[str]:
    """What a person should know before these plans are carried out."""
    plan = plans[0]
    told = [leak_warning(plan.task, each) for each in plan.templates.values()]
    if plan.votes > 1:
        told += [
            f"template {name} asks at temperature 0: {plan.votes} votes will hardly differ"
            for name, each in plan.templates.items()
            if plan.options.apply(each.options).get("temperature") == 0
        ]
    return [line for line in told if line is not None]


def row_warnings(plans: Iterable[Plan]) -> Iterator[str]:
    """What a person should know of the rows before they are paid for. Raises DatasetError."""
    for plan in plans:
        if plan.source.is_local:  # others would be fetched once more
            # Of several shards the first looks at all rows: ids may stand twice in two of them.
            is_another = plan.row_shard is not None and plan.row_shard.number > 0
            own = plan.own_places if is_another else ALL
            places = own if isinstance(own, range) else ALL
            yield from row_remarks(plan.task, plan.source, plan.split, plan.samples, places)


def shard_warning(plan: Plan, store: ResponseStore) -> str | None:
    """How many questions a shard asks that one before it asks, too: machines that do not speak to
    each other cannot know. Each is counted by all shards but the first that has it, so that what
    they say together is what one run would have spared, if no more rows lie before a shard than are
    looked at. Raises DatasetError."""
    own, places = plan.row_shard, plan.own_places
    if own is None or not own.number or not plan.source.is_local or not isinstance(places, range):
        return None
    import numpy as np  # a tenth of a second to import: only where it is used

    # Of keys 8 bytes, as of ids: a shard may have many millions.
    questions = np.unique(np.frombuffer(b"".join(_starts_of_keys(plan.rows(), store)), np.uint64))
    if not len(questions):
        return None
    found = np.zeros(len(questions), bool)
    first = max(0, places.start - _LOOKED_AT)
    others = islice(replace(plan, row_shard=None).rows(first), places.start - first)
    for starts in _starts_of_keys(others):
        before = np.frombuffer(starts, np.uint64)
        at = np.minimum(np.searchsorted(questions, before), len(questions) - 1)
        found[at[questions[at] == before]] = True
    if not (n := int(found.sum())):
        return None
    found_at_least = f"at least {n:,}" if first else f"{n:,}"
    return (
        f"{plan.source.name}: of {len(questions):,} questions to ask {found_at_least} stand in a "
        "shard before this one, too, and are paid for in both: one run, or --engine ray, asks them "
        "once"
    )


def _starts_of_keys(
    rows: Iterable[PlannedRow], store: ResponseStore | None = None
) -> Iterator[bytes]:
    """8 bytes of each question's key, without those that the store can answer."""
    keys = chain.from_iterable((each.key for each in row.requests) for row in rows)
    while group := list(islice(keys, _LOOKED_UP)):
        had = store.has(group) if store else [False] * len(group)
        yield b"".join(key[:8] for key, has in zip(group, had, strict=True) if not has)
