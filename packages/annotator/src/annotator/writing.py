"""Write: a pure function of rows, prompts and store to one split's shards, rejects and manifest."""

import hashlib
from pathlib import Path

import orjson

from annotator.cost.bill import Bill
from annotator.request.plan import Plan
from annotator.request.store import ResponseStore
from annotator.response import read_verdict
from annotator.response.read_verdict import VerdictReader
from annotator.response.record import UNANSWERED, conclude
from annotator.response.rejection import Rejection
from annotator.shard.writer import SplitWriter
from common.errors import ShardError
from common.manifest import SCHEMA_VERSION, Hashes, Manifest, Reader, Teacher, Tokens
from common.shards import read_manifest, verify


def write_split(plan: Plan, store: ResponseStore, folder: Path, rows_per_shard: int) -> Manifest:
    """Write the folder anew and return its manifest. Raises ShardError, DatasetError."""
    reader = VerdictReader(plan.task.label)
    bill = Bill(host=plan.endpoint.name, model=plan.model)
    with SplitWriter(folder, rows_per_shard) as writer, store.reading() as stored:
        for planned in plan.rows():
            outcome = conclude(planned, stored, reader)
            for answer in outcome.answers.values():
                bill.add(answer)
            if isinstance(outcome.result, Rejection):
                writer.reject(outcome.result)
            else:
                writer.record(outcome.result)
        counts, shards = writer.close_files()
        manifest = Manifest(
            task=plan.task.task,
            split=plan.split,
            counts=counts,
            shards=shards,
            hashes=Hashes(task=plan.task_hash, prompts=plan.prompts_hash, data=plan.source.digest),
            fingerprint=fingerprint(plan, rows_per_shard),
            teacher=Teacher(model=plan.model, endpoint=plan.endpoint.name),
            reader=Reader(name=read_verdict.NAME, version=read_verdict.VERSION),
            answers=bill.answers,
            tokens=Tokens(**bill.tokens),
            cost=bill.cost,
            label=plan.task.label,
            student=plan.task.student,
        )
        writer.write_manifest(manifest)
    return manifest


def fingerprint(plan: Plan, rows_per_shard: int) -> str:
    """sha256 of all that decides what the shards of a plan hold, the answers excepted."""
    content = [
        SCHEMA_VERSION,
        plan.task_hash,
        plan.prompts_hash,
        plan.source.digest,
        plan.split,
        plan.samples,
        [plan.model, plan.endpoint.name, plan.endpoint.path],
        [read_verdict.NAME, read_verdict.VERSION],
        rows_per_shard,
    ]
    return hashlib.sha256(orjson.dumps(content)).hexdigest()


def finished(plan: Plan, folder: Path, rows_per_shard: int) -> Manifest | None:
    """The manifest of a folder that already holds all that this plan would write, else None."""
    try:
        manifest = read_manifest(folder)
        if manifest.fingerprint != fingerprint(plan, rows_per_shard):
            return None
        verify(folder, manifest)
    except ShardError:
        return None
    return None if UNANSWERED & manifest.counts.rejected.keys() else manifest
