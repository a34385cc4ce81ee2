"""A folder with a manifest is complete; whatever goes wrong before leaves none, and no leavings."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from stepdistill.annotator.reading.rejection import Rejection
from stepdistill.annotator.shard.jsonl import JsonlWriter, line_of, line_of_rejection
from stepdistill.common.errors import ShardError
from stepdistill.common.manifest import (
    MANIFEST_NAME,
    REJECTS_NAME,
    CostEntry,
    Counts,
    Hashes,
    Manifest,
    ReaderEntry,
    ShardEntry,
    TeacherEntry,
    TokenTotals,
)
from stepdistill.common.record import PartRef, Record
from stepdistill.common.shards import read_manifest, read_records, verify
from stepdistill.common.task import LabelSpec, StudentSpec

FULL_DISK = """
import resource, sys
from pathlib import Path
from stepdistill.annotator.reading.rejection import Rejection
from stepdistill.annotator.shard.jsonl import JsonlWriter, line_of_rejection
from stepdistill.common.errors import ShardError
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
rejection = Rejection(id="x" * 200, split="train", index=0, stage="request", reason="no_answer")
try:
    with JsonlWriter(Path(sys.argv[1]), 100) as writer:
        for _ in range(50):
            writer.reject_line(line_of_rejection(rejection), rejection.reason)
        writer.close_files()
except ShardError as error:
    print(error)
