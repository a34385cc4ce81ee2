"""Shards: records and rejections of one split, written so that a half-written folder shows it.

Files are written under temporary names and renamed; the old manifest goes first and the new one
comes last, so a folder with a manifest is complete.
"""

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Self

import orjson
from pydantic import BaseModel

from annotator.response.rejection import Rejection
from common.errors import ShardError
from common.manifest import MANIFEST_NAME, REJECTS_NAME, Counts, Manifest, ShardEntry
from common.record import Record


class _File:
    """One file under a temporary name, hashed as it is written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._temporary = path.with_name(path.name + ".part")
        self._file: BinaryIO = self._temporary.open("wb", buffering=1 << 18)
        self._digest = hashlib.sha256()
        self.rows = self.bytes = 0

    def write(self, value: BaseModel) -> None:
        line = value.__pydantic_serializer__.to_json(value) + b"\n"
        self._file.write(line)
        self._digest.update(line)
        self.rows += 1
        self.bytes += len(line)

    def finish(self) -> ShardEntry:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._temporary.replace(self.path)
        return ShardEntry(
            file=self.path.name, rows=self.rows, bytes=self.bytes, sha256=self._digest.hexdigest()
        )

    def abandon(self) -> None:
        with suppress(OSError):  # a full disk: closing would write what is left
            self._file.close()
        self._temporary.unlink(missing_ok=True)


class SplitWriter:
    """Writes one split's folder; a context manager that leaves no manifest behind on failure."""

    def __init__(self, folder: Path, rows_per_shard: int) -> None:
        self._folder, self._rows_per_shard = folder, rows_per_shard
        self._entries: list[ShardEntry] = []
        self._rejected: dict[str, int] = {}
        self._shard: _File | None = None

    def __enter__(self) -> Self:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / MANIFEST_NAME).unlink(missing_ok=True)
            for old in [*self._folder.glob("shard-*.jsonl"), *self._folder.glob("*.part")]:
                old.unlink()
            self._rejects = _File(self._folder / REJECTS_NAME)
        except OSError as error:
            raise self._unwritable(error) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        if error is not None:
            for file in (self._shard, self._rejects):
                if file is not None:
                    file.abandon()
            (self._folder / f"{MANIFEST_NAME}.part").unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise self._unwritable(error) from None

    def record(self, record: Record) -> None:
        """Add a record to the current shard, or to the next one when that is full."""
        if self._shard is None:
            name = f"shard-{len(self._entries):05d}.jsonl"
            self._shard = _File(self._folder / name)
        self._shard.write(record)
        if self._shard.rows == self._rows_per_shard:
            self._close_shard()

    def reject(self, rejection: Rejection) -> None:
        """Add a line to the rejects."""
        self._rejects.write(rejection)
        self._rejected[rejection.reason] = self._rejected.get(rejection.reason, 0) + 1

    def close_files(self) -> tuple[Counts, list[ShardEntry]]:
        """Finish shards and rejects; what they hold goes into the manifest."""
        if self._shard is not None:
            self._close_shard()
        self._rejects.finish()
        records = sum(entry.rows for entry in self._entries)
        rejected = dict(sorted(self._rejected.items()))
        rows = records + sum(rejected.values())
        return Counts(rows=rows, records=records, rejected=rejected), self._entries

    def write_manifest(self, manifest: Manifest) -> None:
        """The last step: from here on the folder is complete."""
        path = self._folder / MANIFEST_NAME
        content = orjson.dumps(
            manifest.model_dump(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
        )
        temporary = path.with_name(path.name + ".part")
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)

    def _close_shard(self) -> None:
        if self._shard is not None:
            self._entries.append(self._shard.finish())
            self._shard = None

    def _unwritable(self, error: OSError) -> ShardError:
        return ShardError(f"{self._folder}: shards cannot be written here ({error.strerror})")
