"""Write: a pure function of rows, prompts and store to one split's shards, rejects and manifest."""

import hashlib
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Self

import orjson

from stepdistill.annotator.money.bill import Bill
from stepdistill.annotator.money.prices import Tariff
from stepdistill.annotator.plan.plan import Plan, RowCursor
from stepdistill.annotator.reading.filters import filters_content
from stepdistill.annotator.reading.readers import VERSIONS
from stepdistill.annotator.reading.record import TRUNCATED, UNANSWERED
from stepdistill.annotator.run.chunks import ONE_CORE, Cores, in_chunks
from stepdistill.annotator.run.conclusions import ConcludeChunk, ConcludedChunk, Concluder
from stepdistill.annotator.run.unread import Unread
from stepdistill.annotator.settings.shards import SURE_ENOUGH, ShardSettings
from stepdistill.annotator.shard.elsewhere import shard_writer
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.common.errors import ConfigError, NothingThere, ShardError, StorageRefused
from stepdistill.common.files.storage import read_place
from stepdistill.common.judgements import read_judgements
from stepdistill.common.manifest import (
    REJECTS_NAME,
    SCHEMA_VERSION,
    Hashes,
    JudgementsEntry,
    Manifest,
    Rationales,
    ReaderEntry,
    RowShardEntry,
    TeacherEntry,
)
from stepdistill.common.shard_copies import are_there
from stepdistill.common.shards import read_manifest, verify
from stepdistill.common.urls import Place, Url, is_url

_TELL_EVERY = 10_000
Tell = Callable[[int], None]


class SplitWriter:
    """The shards of one split on their way; a context manager that leaves nothing half-written.

    Rows are written as far as the store's answers reach, and the others once there are more: of a
    run whose answers are all there, every row is read and its request made a single time.
    Raises ShardError, DatasetError, StoreError.
    """

    def __init__(
        self,
        plan: Plan,
        folder: Place,
        settings: ShardSettings,
        tariff: Tariff | None = None,
        cores: Cores = ONE_CORE,
    ) -> None:
        """tariff: list prices where it is None. Raises ConfigError."""
        self.folder, self.cores = folder, cores
        self._settings, self._concluder = settings, Concluder(plan=plan, settings=settings)
        self.rules, self._judgements = self._concluder.rules, self._concluder.judgements
        self.bill = Bill(tariff=tariff or Tariff(model=plan.model, host=plan.endpoint.name))
        self.written = self.records = self._explained = self._golds = 0
        self.first_unread: Unread | None = None
        self._writer = shard_writer(folder, settings.rows_per_shard)
        self._rows = RowCursor(plan)
        self._dropped: Counter[str] = Counter()

    def __enter__(self) -> Self:
        self._writer.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._writer.__exit__(*error)  # pyright: ignore[reportArgumentType]  # handed on as it came

    @property
    def plan(self) -> Plan:
        """Whose rows these are."""
        return self._concluder.plan

    @property
    def concluder(self) -> Concluder:
        """What becomes of rows by the rules and, once `ration` has set it, by the rate."""
        return self._concluder

    def concluder_of(self, plan: Plan) -> Concluder:
        """What becomes of the rows of another plan of this split, before the rate is known."""
        return replace(self._concluder, plan=plan, below=1.0)

    def write_answered(
        self, store: ResponseStore, tell: Tell, max_tokens: int | None = None
    ) -> bool:
        """Write up to the first row that the store cannot answer, or only with an answer that was
        cut off below max_tokens; whether there is none such."""
        return self._write(store, tell, stop_unanswered=True, max_tokens=max_tokens or 0)

    def ration(self, plan: Plan, below: float) -> None:
        """Before anything is written: who is asked for reasons, and which rows keep them."""
        self._concluder = replace(self._concluder, plan=plan, below=below)
        self._rows = RowCursor(plan)

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
            fingerprint=fingerprint(plan, self._settings),
            teacher=TeacherEntry(model=plan.model, endpoint=plan.endpoint.name),
            reader=ReaderEntry(name=self.rules.readers.name, version=self.rules.readers.version),
            rationales=Rationales(
                records=self._explained,
                asked_rate=self._settings.rationale_rate,
                dropped=dict(sorted(self._dropped.items())),
            ),
            answers=self.bill.answers,
            tokens=self.bill.tokens,
            cut_off=self.bill.cut_off,
            cost=self.bill.cost,
            label=plan.task.label,
            student=plan.task.student,
            columns=plan.task.columns(),
            judgements=self._judgements
            and JudgementsEntry(sha256=self._judgements.sha256, golds=self._golds),
            row_shard=self._row_shard(),
        )
        self._writer.publish(manifest)
        return manifest

    def _row_shard(self) -> RowShardEntry | None:
        plan, bill = self.plan, self.bill
        if plan.row_shard is None:
            return None
        usd = bill.usd
        return RowShardEntry(
            number=plan.row_shard.number,
            of=plan.row_shard.of,
            whole=fingerprint(replace(plan, row_shard=None), self._settings),
            rows_per_shard=self._settings.rows_per_shard,
            seed=plan.mix.seed,
            asked_below=plan.rationales_below,
            usd=None if usd is None else str(usd),
            reported=bill.reported,
            reported_usd=bill.reported_usd,
        )

    def _write(
        self, store: ResponseStore, tell: Tell, *, stop_unanswered: bool, max_tokens: int = 0
    ) -> bool:
        work = ConcludeChunk(
            concluder=self._concluder, stop_unanswered=stop_unanswered, max_tokens=max_tokens
        )
        with closing(in_chunks(work, self._rows, self.written, store, self.cores)) as chunks:
            for chunk in chunks:
                self._take(chunk, tell)
                if not chunk.is_settled:
                    return False
        return True

    def _take(self, chunk: ConcludedChunk, tell: Tell) -> None:
        self._writer.record_lines(chunk.records)
        self._writer.reject_lines(chunk.rejects, chunk.rejected)
        self.bill.include(chunk.answers)
        self.records += chunk.records.n
        self._golds += chunk.golds
        self._explained += chunk.explained
        self._dropped.update(chunk.dropped)
        self.first_unread = self.first_unread or chunk.first_unread
        told, self.written = self.written // _TELL_EVERY, self.written + chunk.rows
        if self.written // _TELL_EVERY > told:
            tell(self.written)


