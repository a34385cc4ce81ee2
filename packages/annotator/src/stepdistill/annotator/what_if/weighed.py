"""The whole way of `annotate what-if` on one page: whose answers, which choices, what they come to,
and what to do next. Nobody is asked."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.plan.plan import Plan
from stepdistill.annotator.prompt.mix import (
    DEFAULT_MIX,
    check_templates,
    chosen_mix,
    load_mix,
    mix_files,
)
from stepdistill.annotator.reading.readers import ORIGINAL
from stepdistill.annotator.run.conclusions import make_rules
from stepdistill.annotator.run.known_addresses import with_known_addresses
from stepdistill.annotator.run.planning import make_tariff, make_template_plan
from stepdistill.annotator.run.run_notes import RunNote, choose_run, find_runs, notes_in
from stepdistill.annotator.run.structured import recall_formats
from stepdistill.annotator.settings.rows import PROMPTS, shipped_tasks
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.settings.what_if import WhatIfSettings
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.what_if.answered import Answered, AnswersReader, Reads
from stepdistill.annotator.what_if.choices import RunChoice, choice_of_run, of_mix, of_template
from stepdistill.annotator.what_if.known import known_of, plans_with
from stepdistill.annotator.what_if.outcome import (
    FEWEST,
    Outcome,
    Untold,
    Weighing,
    outcome_of,
    weigh,
    with_frontier,
)
from stepdistill.common.errors import DatasetError, StoreError
from stepdistill.common.judgements import read_judgements

_RATES = (0.0, 0.3, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class WeighedRun:
    """The run that is weighed: its settings, whether it went through batches, what else is known
    of the task on the store."""

    config: RunSettings
    name: str | None  # as the store remembers it; None: of a teacher without a run
    batch: bool = False
    others: tuple[str, ...] = ()  # teachers that were asked about the task besides


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """All choices. base: the run itself, or what comes nearest to it and can be told."""

    run: WeighedRun
    answered: Answered
    base: Outcome | None
    choices: list[Outcome]  # the base first
    rates: list[Outcome]
    sizes: list[Outcome]
    untold: list[Untold]
    remarks: list[str]


def what_if(settings: WhatIfSettings, output: ConsoleOutput) -> WhatIf:
    """Weigh all choices. Raises DistillError: there is no such run, none of its answers, or
    something is wrong with what is named."""
    with ResponseStore.open(settings.store, write=False) as store:
        run = _run(settings, store)
    if run is None:
        run = WeighedRun(config=with_known_addresses(settings.asking()), name=None)
    config = run.config
    with ResponseStore.open(settings.store, write=False) as store:
        plans = [_plan(config, split) for split in config.splits]
        base = _own(config, plans[0])
        choices = [base, *_others(settings, config, plans[0], base)]
        answered = _read(run, plans, choices, store, output)
    if not answered.asked:
        raise DatasetError(
            f"--store {settings.store} has no answer to these rows by {config.teacher}: other rows "
            "(--data, --split), other --prompts, a --teacher or its --base-url?"
        )
    return _weighed(settings, run, answered, choices)


def _run(settings: WhatIfSettings, store: ResponseStore) -> WeighedRun | None:
    """As the store remembers it; None of a --teacher of whom it remembers none. Raises StoreError:
    nobody is named, and there is no run."""
    known = [note for note in notes_in(store) if note.task == settings.task]
    if teacher := settings.teacher:
        out = None if settings.out is None else settings.out.absolute()
        notes = [each for each in known if each.teacher == teacher and out in (None, *each.outs)]
        if not notes:
            return None
    else:
        notes = notes_in(store) if settings.out is None else find_runs(settings.out, store)
    own = [note for note in notes if note.task == settings.task]
    if not own:
        where = f"--store {store.path}" if settings.out is None else f"--out {settings.out}"
        tasks = ", ".join(sorted({note.task for note in notes}))
        has = f"it has runs of {tasks}" if tasks else "it remembers no run at all"
        raise StoreError(
            f"{where}: no run of {settings.task} there ({has}); --teacher NAME weighs the answers "
            "of a teacher without a run"
        )
    note = choose_run(own, settings.run)
    others = {each.teacher for each in known} - {note.teacher}
    return WeighedRun(
        config=_over(note, settings),
        name=note.name,
        batch=bool(note.starts) and note.starts[-1].mode == "batch",
        others=tuple(sorted(others)),
    )


def _over(note: RunNote, settings: WhatIfSettings) -> RunSettings:
    """What the command line says goes before what is remembered."""
    config = note.config(settings.store, settings.prices)
    is_named = settings.prompts not in (PROMPTS, shipped_tasks())
    is_there = (config.prompts / config.task).is_dir() and not is_named
    reader = settings.reader or config.shards.reader
    return replace(
        config,
        prompts=config.prompts if is_there else settings.prompts,
        data=settings.data or config.data,
        base_url=settings.base_url or config.base_url,
        models=settings.models or config.models,
        providers=settings.providers or config.providers,
        splits=settings.splits or config.splits,
        shards=replace(config.shards, reader=reader),
    )


def _plan(config: RunSettings, split: str) -> Plan:
    """A split's rows, and all templates whose answers can be read."""
    plan = make_template_plan(replace(config, splits=(split,)), ())
    if config.shards.reader != ORIGINAL:
        return plan
    templates = {name: each for name, each in plan.templates.items() if each.original}
    return replace(plan, templates=templates) if templates else plan


