"""Shards: records and rejections of one split, written so that a half-written folder shows it.

Everything is written under temporary names, and takes its place when all of it is there: what the
folder held before stays whole until then. The old manifest goes first and the new one comes last,
so a folder with a manifest is complete. Until then both lie there under other names: they say which
files of the folder are its own, and no other is ever removed or replaced.
"""

import fcntl
import hashlib
import os
import re
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Self

import orjson

from stepdistill.annotator.reading.rejection import Rejection
from stepdistill.common.errors import ShardError
from stepdistill.common.manifest import MANIFEST_NAME, REJECTS_NAME, Counts, Manifest, ShardEntry
from stepdistill.common.record import Record

# Below what malloc maps and unmaps each time: larger chunks cost twice as much.
_CHUNK_BYTES = 1 << 16
_BEFORE = f"{MANIFEST_NAME}.before"  # the old manifest, while the new files take their places
_SHARD = re.compile(r"shard-\d{5,}\.jsonl")  # shard-00000.jsonl


class LineBlocks:
    """LineBlocks on their way into a file, joined into blocks of what it takes at a time."""

    __slots__ = ("_blocks", "_bytes", "_waiting", "n")

    def __init__(self) -> None:
        self.n = 0  # lines
        self._blocks: list[tuple[bytes, int]] = []
        self._waiting: list[bytes] = []
        self._bytes = 0  # of these

    def add(self, line: bytes) -> None:
        """One line, with its end."""
        self._waiting.append(line)
        self.n += 1
        self._bytes += len(line)
        if self._bytes >= _CHUNK_BYTES:
            self._join()

    def blocks(self) -> list[tuple[bytes, int]]:
        """All of them: blocks, and how many lines are in each."""
        if self._waiting:
            self._join()
        return self._blocks

    def _join(self) -> None:
        self._blocks.append((b"".join(self._waiting), len(self._waiting)))
        self._waiting.clear()
        self._bytes = 0


