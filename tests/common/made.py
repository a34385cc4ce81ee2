"""A small folder of shards, as the annotator leaves it."""

import hashlib
from pathlib import Path

import orjson

from stepdistill.common.manifest import (
    MANIFEST_NAME,
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
from stepdistill.common.task import LabelSpec, StudentSpec


def a_record(index: int) -> Record:
    return Record(
        id=f"train-{index}",
        split="train",
        index=index,
        input={"text": f"Zürich {index} \U0001f600"},
        label="7",
        rationale=None if index % 2 else "three and four make seven",
        gold="3 + 4",
        templates=PartRef(label="plain", rationale="plain"),
        keys=PartRef(label="00" * 32, rationale=None),
        confidence=0.5,
    )


RECORDS = [a_record(index) for index in range(4)]


def _write_shard(folder: Path, number: int, records: list[Record]) -> ShardEntry:
    path = folder / f"shard-{number:05d}.jsonl"
    path.write_bytes(b"".join(orjson.dumps(r) + b"\n" for r in records))
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return ShardEntry(file=path.name, rows=len(records), bytes=len(content), sha256=digest)


def write_folder(folder: Path) -> Path:
    """Two shards of two records each, and their manifest."""
    shards = [_write_shard(folder, n, RECORDS[2 * n : 2 * n + 2]) for n in range(2)]
    manifest = Manifest(
        task="sums",
        split="train",
        counts=Counts(rows=5, records=4, rejected={"no_answer": 1}),
        shards=shards,
        hashes=Hashes(task="a", prompts="b", data="c"),
        fingerprint="d",
        teacher=TeacherEntry(model="simulated", endpoint="localhost"),
        reader=ReaderEntry(name="verdict", version=1),
        answers=4,
        tokens=TokenTotals(prompt=10, completion=5),
        cost=CostEntry(usd=0.0, price="free"),
        label=LabelSpec(kind="equation"),
        student=StudentSpec(input="{text}"),
    )
    (folder / MANIFEST_NAME).write_text(manifest.model_dump_json())
    return folder
