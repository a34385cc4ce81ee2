"""What is looked at: the words of a command line become a source of rows."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from stepdistill.annotator.dataset.sources import Source, open_source
from stepdistill.annotator.export.run_rows import FinishedRun, find_run, note_of_run
from stepdistill.annotator.money.prices import Tariff, load_own_prices
from stepdistill.annotator.plan.plan import Plan
from stepdistill.annotator.prompt.check import fit_templates
from stepdistill.annotator.prompt.mix import single
from stepdistill.annotator.prompt.task import load_task
from stepdistill.annotator.run.planning import make_plans, make_tariff, teacher_spec
from stepdistill.annotator.run.run_notes import RunNote, choose_run, find_runs, notes_in
from stepdistill.annotator.run.structured import recall_formats
from stepdistill.annotator.run.write import make_rules
from stepdistill.annotator.settings.rows import OUT, PROMPTS, shipped_tasks
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.settings.shards import ShardSettings
from stepdistill.annotator.settings.teacher import SIMULATED
from stepdistill.annotator.settings.view import ViewSettings
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.study.rereading import teachers_of
from stepdistill.annotator.view.asked import Asked, make_asked
from stepdistill.annotator.view.entry import RowSource
from stepdistill.annotator.view.predictions import Predictions
from stepdistill.annotator.view.run_lines import PlannedLines, ShardLines, SplitLines
from stepdistill.annotator.view.run_source import RunSource
from stepdistill.annotator.view.store_source import StoreSource
from stepdistill.common.errors import ConfigError, DatasetError, DistillError, ShardError
from stepdistill.common.manifest import MANIFEST_NAME, Manifest

_ENDPOINT_PATH = "/v1"
_LOOKED_AT = 5_000  # rows of a split, to see whose answers the store has of them
_NO_RUN = (
    "no run in ./runs: name the folder of a run, a task or a store; `annotate run demo --teacher "
    "simulated` makes a run to look at"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What is looked at, and the store that goes with it: closed when nobody looks any more."""

    source: RowSource
    store: ResponseStore | None

    def close(self) -> None:
        """Close the store."""
        if self.store is not None:
            self.store.close()


def open_rows(settings: ViewSettings) -> Opened:
    """What the settings name: a store, a run that is finished, else a task or a folder whose run is
    not. Raises DistillError."""
    target = settings.target or _latest_run(settings.store)
    is_store = (Path(target) / "data.mdb").is_file()
    if not is_store and not (settings.store / "data.mdb").is_file():
        store = None
    else:
        store = ResponseStore.open(Path(target) if is_store else settings.store, write=False)
    try:
        source = _source(settings, target, store, is_store=is_store)
    except BaseException:
        if store is not None:
            store.close()
        raise
    return Opened(source=source, store=store)


def _latest_run(store: Path) -> str:
    """The run of ./runs that was written last, else the store. Raises ShardError: there is none."""
    manifests = [*OUT.glob(f"*/{MANIFEST_NAME}"), *OUT.glob(f"*/*/{MANIFEST_NAME}")]
    newest = max(manifests, key=lambda path: path.stat().st_mtime, default=None)
    if newest is None and (store / "data.mdb").is_file():
        return str(store)
    if newest is None:
        raise ShardError(_NO_RUN)
    folder = newest.parent
    return str(folder if folder.parent == OUT else folder.parent)


def _source(
    settings: ViewSettings, target: str, store: ResponseStore | None, *, is_store: bool
) -> RowSource:
    if is_store:
        assert store is not None
        return _store_source(settings, target, store)
    try:
        run = find_run(target)
    except ShardError as error:
        if store is None:
            raise ShardError(f"{error}; nor is there a store in {settings.store}") from None
        return _task_source(settings, target, store, error)
    return _run_source(settings, run, store)


def _store_source(settings: ViewSettings, target: str, store: ResponseStore) -> StoreSource:
    own = load_own_prices(settings.prices)

    @lru_cache(64)
    def tariff_of(model: str) -> Tariff:
        return Tariff(model=model, host="", own=own)

    database = store.database("responses")
    assert database is not None
    n: int = store.read(lambda txn: txn.stat(database)["entries"])
    state = (store.path / "data.mdb").stat()
    tasks = ", ".join(sorted({note.task for note in notes_in(store)}))
    return StoreSource(
        title=target,
        store=store,
        total=n,
        stamp=f"{store.path.resolve()} {state.st_mtime_ns} {n}",
        tariff_of=tariff_of,
        remarks=(f"It was asked about {tasks}: `annotate view {tasks.split(',')[0]}` shows rows.",)
        if tasks
        else (),
    )


