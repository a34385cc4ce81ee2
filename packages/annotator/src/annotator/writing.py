"""Write: a pure function of rows, prompts and store to one split's shards, rejects and manifest."""

import hashlib
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Self

import orjson

from annotator.cost.bill import Bill
from annotator.request.plan import Plan, PlannedRow
from annotator.request.store import ResponseStore
from annotator.response import read_verdict
from annotator.response.read_verdict import VerdictReader
from annotator.response.record import UNANSWERED, conclude
from annotator.response.rejection import Rejection
from annotator.shard.writer import SplitWriter
from common.errors import ShardError
from common.manifest import SCHEMA_VERSION, Hashes, Manifest, Reader, Teacher
from common.shards import read_manifest, verify

_TELL_EVERY = 10_000
Tell = Callable[[int], None]


class SplitShards:
    """The shards of one split on their way; a context manager that leaves nothing half-written.

    Rows are written as far as the store's answers reach, and the rest once there are more: of a
    run whose answers are all there, every row is read and its request made a single time.
    Raises ShardError, DatasetError, StoreError.
    """

    def __init__(self, plan: Plan, folder: Path, rows_per_shard: int) -> None:
        self.plan, self.folder = plan, folder
        self.written = 0
        self._rows_per_shard = rows_per_shard
        self._writer = SplitWriter(folder, rows_per_shard)
        self._reader = VerdictReader(plan.task.label)
        self.bill = Bill(host=plan.endpoint.name, model=plan.model)
        self._rows: Iterator[PlannedRow] = plan.rows()

    def __enter__(self) -> Self:
        self._writer.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._writer.__exit__(*error)  # pyright: ignore[reportArgumentType]  # handed on as it came

    def write_answered(self, store: ResponseStore, tell: Tell) -> bool:
        """Write up to the first row that the store cannot answer; whether there is none such."""
        return self._write(store, tell, stop_unanswered=True)

    def write_rest(self, store: ResponseStore, tell: Tell) -> Manifest:
        """Write what is left, and put everything in its place."""
        self._write(store, tell, stop_unanswered=False)
        plan = self.plan
        counts, shards = self._writer.close_files()
        manifest = Manifest(
            task=plan.task.task,
            split=plan.split,
            counts=counts,
            shards=shards,
            hashes=Hashes(task=plan.task_hash, prompts=plan.prompts_hash, data=plan.source.digest),
            fingerprint=fingerprint(plan, self._rows_per_shard),
            teacher=Teacher(model=plan.model, endpoint=plan.endpoint.name),
            reader=Reader(name=read_verdict.NAME, version=read_verdict.VERSION),
            answers=self.bill.answers,
            tokens=self.bill.tokens,
            cost=self.bill.cost,
            label=plan.task.label,
            student=plan.task.student,
        )
        self._writer.publish(manifest)
        return manifest

    def _write(self, store: ResponseStore, tell: Tell, *, stop_unanswered: bool) -> bool:
        writer, bill = self._writer, self.bill
        with store.reading() as stored:
            for planned in self._rows:
                outcome = conclude(planned, stored, self._reader)
                result = outcome.result
                if isinstance(result, Rejection):
                    if stop_unanswered and result.reason in UNANSWERED:
                        self._rows = chain((planned,), self._rows)
                        return False
                    writer.reject(result)
                else:
                    writer.record(result)
                for answer in outcome.answers:
                    bill.add(answer)
                self.written += 1
                if self.written % _TELL_EVERY == 0:
                    tell(self.written)
        return True


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
