"""A finished run, and the rows that it was made of, in the order of the file that they are from.

Which rows they are a manifest knows by their sha256 alone. Where they lie is said by --data, by the
note of the run in its store, or by task.yaml, the first that says it; and what lies there is the
run's only where its sha256 is.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from stepdistill.annotator.dataset.sources import Source, find_files, open_source, table_files
from stepdistill.annotator.importing.row_origin import Origin, read_origin
from stepdistill.annotator.prompt.task import load_task
from stepdistill.annotator.run.run_notes import RunNote, find_runs
from stepdistill.annotator.settings.export import ExportSettings
from stepdistill.annotator.settings.rows import OUT, shipped_tasks
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.common.errors import DatasetError, PromptError, ShardError, StoreError
from stepdistill.common.files.json_file import RawRow
from stepdistill.common.files.row_file import read_file
from stepdistill.common.manifest import MANIFEST_NAME, REJECTS_NAME, Manifest
from stepdistill.common.shard_copies import local_shards, split_folders
from stepdistill.common.shards import read_manifest
from stepdistill.common.task import TaskSpec
from stepdistill.common.urls import Place, Url, is_url, place_of, shown

_USUAL = ("train", "valid", "test")  # the order of splits where no file has one


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedSplit:
    """One folder of shards, or a copy of one that is elsewhere."""

    folder: Path
    manifest: Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRun:
    """A folder with the shards of a run."""

    folder: Place
    splits: dict[str, FinishedSplit]

    @property
    def task(self) -> str:
        """The name of its task."""
        return next(iter(self.splits.values())).manifest.task


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRows:
    """The rows of a run, and those that the same file has besides."""

    task: TaskSpec
    rows: Callable[[], Iterator[tuple[str, RawRow]]]  # (split, row), a fresh pass
    files: tuple[Path, ...]  # of the run and its rows, which no table may take the place of
    is_one_file: bool  # whether they stand in the order of one; else split by split
    remarks: tuple[str, ...] = ()


def find_run(name: str) -> FinishedRun:
    """The run in this folder, here or elsewhere, or that of the task of this name. Raises
    ShardError, StorageError."""
    tried = [place_of(name)] if is_url(name) else [Path(name), OUT / name]
    for folder in tried:
        found = _splits_in(folder)
        if len({split.manifest.task for split in found.values()}) > 1:
            raise ShardError(f"{folder}: holds runs of several tasks: name the folder of one")
        if found:
            return FinishedRun(folder=folder, splits=found)
    places = " nor ".join(map(str, dict.fromkeys(tried)))
    raise ShardError(
        f"{shown(name)}: no finished run in {places}: `annotate run` makes one; to end one that "
        "was stopped, run it again"
    )


def _splits_in(folder: Place) -> dict[str, FinishedSplit]:
    if isinstance(folder, Url):
        folders = [local_shards(each, with_rejects=True) for each in split_folders(folder)]
    else:
        folders = [folder, *folder.glob("*/")]
    found: dict[str, FinishedSplit] = {}
    for each in folders:
        if (each / MANIFEST_NAME).is_file():
            manifest = read_manifest(each)
            found[manifest.split] = FinishedSplit(folder=each, manifest=manifest)
    return dict(sorted(found.items(), key=lambda each: _place(each[0])))


def _place(split: str) -> tuple[int, str]:
    return _USUAL.index(split) if split in _USUAL else len(_USUAL), split


def rows_of(run: FinishedRun, settings: ExportSettings) -> RunRows:
    """The rows of a run. Raises DatasetError: they are not to be had, or no longer the run's;
    PromptError, StoreError."""
    note = _note_of(run, settings.store)
    known = [settings.prompts, *([note.prompts] if note else []), shipped_tasks()]
    has_task = (prompts for prompts in known if (prompts / run.task).is_dir())
    try:
        task = load_task(next(has_task, settings.prompts), run.task)
    except PromptError as error:
        raise PromptError(f"{error}: stand where the run was started, or name --prompts") from None
    asked = note.data if note else None
    places = [each for each in (settings.data, asked, task.data.path) if each]
    found = _found(run, task, places, settings)
    named = [*places, *([task.data.file] if task.data.file else [])]
    return replace(found, files=(*found.files, *_files_of(run, task, named)))


def _found(
    run: FinishedRun, task: TaskSpec, places: Sequence[str], settings: ExportSettings
) -> RunRows:
    for folder in dict.fromkeys(places):
        origin = read_origin(Path(folder))
        if origin and _made(run, origin):
            return _in_order(task, origin, folder, settings.data or task.data.file)
    return _by_split(run, task, next(iter(places), None))


def _files_of(run: FinishedRun, task: TaskSpec, places: Sequence[str]) -> Iterator[Path]:
    """What a run wrote, and what its rows lie in: even where these are read from elsewhere now, as
    a file is somebody's work all the more when it has changed."""
    for split in run.splits.values():
        names = (MANIFEST_NAME, REJECTS_NAME, *(shard.file for shard in split.manifest.shards))
        yield from (split.folder / name for name in names)
    for place in (Path(each).expanduser() for each in places if not is_url(each)):
        with suppress(DatasetError):
            yield from table_files(place)  # the other shards, too
        for name in dict.fromkeys((*run.splits, *_USUAL)):
            with suppress(DatasetError):
                yield from find_files(place, task, name)