def _own(config: RunSettings, plan: Plan) -> RunChoice:
    """What the run itself is; of an experiment, or without a run, the task's mix or first
    template."""
    if config.template is None and config.mix is None:
        mixes = mix_files(config.prompts, config.task)
        if DEFAULT_MIX not in mixes or not _is_known(config, DEFAULT_MIX, plan):
            return of_template(next(iter(plan.templates)))
    mix = chosen_mix(config.prompts, config.task, config.mix, config.template)
    return choice_of_run(config, mix)


def _is_known(config: RunSettings, mix: str, plan: Plan) -> bool:
    """Whether all templates of a mix can be read."""
    return load_mix(config.prompts, config.task, mix).templates <= plan.templates.keys()


def _others(
    settings: WhatIfSettings, config: RunSettings, plan: Plan, base: RunChoice
) -> Iterator[RunChoice]:
    """The templates and mixes beside the run's own."""
    known, is_named = set(plan.templates), bool(settings.templates or settings.mixes)
    check_templates({*settings.templates}, known, config.task)
    templates = settings.templates if is_named else tuple(plan.templates)
    mixes = settings.mixes
    if not is_named:
        files = mix_files(config.prompts, config.task)
        mixes = tuple(name for name in files if _is_known(config, name, plan))
    found = [of_template(name) for name in templates]
    found += [of_mix(config, text, known) for text in mixes]
    seen = [base.pairs]
    for choice in found:
        if choice.pairs not in seen:
            seen.append(choice.pairs)
            yield choice


def _read(
    run: WeighedRun,
    plans: Sequence[Plan],
    choices: Sequence[RunChoice],
    store: ResponseStore,
    output: ConsoleOutput,
) -> Answered:
    """All that the store has of the rows that any of these choices may ask."""
    config, wanted = run.config, {name for each in choices for name in each.labels}
    used = [
        replace(plan, templates={k: v for k, v in plan.templates.items() if k in wanted})
        for plan in plans
    ]
    path = config.shards.judgements
    # Reasons alone are read, too, so that all templates have a reader.
    rules = make_rules(plans[0], config.shards)
    reads = Reads(
        rules=rules,
        tariff=make_tariff(config),
        judgements=None if path is None else read_judgements(path),
        mode="batch" if run.batch else "online",
    )
    reader, tell = AnswersReader(reads), output.progress_line("rows read")
    recall_formats(store, used)
    with store.reading() as stored:
        for plan, whole in zip(used, plans, strict=True):
            whole.refused_formats.update(plan.refused_formats)
            reader.add(plan, plans_with(whole, choices), stored, tell)
    return reader.answered()


