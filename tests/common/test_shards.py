"""Shards are believed only when manifest and bytes agree; every doubt is one clear line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from stepdistill.common.errors import ShardError
from stepdistill.common.manifest import MANIFEST_NAME
from stepdistill.common.record import read_record
from stepdistill.common.shards import read_manifest, read_records, verify
from tests.common.made import RECORDS


def line_of(action: Callable[[], object]) -> str:
    with pytest.raises(ShardError) as refused:
        action()
    message = str(refused.value)
    assert "\n" not in message
    return message


def edit_manifest(folder: Path, **changes: Any) -> None:
    path = folder / MANIFEST_NAME
    path.write_bytes(orjson.dumps({**orjson.loads(path.read_bytes()), **changes}))


def test_records_come_back_as_they_were_written(folder: Path):
    manifest = read_manifest(folder)
    verify(folder, manifest)

    assert list(read_records(folder, manifest)) == RECORDS


def test_a_record_survives_the_way_through_json():
    for record in RECORDS:
        assert read_record(orjson.dumps(record)) == record


@pytest.mark.parametrize("change", [{"index": "one"}, {"index": None}, {"surplus": 1}])
def test_a_line_with_a_wrong_field_is_no_record(change: dict[str, Any]):
    line = orjson.dumps({**orjson.loads(orjson.dumps(RECORDS[0])), **change})

    with pytest.raises(ValidationError):
        read_record(line)


@pytest.mark.parametrize("place", [0, 100, -2])
def test_a_flipped_byte_is_seen(folder: Path, place: int):
    path = folder / "shard-00001.jsonl"
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)

    message = line_of(lambda: verify(folder, read_manifest(folder)))
    assert "shard-00001.jsonl" in message
    assert "sha256" in message


def test_a_cut_shard_is_seen(folder: Path):
    path = folder / "shard-00000.jsonl"
    path.write_bytes(path.read_bytes()[:-1])

    assert "shard-00000.jsonl" in line_of(lambda: verify(folder, read_manifest(folder)))


def test_a_missing_shard_is_named(folder: Path):
    (folder / "shard-00001.jsonl").unlink()

    message = line_of(lambda: verify(folder, read_manifest(folder)))
    assert "shard-00001.jsonl" in message
    assert "No such file" in message


def test_without_a_manifest_the_folder_is_not_complete(folder: Path):
    (folder / MANIFEST_NAME).unlink()

    message = line_of(lambda: read_manifest(folder))
    assert MANIFEST_NAME in message
    assert "annotate run" in message


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"{}", b"\xff\xfe"])
def test_a_manifest_that_is_none_is_named(folder: Path, content: bytes):
    (folder / MANIFEST_NAME).write_bytes(content)

    assert MANIFEST_NAME in line_of(lambda: read_manifest(folder))


def test_a_manifest_with_an_unknown_field_is_refused(folder: Path):
    edit_manifest(folder, machine="mine")

    assert MANIFEST_NAME in line_of(lambda: read_manifest(folder))


def test_a_manifest_of_another_schema_is_refused_with_both_versions(folder: Path):
    for new in ({}, {"a_field_of_its_own": 1}):
        edit_manifest(folder, schema_version=2, **new)

        message = line_of(lambda: read_manifest(folder))
        assert "version 2" in message
        assert "reads 1" in message


def test_a_shard_that_goes_while_it_is_read_is_named(folder: Path):
    records = read_records(folder, read_manifest(folder))
    next(records)
    (folder / "shard-00001.jsonl").unlink()

    assert "shard-00001.jsonl" in line_of(lambda: list(records))


@pytest.mark.parametrize("line", [b"{", b"{}", b"7", b"\xff", b""])
def test_a_line_that_is_no_record_is_named_by_file_and_number(folder: Path, line: bytes):
    path = folder / "shard-00001.jsonl"
    first = path.read_bytes().splitlines()[0]
    path.write_bytes(first + b"\n" + line + b"\n")
    records = read_records(folder, read_manifest(folder))

    assert "shard-00001.jsonl line 2" in line_of(lambda: list(records))
