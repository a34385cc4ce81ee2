"""Reading shards back through their manifest; every byte is checked before it is believed."""

import hashlib
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import cast

import orjson
from pydantic import ValidationError

from stepdistill.common.errors import NothingThere, ShardError
from stepdistill.common.files.storage import read_place
from stepdistill.common.manifest import MANIFEST_NAME, SCHEMA_VERSION, Manifest
from stepdistill.common.record import Record, read_record
from stepdistill.common.urls import Place

_CHUNK_BYTES = 1 << 18


def read_manifest(folder: Place) -> Manifest:
    """The manifest of a folder of shards, e.g. `runs/demo/train`. Raises ShardError, StorageError:
    nobody can say whether there is one."""
    path = folder / MANIFEST_NAME
    try:
        return parse_manifest(path, read_place(path))
    except (FileNotFoundError, NothingThere):
        raise ShardError(
            f"{path}: no manifest, so these shards are not complete: finish `annotate run` first"
        ) from None
    except OSError as error:
        raise ShardError(f"{path}: not a readable manifest ({_first_line(error)})") from None


def parse_manifest(path: Place, text: bytes) -> Manifest:
    """What a manifest says. path: of it, for errors. Raises ShardError."""
    try:
        content: object = orjson.loads(text)
        _check_version(path, content)
        return Manifest.model_validate(content)
    except (orjson.JSONDecodeError, ValidationError) as error:
        raise ShardError(f"{path}: not a readable manifest ({_first_line(error)})") from None


def _check_version(path: Place, content: object) -> None:
    """Before anything else is read: another version may have other fields."""
    fields = cast(dict[str, object], content) if isinstance(content, dict) else {}
    version = fields.get("schema_version", SCHEMA_VERSION)
    if version != SCHEMA_VERSION:
        raise ShardError(
            f"{path}: schema version {version}, this program reads {SCHEMA_VERSION}: annotate again"
        )


def verify(folder: Path, manifest: Manifest) -> None:
    """Raise ShardError unless every shard is there with the sha256 that the manifest states, and
    the records that it counts."""
    records = 0
    for shard in manifest.shards:
        path, digest = folder / shard.file, hashlib.sha256()
        with _open(path) as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
                records += chunk.count(b"\n")
        if digest.hexdigest() != shard.sha256:
            raise ShardError(
                f"{path}: sha256 differs from the manifest's: the file was changed, "
                "write the shards again"
            )
    if records != manifest.counts.records:
        raise ShardError(
            f"{folder / MANIFEST_NAME}: {manifest.counts.records:,} records, its shards have "
            f"{records:,}: the manifest was changed, write the shards again"
        )


def read_lines(folder: Path, manifest: Manifest) -> Iterator[bytes]:
    """Every record's line in row order."""
    for shard in manifest.shards:
        with _open(folder / shard.file) as file:
            yield from file


def read_records(folder: Path, manifest: Manifest) -> Iterator[Record]:
    """Every record in row order. Raises ShardError on a line that is no record."""
    for shard in manifest.shards:
        path = folder / shard.file
        with _open(path) as file:
            for number, line in enumerate(file, start=1):
                try:
                    yield read_record(line)
                except ValidationError as error:
                    raise ShardError(
                        f"{path} line {number}: not a record ({_first_line(error)})"
                    ) from None


def _open(path: Path) -> BufferedReader:
    try:
        return path.open("rb")
    except OSError as error:
        raise ShardError(
            f"{path}: cannot be read ({error.strerror}): write the shards again"
        ) from None


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return ": ".join([*map(str, first["loc"]), first["msg"]])
    return str(error).splitlines()[0]