def fingerprint(plan: Plan, settings: ShardSettings) -> str:
    """sha256 of all that decides what the shards of a plan hold, the answers excepted."""
    content = [
        SCHEMA_VERSION,
        plan.task_hash,
        plan.prompts_hash,
        plan.source.digest,
        plan.split,
        plan.samples,
        [plan.model, plan.endpoint.name, plan.endpoint.path],
        [settings.reader, VERSIONS.get(settings.reader), *_unusual(settings)],
        settings.rows_per_shard,
        [plan.votes, settings.rationale_rate],
        filters_content(settings),
        *([] if plan.row_shard is None else [str(plan.row_shard)]),
        *([] if plan.chosen is None else [["chosen", *plan.chosen]]),
    ]
    return hashlib.sha256(orjson.dumps(content)).hexdigest()


def _unusual(settings: ShardSettings) -> list[object]:
    """How answers are read, where it is not as usual: the fingerprints of usual runs stay."""
    content: list[object] = []
    if settings.rationale_from != "answer":
        content.append(settings.rationale_from)
    if settings.min_confidence != SURE_ENOUGH:
        content.append(settings.min_confidence)
    if settings.keep_rationales > 1:
        content.append(["keep_rationales", settings.keep_rationales])
    if settings.judgements is not None:
        content.append(["judgements", read_judgements(settings.judgements).sha256])
    return content


def refuse_rows_within(out: Place, data: str | None) -> None:
    """Raises ConfigError: the shards' folder holds the rows that they are to be made of."""
    if data is None or data.startswith("hub:") or isinstance(out, Url) or is_url(data):
        return
    if Path(data).resolve().is_relative_to(out.resolve()):
        raise ConfigError(
            f"--out {out}: the rows lie in it (--data {data}): name a folder for shards alone"
        )


def finished(
    plan: Plan, folder: Place, settings: ShardSettings, max_tokens: int = 0
) -> Manifest | None:
    """The manifest of a folder that already holds all that this plan would write with answers of
    so many tokens, else None."""
    try:
        manifest = read_manifest(folder)
        if manifest.fingerprint != fingerprint(plan, settings):
            return None
        if isinstance(folder, Path):
            verify(folder, manifest)
        elif not are_there(folder, manifest):  # whoever reads them looks at every byte
            return None
    except (ShardError, StorageRefused):  # what is not there is refused to who may not list
        return None
    if _rejected_in(folder) != manifest.counts.rejected:
        return None
    if UNANSWERED & manifest.counts.rejected.keys():
        return None
    return None if _is_cut_off_below(max_tokens, manifest) else manifest


def _rejected_in(folder: Place) -> dict[str, int] | None:
    """Reason -> lines of the rejects file; None where it is not one."""
    try:
        lines = read_place(folder / REJECTS_NAME).splitlines()
        return dict(Counter(str(orjson.loads(line)["reason"]) for line in lines))
    except (OSError, NothingThere, StorageRefused, ValueError, TypeError, LookupError):
        return None


def _is_cut_off_below(max_tokens: int, manifest: Manifest) -> bool:
    """Whether answers were cut off where this limit would let them go on. A manifest from before
    this was noted does not say at what limit: then the store does."""
    if manifest.cut_off is None:
        return max_tokens > 0 and TRUNCATED in manifest.counts.rejected
    return manifest.cut_off.limit is not None and manifest.cut_off.limit < max_tokens
