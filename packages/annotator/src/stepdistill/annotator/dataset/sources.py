"""Where rows come from: local files, a hub dataset, or the generator of the demo task.

Every source yields plain dicts in the order of the file and knows what it was made of (`digest`),
so that shards can say which data they came from. Local files can be counted, and are before
anything is asked: a broken line is found before a cent is spent. Those of this machine may be
pickled: another process then reads the same rows.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, cast

from stepdistill.annotator.dataset import demo
from stepdistill.common.errors import DatasetError
from stepdistill.common.files.json_file import RawRow
from stepdistill.common.files.remote import local_path
from stepdistill.common.files.row_file import SUFFIXES, read_file, remarks_on, suffix_of
from stepdistill.common.task import TaskSpec
from stepdistill.common.urls import is_url, shown

# Files of no more than this are read once; rows, since packed files may hold any number of them.
_KEPT_BYTES, _KEPT_ROWS = 32 << 20, 100_000
_VALIDATION = ("valid", "validation", "val", "dev")  # one split, as people call it
# A shard's name without its ending: `train-00000-of-00002`, `0000`; older ones of the hub end in a
# hash of 16 digits.
_SHARD = re.compile(
    r"(?P<prefix>.*?)[-_.]?(?<!\d)(?P<number>\d+)(?:-of-(?P<total>\d+))?(?:-[0-9a-f]{16})?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A split's rows."""

    name: str  # for messages
    rows: Callable[[], Iterator[RawRow]]  # opens a fresh pass
    count: Callable[[], int | None]  # reads all rows; None where nobody knows how many beforehand
    digest: str  # sha256 of the content, or of what names it where that is not at hand
    indices: tuple[int, ...] | None = None  # the rows' numbers, where they are a choice of a source
    files: tuple[Path, ...] = ()  # that the rows are in, where they are files of this machine
    is_local: bool = True  # to read it again costs next to nothing
    remarks: tuple[str, ...] = ()  # how its files are read, where a person may not expect it


def open_source(task: TaskSpec, data: str | None, split: str) -> Source:
    """The rows of one split: from --data, else from where task.yaml says. Raises DatasetError."""
    if data is None and task.data.path:
        try:
            return _of_files(task.data.path, task, split)
        except DatasetError as error:
            where = str(error).removeprefix("--data ")
            raise DatasetError(f"{where} (`data` of task.yaml; --data goes before it)") from None
    if data is not None and not data.startswith("hub:"):
        return _of_files(data, task, split)
    if data is None and task.data.generator == "demo":
        return _generated(split)
    hub = task.data.hub if data is None else data.removeprefix("hub:")
    if hub is None:
        raise DatasetError(
            f"task {task.task} names no data source: pass --data with a folder or file of rows"
        )
    return _hub(hub, task, split)


def _of_files(data: str, task: TaskSpec, split: str) -> Source:
    source = _local(find_files(local_path(data), task, split))
    return replace(source, name=shown(data)) if is_url(data) else source


def find_files(data: Path, task: TaskSpec, split: str) -> list[Path]:
    """The files of a split, in order: data itself if it is a file, else what is named for the split
    in it, or in the folder `data` in it, where the hub has it. Raises DatasetError."""
    try:
        return _find_files(data, task, split)
    except OSError as error:
        raise _unreadable(data, error) from None


def _find_files(data: Path, task: TaskSpec, split: str) -> list[Path]:
    if data.is_file():
        return [data]
    if not data.is_dir():
        raise DatasetError(f"--data {data}: no such file or folder")
    named = task.data.splits.get(split)
    if named and (data / named).is_file():
        return [data / named]
    folders = [data, data / "data", *([data / task.data.config] if task.data.config else [])]
    for name in dict.fromkeys((split, *(_VALIDATION if split in _VALIDATION else ()))):
        for folder in folders:
            files = [file for file in _files_in(folder) if _split_of(file) == name]
            found = files or [file for file in _files_in(folder / name) if _shard_of(file)]
            if found:
                return _one_table(found, f"--data {found[0].parent}: split {split}")
    has = ", ".join(file.name for folder in folders for file in _files_in(folder))
    has = has or f"none of {', '.join(SUFFIXES)}"
    raise DatasetError(
        f"--data {data}: no file for split {split}, such as {task.task}_{split}.json (has: {has})"
    )


def table_files(path: Path) -> list[Path]:
    """The files of one table: a file, all shards of the one that is named, or what a folder holds,
    be it in a folder `data`. Raises DatasetError: several tables are there, or a shard is not."""
    try:
        if path.is_dir():
            files = _files_in(path) or _files_in(path / "data")
        else:
            named = _shard_of(path)
            if not named or not named["total"]:
                return [path]
            of_table = named["prefix"], named["total"]
            shards = {file: _shard_of(file) for file in _files_in(path.parent)}
            files = [f for f, each in shards.items() if each and each.group(1, 3) == of_table]
    except OSError as error:
        raise _unreadable(path, error) from None
    if not files:
        raise DatasetError(f"{path}: a folder without a file of rows ({', '.join(SUFFIXES)})")
    return _one_table(files, str(path))