class _File:
    """One file under a temporary name, hashed as it is written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._temporary = path.with_name(path.name + ".part")
        self._file: BinaryIO = self._temporary.open("wb", buffering=0)
        self._digest = hashlib.sha256()
        self._lines: list[bytes] = []
        self._waiting = self._written = self.rows = 0
        self._is_published = False

    def write(self, line: bytes) -> None:
        self._lines.append(line)
        self.rows += 1
        self._waiting += len(line)
        if self._waiting >= _CHUNK_BYTES:
            self._flush()

    def write_block(self, block: bytes, n: int) -> None:
        """So many lines at once."""
        if self._lines:
            self._flush()
        self._put(block)
        self.rows += n

    def finish(self) -> ShardEntry:
        """All of it is on the disk, still under its temporary name."""
        self._flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return ShardEntry(
            file=self._path.name,
            rows=self.rows,
            bytes=self._written,
            sha256=self._digest.hexdigest(),
        )

    def publish(self) -> None:
        self._temporary.replace(self._path)
        self._is_published = True

    def abandon(self) -> None:
        with suppress(OSError):
            self._file.close()
        self._temporary.unlink(missing_ok=True)
        if self._is_published:
            self._path.unlink(missing_ok=True)

    def _flush(self) -> None:
        self._put(b"".join(self._lines))
        self._lines.clear()
        self._waiting = 0

    def _put(self, block: bytes) -> None:
        self._digest.update(block)
        left = memoryview(block)
        while left:  # a raw file may take less than it is given
            left = left[self._file.write(left) :]
        self._written += len(block)


class JsonlWriter:
    """The writer of one split's folder; a context manager that leaves nothing half-written behind.

    Raises ShardError where the folder cannot be written, or another run is writing it.
    """

    def __init__(self, folder: Path, rows_per_shard: int) -> None:
        self._folder, self._rows_per_shard = folder, rows_per_shard
        self._entries: list[ShardEntry] = []
        self._rejected: Counter[str] = Counter()
        self._files: list[_File] = []
        self._shard: _File | None = None

    def __enter__(self) -> Self:
        self._made = [path for path in (self._folder, *self._folder.parents) if not path.exists()]
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(self._folder, os.O_RDONLY)
            self._keep_others_out()
            self._own = own_files(lambda name: (self._folder / name).read_bytes())
            self._refuse_others_files()
            for old in self._folder.glob("*.part"):  # of a run that was killed
                if is_ours(old.stem):
                    old.unlink()
            self._rejects = self._open(REJECTS_NAME)
        except OSError as error:
            raise self._unwritable(error) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        os.close(self._handle)
        if error is not None:
            for file in self._files:
                file.abandon()
            for name in (f"{MANIFEST_NAME}.part", _BEFORE):
                (self._folder / name).unlink(missing_ok=True)
            with suppress(OSError):  # not empty
                for folder in self._made:
                    folder.rmdir()
        if isinstance(error, OSError):
            raise self._unwritable(error) from None

    def record_line(self, line: bytes) -> None:
        """Add a record's line to the current shard, or to the next one when that is full."""
        shard = self._open_shard()
        shard.write(line)
        if shard.rows == self._rows_per_shard:
            self._close_shard()

    def record_lines(self, lines: LineBlocks) -> None:
        """The same, of many."""
        for each, n in lines.blocks():
            block, left = each, n
            while left:
                shard = self._open_shard()
                taken = min(left, self._rows_per_shard - shard.rows)
                cut = len(block) if taken == left else _end_of(block, taken)
                shard.write_block(block[:cut], taken)
                block, left = block[cut:], left - taken
                if shard.rows == self._rows_per_shard:
                    self._close_shard()

    def reject_line(self, line: bytes, reason: str) -> None:
        """Add a rejection's line to the rejects."""
        self._rejects.write(line)
        self._rejected[reason] += 1

    def reject_lines(self, lines: LineBlocks, reasons: Counter[str]) -> None:
        """The same, of many."""
        for block, n in lines.blocks():
            self._rejects.write_block(block, n)
        self._rejected.update(reasons)

    def close_files(self) -> tuple[Counts, list[ShardEntry]]:
        """Finish shards and rejects; what they hold goes into the manifest."""
        self._close_shard()
        self._rejects.finish()
        records = sum(entry.rows for entry in self._entries)
        rejected = dict(sorted(self._rejected.items()))
        rows = records + sum(rejected.values())
        return Counts(rows=rows, records=records, rejected=rejected), self._entries

    def publish(self, manifest: Manifest) -> None:
        """The last step: everything takes its place, and the folder is complete."""
        path = self._folder / MANIFEST_NAME
        temporary = path.with_name(path.name + ".part")
        left_out = {"cut_off"} if manifest.cut_off is None else None
        content = orjson.dumps(
            manifest.model_dump(exclude=left_out),
            option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE,
        )
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        before = path.with_name(_BEFORE)
        if MANIFEST_NAME in self._own:
            path.replace(before)
        for name in self._own:
            (self._folder / name).unlink(missing_ok=True)
        for file in self._files:
            file.publish()
        temporary.replace(path)
        self._files.clear()  # nothing takes them away again
        before.unlink(missing_ok=True)
        os.fsync(self._handle)

    def _open(self, name: str) -> _File:
        file = _File(self._folder / name)
        self._files.append(file)
        return file

    def _open_shard(self) -> _File:
        if self._shard is None:
            self._shard = self._open(f"shard-{len(self._entries):05d}.jsonl")
        return self._shard

    def _close_shard(self) -> None:
        if self._shard is not None:
            self._entries.append(self._shard.finish())
            self._shard = None

    def _refuse_others_files(self) -> None:
        """Raises ShardError: a file of a name that this writes is there, and no manifest has it."""
        for path in sorted(self._folder.iterdir()):
            if is_ours(path.name) and path.name not in self._own:
                os.close(self._handle)
                raise ShardError(
                    f"{path}: no run wrote this, by the manifests here, so it is not replaced: "
                    "name another --out, or move it away"
                )

    def _keep_others_out(self) -> None:
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._handle)
            raise ShardError(
                f"{self._folder}: another run is writing shards here: wait for it, or name another "
                "--out"
            ) from None
        except OSError:  # a file system without locks
            return

    def _unwritable(self, error: OSError) -> ShardError:
        return ShardError(f"{self._folder}: shards cannot be written here ({error.strerror})")


def _end_of(block: bytes, n: int) -> int:
    """Where the first n lines end."""
    end = 0
    for _ in range(n):
        end = block.index(b"\n", end) + 1
    return end


def line_of(record: Record) -> bytes:
    """A record as a line of a shard."""
    return orjson.dumps(record.content, option=orjson.OPT_APPEND_NEWLINE)


def line_of_rejection(rejection: Rejection) -> bytes:
    """A rejection as a line of the rejects."""
    return orjson.dumps(rejection.line, option=orjson.OPT_APPEND_NEWLINE)


def is_ours(name: str) -> bool:
    """Whether a file of this name is one that a run writes."""
    return name in (MANIFEST_NAME, REJECTS_NAME) or _SHARD.fullmatch(name) is not None


def own_files(read: Callable[[str], bytes]) -> set[str]:
    """The files that a folder's manifests list, and its manifest where it is one. A run that was
    killed at its end leaves the old and the new manifest under their other names. read: a file of
    the folder; it raises OSError where there is none."""
    own: set[str] = set()
    for name in (MANIFEST_NAME, _BEFORE, f"{MANIFEST_NAME}.part"):
        try:
            content: Any = orjson.loads(read(name))
            listed = [shard["file"] for shard in content["shards"]]
            is_manifest = bool(content["fingerprint"])
        except (OSError, ValueError, TypeError, LookupError):
            continue
        if not is_manifest:
            continue
        own |= {REJECTS_NAME, *(file for file in listed if _SHARD.fullmatch(str(file)))}
        if name == MANIFEST_NAME:
            own.add(MANIFEST_NAME)
    return own