"""


class Trouble(Exception):
    pass


def a_record(index: int) -> Record:
    return Record(
        id=f"train-{index}",
        split="train",
        index=index,
        input={"text": f"Zürich\n{index}"},
        label="addition",
        rationale=None,
        gold=None,
        templates=PartRef(label="plain", rationale=None),
        keys=PartRef(label="00", rationale=None),
        confidence=0.9,
    )


def a_rejection(index: int, reason: str = "no_answer") -> Rejection:
    return Rejection(
        id=f"train-{index}", split="train", index=index, stage="request", reason=reason
    )


def a_manifest(counts: Counts, shards: list[ShardEntry]) -> Manifest:
    return Manifest(
        task="sums",
        split="train",
        counts=counts,
        shards=shards,
        hashes=Hashes(task="a", prompts="b", data="c"),
        fingerprint="d",
        teacher=TeacherEntry(model="simulated", endpoint="localhost"),
        reader=ReaderEntry(name="verdict", version=1),
        answers=counts.rows,
        tokens=TokenTotals(),
        cost=CostEntry(usd=0.0, price="free"),
        label=LabelSpec(kind="text"),
        student=StudentSpec(input="{text}"),
    )


def write(folder: Path, n: int, rows_per_shard: int, *rejects: Rejection) -> Manifest:
    with JsonlWriter(folder, rows_per_shard) as writer:
        for index in range(n):
            writer.record_line(line_of(a_record(index)))
        for rejection in rejects:
            writer.reject_line(line_of_rejection(rejection), rejection.reason)
        manifest = a_manifest(*writer.close_files())
        writer.publish(manifest)
    return manifest


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("n", "rows_per_shard", "rows"),
    [(0, 3, []), (1, 3, [1]), (3, 3, [3]), (4, 3, [3, 1]), (6, 3, [3, 3]), (3, 1, [1, 1, 1])],
)
def test_records_are_split_into_shards_of_so_many_rows(
    tmp_path: Path, n: int, rows_per_shard: int, rows: list[int]
):
    manifest = write(tmp_path / "train", n, rows_per_shard)

    assert [shard.rows for shard in manifest.shards] == rows
    shards = {f"shard-{number:05d}.jsonl" for number in range(len(rows))}
    assert names(tmp_path / "train") == {*shards, REJECTS_NAME, MANIFEST_NAME}
    read = read_manifest(tmp_path / "train")
    assert read == manifest
    assert list(read_records(tmp_path / "train", read)) == [a_record(index) for index in range(n)]


def test_the_manifest_states_rows_bytes_and_hash_of_each_shard(tmp_path: Path):
    manifest = write(tmp_path, 5, 2)

    verify(tmp_path, manifest)
    for shard in manifest.shards:
        content = (tmp_path / shard.file).read_bytes()
        assert shard.bytes == len(content)
        assert shard.rows == content.count(b"\n")
        assert shard.sha256 == hashlib.sha256(content).hexdigest()


def test_rejections_are_written_and_counted_by_reason(tmp_path: Path):
    rejects = [a_rejection(7), a_rejection(8, "bad_request"), a_rejection(9)]
    counts = write(tmp_path, 2, 10, *rejects).counts

    lines = (tmp_path / REJECTS_NAME).read_bytes().splitlines()
    assert [Rejection(**orjson.loads(line)) for line in lines] == rejects
    assert counts == Counts(rows=5, records=2, rejected={"bad_request": 1, "no_answer": 2})
    assert list(counts.rejected) == sorted(counts.rejected)


def test_the_same_rows_are_the_same_bytes(tmp_path: Path):
    for name in "ab":
        write(tmp_path / name, 7, 3, a_rejection(7))

    for name in names(tmp_path / "a"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_until_the_last_moment_nothing_is_there_under_its_name(tmp_path: Path):
    with JsonlWriter(tmp_path, 2) as writer:
        for index in range(5):
            writer.record_line(line_of(a_record(index)))
        counts, shards = writer.close_files()
        assert all(name.endswith(".part") for name in names(tmp_path))
        writer.publish(a_manifest(counts, shards))
    assert {shard.file for shard in shards} | {REJECTS_NAME, MANIFEST_NAME} == names(tmp_path)


@pytest.mark.parametrize("closed", [False, True])
def test_an_exception_leaves_what_was_there_and_nothing_half_written(tmp_path: Path, closed: bool):
    write(tmp_path, 9, 2)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(Trouble), JsonlWriter(tmp_path, 2) as writer:
        for index in range(3):
            writer.record_line(line_of(a_record(index + 1)))
        writer.reject_line(line_of_rejection(a_rejection(3)), a_rejection(3).reason)
        if closed:
            writer.close_files()
        raise Trouble

    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_second_writer_is_told_that_there_is_a_first(tmp_path: Path):
    with JsonlWriter(tmp_path, 2) as writer:
        writer.record_line(line_of(a_record(0)))
        with pytest.raises(ShardError, match="another run is writing"):
            write(tmp_path, 1, 1)
        manifest = a_manifest(*writer.close_files())
        writer.publish(manifest)

    assert list(read_records(tmp_path, manifest)) == [a_record(0)]
    write(tmp_path, 1, 1)


def test_the_next_writer_removes_what_was_there_before(tmp_path: Path):
    write(tmp_path, 9, 2, a_rejection(9))
    (tmp_path / "shard-00009.jsonl.part").touch()
    (tmp_path / "notes.txt").touch()

    manifest = write(tmp_path, 2, 2)

    assert names(tmp_path) == {"shard-00000.jsonl", REJECTS_NAME, MANIFEST_NAME, "notes.txt"}
    assert (tmp_path / REJECTS_NAME).read_bytes() == b""
    assert manifest.counts.rejected == {}


@pytest.mark.parametrize("name", ["shard-00007.jsonl", MANIFEST_NAME, REJECTS_NAME])
@pytest.mark.parametrize("beside_ours", [False, True])
def test_a_file_that_nobody_here_wrote_is_refused_and_kept(
    tmp_path: Path, name: str, beside_ours: bool
):
    if beside_ours:
        write(tmp_path, 3, 1, a_rejection(3))
    (tmp_path / name).write_text('{"shards": []}')
    (tmp_path / "notes.part").write_text("mine")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}

    if beside_ours and name == REJECTS_NAME:  # the manifest lists it
        write(tmp_path, 3, 1)
        assert (tmp_path / "notes.part").read_text() == "mine"
        return
    with pytest.raises(ShardError, match="no run wrote this"):
        write(tmp_path, 3, 1)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("left", ["manifest.json.before", "manifest.json.part"])
def test_a_run_that_was_killed_at_its_end_is_gone_over(tmp_path: Path, left: str):
    write(tmp_path, 3, 1)
    (tmp_path / MANIFEST_NAME).rename(tmp_path / left)

    write(tmp_path, 1, 1)
    assert names(tmp_path) == {"shard-00000.jsonl", REJECTS_NAME, MANIFEST_NAME}


@pytest.mark.parametrize("inside", ["", "train"])
def test_a_file_in_the_place_of_the_folder_is_said_so(tmp_path: Path, inside: str):
    place = tmp_path / "runs"
    place.touch()

    with pytest.raises(ShardError) as refused:
        write(place / inside, 1, 1)
    assert f"{place / inside}: shards cannot be written here" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_folder_in_the_place_of_a_shard_is_said_so_and_leaves_no_manifest(tmp_path: Path):
    with pytest.raises(ShardError, match="cannot be written here"), JsonlWriter(tmp_path, 1) as out:
        out.record_line(line_of(a_record(0)))
        (tmp_path / "shard-00000.jsonl" / "inside").mkdir(parents=True)
        out.publish(a_manifest(*out.close_files()))

    assert names(tmp_path) == {"shard-00000.jsonl"}


def test_a_manifest_that_cannot_be_put_in_its_place_leaves_nothing_half_written(tmp_path: Path):
    with pytest.raises(ShardError, match="cannot be written here"), JsonlWriter(tmp_path, 1) as out:
        counts, shards = out.close_files()
        (tmp_path / MANIFEST_NAME / "inside").mkdir(parents=True)
        out.publish(a_manifest(counts, shards))

    assert names(tmp_path) == {MANIFEST_NAME}


def test_a_full_disk_is_said_so_and_leaves_nothing_half_written(tmp_path: Path):
    # A process of its own, which may write files of no more than 2000 bytes.
    words = [sys.executable, "-c", FULL_DISK, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)

    assert done.stdout == f"{tmp_path}: shards cannot be written here (File too large)\n"
    assert names(tmp_path) == set()


@pytest.mark.parametrize("value", ["\n", '"', "\u2028", "\U0001f600", "\x00"])
def test_a_record_is_one_line_whatever_it_says(tmp_path: Path, value: str):
    record = a_record(0)
    changes: dict[str, Any] = {"input": {"text": value}, "rationale": value, "label": value}
    odd = replace(record, **changes)
    with JsonlWriter(tmp_path, 5) as writer:
        writer.record_line(line_of(odd))
        writer.record_line(line_of(record))
        manifest = a_manifest(*writer.close_files())
        writer.publish(manifest)

    assert manifest.counts.records == 2
    assert list(read_records(tmp_path, manifest)) == [odd, record]