# A finished run


def _run_source(settings: ViewSettings, run: FinishedRun, store: ResponseStore | None) -> RunSource:
    note = note_of_run(run, store) if store is not None else None
    first = next(iter(run.splits.values())).manifest
    config = _config_of_run(settings, first, note)
    remarks: list[str] = []
    splits: list[SplitLines] = []
    for name, split in run.splits.items():
        asked, has_rows = None, False
        try:
            asked = _asked(replace(config, splits=(name,)), store)
            has_rows = asked.plan.source.digest == split.manifest.hashes.data
        except DistillError as error:
            remarks.append(f"Requests are not shown: {error}")
        if asked is not None and not has_rows and split.manifest.counts.rejected:
            remarks.append(f"Texts of the rejected rows of {name}: not found, or changed (--data).")
        splits.append(
            ShardLines(folder=split.folder, manifest=split.manifest, asked=asked, has_rows=has_rows)
        )
    if store is None:
        remarks.append(f"Answers are not shown: there is no store in {settings.store} (--store).")
    shards = [shard.sha256 for split in run.splits.values() for shard in split.manifest.shards]
    kept = [split.manifest.model_dump_json() for split in run.splits.values()]
    return RunSource(
        title=str(run.folder),
        content="\n".join([*shards, *kept, *_stamps(settings, store)]),
        label=first.label,
        splits=splits,
        store=store,
        predictions=_predictions(settings),
        remarks=tuple(dict.fromkeys(remarks)),
    )


def _config_of_run(settings: ViewSettings, manifest: Manifest, note: RunNote | None) -> RunSettings:
    """The run's settings: as its store remembers them, else by what its manifest says."""
    if note is not None:
        return _over(note.config(settings.store, settings.prices), settings)
    host = manifest.teacher.endpoint
    embedded = host == "localhost" and manifest.teacher.model == SIMULATED
    scheme = "http" if host == "localhost" else "https"
    config = RunSettings(
        task=manifest.task,
        teacher=settings.teacher or manifest.teacher.model,
        prompts=_prompts(settings, manifest.task, None),
        base_url=None if embedded else f"{scheme}://{host}{_ENDPOINT_PATH}",
        store=settings.store,
        offline=True,
        prices=settings.prices,
        shards=ShardSettings(reader=manifest.reader.name),
    )
    return _over(config, settings)


def _over(config: RunSettings, settings: ViewSettings) -> RunSettings:
    """What the command line says goes before what is remembered."""
    return replace(
        config,
        prompts=_prompts(settings, config.task, config.prompts),
        data=settings.data or config.data,
        base_url=settings.base_url or config.base_url,
        teacher=settings.teacher or config.teacher,
        models=settings.models or config.models,
        # A template that is named now decides nothing about a run that is written.
        template=settings.template or config.template,
        mix=None if settings.template else settings.mix or config.mix,
    )


def _prompts(settings: ViewSettings, task: str, remembered: Path | None) -> Path:
    known = [settings.prompts, *([remembered] if remembered else []), shipped_tasks()]
    return next((each for each in known if (each / task).is_dir()), settings.prompts)


def _asked(config: RunSettings, store: ResponseStore | None) -> Asked:
    """Requests of one split, with every template of the task. Raises DistillError: the prompts are
    not there. Without its data it does."""
    task, teacher = load_task(config.prompts, config.task), teacher_spec(config)
    split = config.splits[0]
    templates = fit_templates(config.prompts, task, ())
    try:
        source = open_source(task, config.data, split)
    except DatasetError as error:
        source = Source(name=str(error), rows=lambda: iter(()), count=lambda: 0, digest="")
    plan = Plan(
        task=task,
        split=split,
        source=source,
        samples=None,
        mix=single(next(iter(templates))),
        templates=templates,
        model=teacher.model,
        options=teacher.options,
        endpoint=teacher.endpoint,
        votes=config.votes,
    )
    if store is not None:
        recall_formats(store, [plan])
    return make_asked(plan, config, make_tariff(config, teacher))


# A task, or a run that is not finished