def _weighed(
    settings: WhatIfSettings, run: WeighedRun, answered: Answered, choices: Sequence[RunChoice]
) -> WhatIf:
    own = choices[0]
    votes = sorted({own.votes, *settings.votes})
    weighed = [weigh(answered, replace(each, votes=n)) for each in choices for n in votes]
    told = [each for each in weighed if isinstance(each, Weighing)]
    base = next((each for each in told if each.choice == own), _most_asked(told))
    outcomes = [outcome_of(each, None if each is base else base) for each in told]
    outcomes.sort(key=lambda each: each.choice != (base and base.choice))
    rated = [
        weigh(answered, choice)
        for each in choices
        for choice in _rates(settings, each)
        if choice != own
    ]
    sized = [] if base is None else [replace(base.choice, rows=n) for n in _sizes(settings, base)]
    sizes = [outcome_of(replace(base, choice=each)) for each in sized if base is not None]
    rates = [outcome_of(each, base) for each in rated if isinstance(each, Weighing)]
    marked = with_frontier([*outcomes, *rates])
    return WhatIf(
        run=run,
        answered=answered,
        base=marked[0] if base is not None else None,
        choices=marked[: len(outcomes)],
        rates=marked[len(outcomes) :],
        sizes=sizes,
        untold=[each for each in (*weighed, *rated) if isinstance(each, Untold)],
        remarks=[*_about_base(own, base), *_remarks(run, answered, choices)],
    )


def _most_asked(told: Sequence[Weighing]) -> Weighing | None:
    """Where the run's own choice cannot be told: of those that can, the one with most answers."""

    def answers(each: Weighing) -> int:
        return min(len(each.answered.asked[name].rows) for name in each.basis)

    return max(told, key=answers, default=None)


def _about_base(own: RunChoice, base: Weighing | None) -> Iterator[str]:
    if base is not None and base.choice != own:
        yield (
            f"{own.title}, as the run has it, cannot be told: the others are held against "
            f"{base.choice.title}, which was asked most"
        )


def _rates(settings: WhatIfSettings, choice: RunChoice) -> Iterator[RunChoice]:
    """Where one answer brings label and reasons, only as asked for: a lower rate saves nothing."""
    rates = settings.rationale_rates or (_RATES if choice.reasons else ())
    return (replace(choice, rate=rate) for rate in rates)


def _sizes(settings: WhatIfSettings, base: Weighing) -> Iterator[int | None]:
    """As asked for; else as many of the first rows as are known, and all."""
    if settings.rows:
        yield from settings.rows
        return
    is_known = known_of(base.answered, base.choice, base.below).is_known
    first = int(is_known.argmin()) if not is_known.all() else 0
    if len(base.answered.splits) == 1 and first >= FEWEST:
        yield first
    yield None


def _remarks(run: WeighedRun, answered: Answered, choices: Sequence[RunChoice]) -> Iterator[str]:
    """What a person should know."""
    spent = [each.spent for each in (*answered.asked.values(), *answered.explained.values())]
    uncounted = sum(each.answers - each.counted for each in spent)
    if uncounted:
        yield (
            f"{uncounted:,} answers came without token counts: what they cost is taken to be the "
            "mean of the others"
        )
    if any(each.unpriced for each in spent):
        yield (
            f"no price is known for {run.config.teacher}: state it in prices.yaml (or --prices "
            "FILE) to see dollars"
        )
    if not answered.has_gold.any():
        yield (
            "no row has a gold label: instead of accuracy, how often one more answer to the row "
            "says the same; `annotate audit` finds out how many labels are right"
        )
    if run.others:
        yield f"the store has runs by {', '.join(run.others)}, too: --teacher NAME weighs these"
    if run.config.shards.filters and any(each.reasons for each in choices):
        yield "filters are tried on the reasons in the label's own answer, where it has some"