def _one_table(files: list[Path], what: str) -> list[Path]:
    """One file, or the shards of one table in their order. what: they are, for messages.

    Raises DatasetError: these are neither, or a shard is missing.
    """
    shards = [_shard_of(file) for file in files]
    tables = {
        (shard["prefix"], shard["total"], suffix_of(file)) if shard else (file.name,)
        for shard, file in zip(shards, files, strict=True)
    }
    names = ", ".join(file.name for file in files)
    if len(tables) > 1:
        raise DatasetError(f"{what} could be {names}: name the file")
    total = int(shards[0]["total"] or len(files)) if shards[0] else 1
    if len(files) != total:
        raise DatasetError(f"{what}: of {total} shards only {names} are there")
    return sorted(files, key=lambda file: int(shard["number"]) if (shard := _shard_of(file)) else 0)


def _files_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.iterdir() if suffix_of(file) and file.is_file())


def _stem(file: Path) -> str:
    return file.name[: -len(suffix_of(file) or "") or None]


def _shard_of(file: Path) -> re.Match[str] | None:
    return _SHARD.fullmatch(_stem(file))


def _split_of(file: Path) -> str:
    """`train` of `train.jsonl`, `cqa_train.json`, `my-train.csv`, `train-00000-of-00002.csv`."""
    shard = _shard_of(file)
    stem = shard["prefix"] if shard and shard["total"] else _stem(file)
    return stem.replace("-", "_").rsplit("_", 1)[-1]


class _FileRows:
    """The rows of files. Where they are small, the first who reads all rows spares the others the
    reading: a run looks at them, asks about them and writes them. A copy in another process reads
    for itself, and keeps none."""

    def __init__(
        self, paths: list[Path], counted: int | None = None, most_kept: int = _KEPT_BYTES
    ) -> None:
        self._paths, self._counted = paths, counted  # by whoever read all rows first
        self._is_small = sum(path.stat().st_size for path in paths) <= most_kept
        self._kept: list[RawRow] = []  # all of them, or none

    def __reduce__(self) -> tuple[object, ...]:
        return _FileRows, (self._paths, self._counted, 0)

    def rows(self) -> Iterator[RawRow]:
        """A fresh pass."""
        if self._kept:
            yield from self._kept
            return
        read: list[RawRow] = []
        n = 0
        for row in chain.from_iterable(map(read_file, self._paths)):
            n += 1
            if self._is_small and n <= _KEPT_ROWS:
                read.append(row)
            yield row
        self._counted = n
        if n == len(read):
            self._kept = read

    def count(self) -> int:
        """How many there are."""
        return sum(1 for _ in self.rows()) if self._counted is None else self._counted


def _local(paths: list[Path]) -> Source:
    digests, files = [file_digest(path) for path in paths], _FileRows(paths)
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return Source(
        name=f"{paths[0]}{more}",
        rows=files.rows,
        count=files.count,
        digest=digests[0]
        if len(digests) == 1
        else hashlib.sha256("\n".join(digests).encode()).hexdigest(),
        files=tuple(paths),
        remarks=tuple(f"{path}: {remark}" for path in paths[:1] for remark in remarks_on(path)),
    )


def file_digest(path: Path) -> str:
    """sha256 of a file's bytes. Raises DatasetError."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> DatasetError:
    return DatasetError(f"{path}: cannot be read ({error.strerror or error})")


def _generated(split: str) -> Source:
    n = demo.size_of(split)
    digest = hashlib.sha256(f"demo {demo.VERSION} {split} {n}".encode()).hexdigest()
    name = f"generated split {split}"
    return Source(
        name=name, rows=partial(demo.demo_rows, split, n), count=partial(int, n), digest=digest
    )


def _hub(name: str, task: TaskSpec, split: str) -> Source:
    config, hub_split = task.data.config, task.data.splits.get(split, split)

    def rows() -> Iterator[RawRow]:
        import datasets  # two seconds to import: only where it is used

        load = cast(Any, datasets).load_dataset
        try:
            yield from load(name, config, split=hub_split, streaming=True)
        except (OSError, ValueError, RuntimeError) as error:
            line = (str(error).splitlines() or [type(error).__name__])[0]
            raise DatasetError(f"hub dataset {name}, split {hub_split}: {line}") from None

    # A stream has no content to hash before it is read: the name stands for it.
    digest = hashlib.sha256(f"hub {name} {config} {hub_split}".encode()).hexdigest()
    return Source(name=f"hub:{name}", rows=rows, count=lambda: None, digest=digest, is_local=False)
