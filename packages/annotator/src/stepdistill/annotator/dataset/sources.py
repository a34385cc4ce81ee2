"""Where rows come from: local files, a hub dataset, or the generator of the demo task.

Every source yields plain dicts in the order of the file and knows what it was made of (`digest`),
so that shards can say which data they came from. Local files can be counted, and are before
anything is asked: a broken line is found before a cent is spent.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from stepdistill.annotator.dataset import demo
from stepdistill.annotator.dataset.files import SUFFIXES, RawRow, reader_of, suffix_of
from stepdistill.common.errors import DatasetError
from stepdistill.common.task import TaskSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A split's rows."""

    name: str  # for messages
    rows: Callable[[], Iterator[RawRow]]  # opens a fresh pass
    count: Callable[[], int | None]  # reads all rows; None where nobody knows how many beforehand
    digest: str  # sha256 of the content, or of what names it where that is not at hand
    indices: tuple[int, ...] | None = None  # the rows' numbers, where they are a choice of a source


def open_source(task: TaskSpec, data: str | None, split: str) -> Source:
    """The rows of one split: from --data, else from where task.yaml says. Raises DatasetError."""
    if data is not None and not data.startswith("hub:"):
        return _local(find_file(Path(data), task, split))
    if data is None and task.data.generator == "demo":
        return _generated(split)
    hub = task.data.hub if data is None else data.removeprefix("hub:")
    if hub is None:
        raise DatasetError(
            f"task {task.task} names no data source: pass --data with a folder or file of rows"
        )
    return _hub(hub, task, split)


def find_file(data: Path, task: TaskSpec, split: str) -> Path:
    """The file of a split: data itself if it is a file, else the one named for the split in it."""
    if data.is_file():
        return data
    if not data.is_dir():
        raise DatasetError(f"--data {data}: no such file or folder")
    named = task.data.splits.get(split)
    if named and (data / named).is_file():
        return data / named
    files = sorted(file for file in data.iterdir() if suffix_of(file) is not None)
    found = [file for file in files if _split_of(file) == split]
    if len(found) == 1:
        return found[0]
    names = ", ".join(file.name for file in found or files) or f"none of {', '.join(SUFFIXES)}"
    if found:
        raise DatasetError(f"--data {data}: split {split} could be {names}: name the file")
    raise DatasetError(
        f"--data {data}: no file for split {split}, such as {task.task}_{split}.json (has: {names})"
    )


def _split_of(file: Path) -> str:
    """`train` of `train.jsonl`, `cqa_train.json` and `my-train.csv`."""
    stem = file.name.removesuffix(suffix_of(file) or "")
    return stem.replace("-", "_").rsplit("_", 1)[-1]


def _local(path: Path) -> Source:
    read = reader_of(path)

    def rows() -> Iterator[RawRow]:
        try:
            yield from read(path)
        except OSError as error:
            raise _unreadable(path, error) from None

    def count() -> int:
        return sum(1 for _ in rows())

    return Source(name=str(path), rows=rows, count=count, digest=_sha256(path))


def _sha256(path: Path) -> str:
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

    def rows() -> Iterator[RawRow]:
        return demo.demo_rows(split, n)

    return Source(name=f"generated split {split}", rows=rows, count=lambda: n, digest=digest)


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
    return Source(name=f"hub:{name}", rows=rows, count=lambda: None, digest=digest)