def _task_source(
    settings: ViewSettings, target: str, store: ResponseStore, why: ShardError
) -> RunSource:
    config = _config_of_task(settings, target, store)
    if config is None:
        raise ShardError(f"{why}; nor is it a task (annotate prompts list), or a store")
    splits: list[SplitLines] = []
    remarks = ["Not written as shards: labels are read from the store as `annotate run` would."]
    for name in config.splits:
        try:
            (plan,) = make_plans(replace(config, splits=(name,)))
            n = plan.count_rows()
        except DatasetError as error:
            remarks.append(f"Split {name} is left out: {error}")
            continue
        recall_formats(store, [plan])
        asked = _asked(replace(config, splits=(name,)), store)
        splits.append(
            PlannedLines(
                plan=plan,
                rules=make_rules(plan, config.shards),
                asked=asked,
                store=store,
                total=n if n is not None else 0,
            )
        )
    if not splits:
        raise DatasetError(f"{target}: {'; '.join(remarks[1:]) or 'no split with rows'}")
    state = (store.path / "data.mdb").stat()
    return RunSource(
        title=target,
        content="\n".join([repr(config), str(state.st_mtime_ns), *_stamps(settings, store)]),
        label=load_task(config.prompts, config.task).label,
        splits=splits,
        store=store,
        predictions=_predictions(settings),
        remarks=tuple(remarks),
    )


def _config_of_task(
    settings: ViewSettings, target: str, store: ResponseStore
) -> RunSettings | None:
    """Of the run that wrote into this folder, or asked about this task, last; else whoever the
    store has answers of. None: the target is neither."""
    notes: list[RunNote] = []
    if Path(target).is_dir():
        with suppress(DistillError):
            notes = find_runs(Path(target), store)
    task = target if not notes else notes[-1].task
    if not (_prompts(settings, task, None) / task).is_dir():
        return None
    notes = notes or [note for note in notes_in(store) if note.task == task]
    if settings.teacher is not None:
        notes = [note for note in notes if note.teacher == settings.teacher]
    if notes:
        config = _over(choose_run(notes, None).config(settings.store, settings.prices), settings)
    else:
        config = _config_of_answers(settings, task, store)
    return replace(config, splits=settings.splits or config.splits)


def _config_of_answers(settings: ViewSettings, task: str, store: ResponseStore) -> RunSettings:
    """Of the first teacher that has answered one of the first rows. Raises ConfigError: none."""
    prompts = _prompts(settings, task, None)
    spec = load_task(prompts, task)
    splits = settings.splits or tuple(spec.data.splits) or ("train",)
    teachers = [settings.teacher] if settings.teacher else teachers_of(store, lambda n: None)
    for teacher in teachers:
        config = RunSettings(
            task=task,
            teacher=teacher,
            splits=splits,
            prompts=prompts,
            data=settings.data,
            base_url=settings.base_url,
            models=settings.models,
            template=settings.template,
            mix=settings.mix,
            store=settings.store,
            offline=True,
            prices=settings.prices,
        )
        if any(_has_answers(replace(config, splits=(split,)), store) for split in splits):
            return config
    looked = f"the first {_LOOKED_AT:,} rows of {', '.join(splits)}"
    raise ConfigError(
        f"{task}: --store {store.path} has no answer to {looked}: `annotate run {task}` asks; "
        "--data, --split, --prompts, --teacher or --base-url name what was asked"
    )


def _has_answers(config: RunSettings, store: ResponseStore) -> bool:
    try:
        asked = _asked(config, store)
        rows = _first_rows(asked)
        with store.reading() as stored:
            return any(stored.answer(key) is not None for key in rows)
    except DatasetError:
        return False


def _first_rows(asked: Asked) -> Iterator[bytes]:
    for number, planned in enumerate(asked.plan.rows()):
        if number == _LOOKED_AT:
            return
        yield from asked.requests(planned.row)


def _predictions(settings: ViewSettings) -> Predictions | None:
    return None if settings.predictions is None else Predictions(settings.predictions)


def _stamps(settings: ViewSettings, store: ResponseStore | None) -> Iterator[str]:
    """What else the index is made of: it is made again where one of them has changed."""
    paths = [settings.predictions, None if store is None else store.path / "data.mdb"]
    for path in paths:
        if path is not None and path.exists():
            state = path.stat()
            yield f"{path.resolve()} {state.st_mtime_ns} {state.st_size}"
    given = (settings.prompts, settings.data, settings.base_url, settings.teacher)
    yield repr(given) if settings.prompts != PROMPTS or any(given[1:]) else ""