def _note_of(run: FinishedRun, store: Path) -> RunNote | None:
    if not (store / "data.mdb").is_file():
        return None
    with ResponseStore.open(store, write=False) as opened:
        return note_of_run(run, opened)


def note_of_run(run: FinishedRun, store: ResponseStore) -> RunNote | None:
    """What the store remembers of the run that wrote there last."""
    try:
        notes = find_runs(run.folder, store)
    except StoreError:  # it was asked with another store
        return None
    return next((note for note in reversed(notes) if note.kind == "run"), None)


def _made(run: FinishedRun, origin: Origin) -> bool:
    """Whether the run is of the splits that the note is of."""
    digests = ((name, split.manifest.hashes.data) for name, split in run.splits.items())
    return all(origin.splits.get(name) == digest for name, digest in digests)


def _in_order(task: TaskSpec, origin: Origin, folder: str, file: str | None) -> RunRows:
    """The rows as they stand in the file that the splits were made of: from it, or from the splits
    where it has changed since."""
    path = None if file is None or is_url(file) or Path(file).is_dir() else Path(file).expanduser()
    if path and origin.is_of(path):
        return RunRows(
            task=task,
            rows=lambda: zip(origin.rows, read_file(path), strict=True),
            files=(path,),
            is_one_file=True,
        )
    sources = {split: open_source(task, folder, split) for split in origin.splits}
    for split, source in sources.items():
        if source.digest != origin.splits[split]:
            raise DatasetError(
                f"{source.name}: has changed since `annotate new` wrote it, and so has {file}: "
                "name the file as it was with --data"
            )

    def rows() -> Iterator[tuple[str, RawRow]]:
        left = {split: source.rows() for split, source in sources.items()}
        return ((split, next(left[split])) for split in origin.rows)

    return RunRows(
        task=task,
        rows=rows,
        files=tuple(file for source in sources.values() for file in source.files),
        is_one_file=True,
        # Of what lies elsewhere, or is several files, nobody knows whether it is as it was.
        remarks=(f"{file}: not as it was for `annotate new`: rows are taken from {folder}",)
        if path and origin.sha256
        else (),
    )


def _by_split(run: FinishedRun, task: TaskSpec, data: str | None) -> RunRows:
    sources = {split: open_source(task, data, split) for split in run.splits}
    _check_digests(run, sources)

    def rows() -> Iterator[tuple[str, RawRow]]:
        return ((split, row) for split, source in sources.items() for row in source.rows())

    return RunRows(
        task=task,
        rows=rows,
        files=tuple(file for source in sources.values() for file in source.files),
        is_one_file=len(sources) == 1,
        # Splits may share a file.
        remarks=tuple(dict.fromkeys(line for each in sources.values() for line in each.remarks)),
    )


def _check_digests(run: FinishedRun, sources: Mapping[str, Source]) -> None:
    for split, source in sources.items():
        if source.digest != run.splits[split].manifest.hashes.data:
            raise DatasetError(
                f"{source.name}: not the rows of {run.splits[split].folder} (sha256 differs): name "
                f"these with --data, or run `annotate run {run.task}` again"
            )
