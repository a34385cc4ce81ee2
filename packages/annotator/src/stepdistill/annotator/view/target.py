"""What is looked at: the words of a command line become a source of rows."""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from stepdistill.annotator.export.run_rows import FinishedRun, FinishedSplit, find_run, note_of_run
from stepdistill.annotator.money.prices import Tariff, load_own_prices
from stepdistill.annotator.prompt.task import load_task
from stepdistill.annotator.run.conclusions import make_rules
from stepdistill.annotator.run.planning import make_plans
from stepdistill.annotator.run.run_notes import notes_in
from stepdistill.annotator.run.structured import recall_formats
from stepdistill.annotator.settings.rows import OUT
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.settings.view import ViewSettings
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.view.entry import RowSource
from stepdistill.annotator.view.predictions import Predictions
from stepdistill.annotator.view.run_lines import PlannedLines, ShardLines, SplitLines
from stepdistill.annotator.view.run_settings import asked_with, config_of_run, config_of_task
from stepdistill.annotator.view.run_source import RunSource
from stepdistill.annotator.view.store_source import StoreSource
from stepdistill.common.errors import DatasetError, DistillError, ShardError
from stepdistill.common.manifest import MANIFEST_NAME

_NOT_WRITTEN = "{} written as shards: labels are read from the store as `annotate run` would."
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
    config = config_of_run(settings, first, note)
    remarks: list[str] = []
    wanted = settings.splits or (*run.splits, *(note.splits if note else ()))
    splits: list[SplitLines] = []
    for name in dict.fromkeys(wanted):
        one = replace(config, splits=(name,))
        try:
            if name in run.splits:
                splits.append(_shard_lines(run.splits[name], one, store, remarks))
            elif store is not None:
                splits.append(_planned_lines(one, store))
                remarks.append(_NOT_WRITTEN.format(f"Split {name} is not"))
        except DatasetError as error:
            remarks.append(f"Split {name} is left out: {error}")
    if not splits:
        raise ShardError(
            f"{run.folder}: no split {', '.join(wanted)}: it has {', '.join(run.splits)}"
        )
    if store is None:
        remarks.append(f"Answers are not shown: there is no store in {settings.store} (--store).")
    return RunSource(
        title=str(run.folder),
        content=_content(settings, *(_known_of(each, store) for each in splits)),
        compared_with="" if store is None else _stamp(store.path / "data.mdb"),
        label=first.label,
        splits=splits,
        store=store,
        predictions=_predictions(settings),
        remarks=tuple(dict.fromkeys(remarks)),
    )


def _shard_lines(
    split: FinishedSplit, config: RunSettings, store: ResponseStore | None, remarks: list[str]
) -> ShardLines:
    """The rows of a split that is written; remarks: what is missing is added to them."""
    asked, has_rows = None, False
    try:
        # Records have their rows' texts; those of rejected rows are in the data alone.
        needs_rows = bool(split.manifest.counts.rejected)
        asked = asked_with(config, store, has_rows=needs_rows)
        has_rows = asked.plan.source.digest == split.manifest.hashes.data
    except DistillError as error:
        remarks.append(f"Requests are not shown: {error}")
    if asked is not None and not has_rows and split.manifest.counts.rejected:
        name = split.manifest.split
        remarks.append(f"Texts of the rejected rows of {name}: not found, or changed (--data).")
    return ShardLines(folder=split.folder, manifest=split.manifest, asked=asked, has_rows=has_rows)


def _planned_lines(config: RunSettings, store: ResponseStore) -> PlannedLines:
    """The rows of the one split of these settings. Raises DistillError."""
    (plan,) = make_plans(config)
    recall_formats(store, [plan])
    return PlannedLines(
        plan=plan,
        rules=make_rules(plan, config.shards),
        asked=asked_with(config, store),
        store=store,
        total=plan.count_rows() or 0,
    )


# A task, or a run that is not finished


def _task_source(
    settings: ViewSettings, target: str, store: ResponseStore, why: ShardError
) -> RunSource:
    config = config_of_task(settings, target, store)
    if config is None:
        raise ShardError(f"{why}; nor is it a task (annotate prompts list), or a store")
    splits: list[SplitLines] = []
    remarks = [_NOT_WRITTEN.format("Not")]
    for name in config.splits:
        try:
            splits.append(_planned_lines(replace(config, splits=(name,)), store))
        except DatasetError as error:
            remarks.append(f"Split {name} is left out: {error}")
    if not splits:
        raise DatasetError(f"{target}: {'; '.join(remarks[1:]) or 'no split with rows'}")
    stamp = _stamp(store.path / "data.mdb")
    return RunSource(
        title=target,
        content=_content(settings, repr(config), stamp),
        compared_with=stamp,
        label=load_task(config.prompts, config.task).label,
        splits=splits,
        store=store,
        predictions=_predictions(settings),
        remarks=tuple(remarks),
    )


def _predictions(settings: ViewSettings) -> Predictions | None:
    return None if settings.predictions is None else Predictions(settings.predictions)


def _content(settings: ViewSettings, *known: str) -> str:
    """What an index is made of: it is made again where one of these has changed."""
    said = [] if settings.predictions is None else [_stamp(settings.predictions)]
    given = (settings.data, settings.base_url, settings.teacher)
    return "\n".join([*known, *said, repr(given) if any(given) else ""])


def _known_of(split: SplitLines, store: ResponseStore | None) -> str:
    """A manifest has the sha256 of every shard; other rows are of the store as it is now."""
    if isinstance(split, ShardLines):
        found = split.asked is not None, split.has_rows
        return f"{split.manifest.model_dump_json()} {found}"
    return f"{split.split} {_stamp(store.path / 'data.mdb') if store else ''}"


def _stamp(path: Path) -> str:
    """Changes when a file does."""
    state = path.stat()
    return f"{path.resolve()} {state.st_mtime_ns} {state.st_size}"
