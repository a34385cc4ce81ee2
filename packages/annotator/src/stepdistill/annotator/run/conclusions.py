"""What becomes of rows, in chunks: their lines and what these count, made in whichever process."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

from stepdistill.annotator.money.bill import AnswerSums
from stepdistill.annotator.plan.plan import Plan, PlannedRow
from stepdistill.annotator.reading.filters import make_filters
from stepdistill.annotator.reading.readers import make_readers
from stepdistill.annotator.reading.record import UNANSWERED, RowResult, Rules, conclude
from stepdistill.annotator.reading.rejection import Rejection
from stepdistill.annotator.run.unread import Unread
from stepdistill.annotator.settings.shards import ShardSettings
from stepdistill.annotator.shard.jsonl import LineBlocks, line_of, line_of_rejection
from stepdistill.annotator.store.snapshot import Snapshot
from stepdistill.common.errors import ConfigError
from stepdistill.common.judgements import Judgements, read_judgements, row_digest
from stepdistill.common.kinds.registry import kind_of
from stepdistill.common.record import Record

OVER_THE_RATE = "over_the_rate"


def make_rules(plan: Plan, settings: ShardSettings) -> Rules:
    """The rules by which this plan's answers become records. Raises ConfigError."""
    readers = make_readers(settings.reader, plan.task.label, plan.templates)
    filters = make_filters(settings, plan.task, readers)
    return Rules(
        kind=kind_of(plan.task.label),
        readers=readers,
        filters=filters,
        rationale_from=settings.rationale_from,
        min_confidence=settings.min_confidence,
        rationales=settings.keep_rationales,
    )


@dataclass(frozen=True, kw_only=True)
class Concluder:
    """Says what becomes of a plan's rows. A process that gets a copy of it makes the rules anew,
    and reads what people judged. Raises ConfigError."""

    plan: Plan
    settings: ShardSettings
    below: float = 1.0  # of the rows that have reasons, those with a lower number keep them

    def __reduce__(self) -> tuple[object, ...]:
        return _concluder, (self.plan, self.settings, self.below)

    @cached_property
    def rules(self) -> Rules:
        """How answers are read."""
        return make_rules(self.plan, self.settings)

    @cached_property
    def judgements(self) -> Judgements | None:
        """What people say of labels."""
        path = self.settings.judgements
        if path is not None and not path.is_file():
            raise ConfigError(
                f"--judgements {path}: no such file: annotate audit --judge makes one"
            )
        return None if path is None else read_judgements(path)

    def conclude(self, planned: PlannedRow, stored: Snapshot) -> RowResult:
        """What becomes of one row, by the rules, by what people say, and by the rate."""
        row = conclude(planned, stored, self.rules)
        record = row.result
        if isinstance(record, Record) and (told := self.told(record)) is not None:
            record = replace(record, gold=told)
            row = row._replace(result=record)
        if self.below >= 1 or not isinstance(record, Record) or record.rationale is None:
            return row
        if self.plan.uniform(planned.row) < self.below:
            return row
        return row._replace(result=record.without_rationale(), dropped=OVER_THE_RATE)

    def told(self, record: Record) -> str | None:
        """The label that people say its row should have; None where nobody says."""
        if self.judgements is None:
            return None
        return self.judgements.right_label(row_digest(record.id, record.input))


def _concluder(plan: Plan, settings: ShardSettings, below: float) -> Concluder:
    return Concluder(plan=plan, settings=settings, below=below)


@dataclass(slots=True, kw_only=True)
class ConcludedChunk:
    """What became of some rows that follow each other, and what is counted of them."""

    records: LineBlocks = field(default_factory=LineBlocks)
    rejects: LineBlocks = field(default_factory=LineBlocks)
    rejected: Counter[str] = field(default_factory=Counter[str])  # reason -> rows
    golds: int = 0  # records whose gold label is what people said
    explained: int = 0  # records with reasons
    dropped: Counter[str] = field(default_factory=Counter[str])  # why records lost theirs
    answers: AnswerSums = field(default_factory=AnswerSums)
    first_unread: Unread | None = None
    is_settled: bool = True  # False: it ends where a row has to be asked

    @property
    def rows(self) -> int:
        """How many there are."""
        return self.records.n + self.rejects.n


@dataclass(frozen=True, kw_only=True)
class ConcludeChunk:
    """Makes a chunk of rows. stop_unanswered: up to the first that the store cannot answer, or only
    with an answer that was cut off below max_tokens."""

    concluder: Concluder
    stop_unanswered: bool
    max_tokens: int = 0

    @property
    def plan(self) -> Plan:
        """Whose rows they are."""
        return self.concluder.plan

    def __call__(self, rows: Iterator[PlannedRow], stored: Snapshot) -> ConcludedChunk:
        """The rows, concluded. Raises StoreError, DatasetError, ConfigError."""
        chunk, concluder = ConcludedChunk(), self.concluder
        answers, records = chunk.answers, chunk.records
        for planned in rows:
            row = concluder.conclude(planned, stored)
            result = row.result
            if self.stop_unanswered and not _is_settled(row, self.max_tokens):
                chunk.is_settled = False
                break
            if isinstance(result, Rejection):
                self._reject(chunk, planned, row, result)
            else:
                records.add(line_of(result))
                chunk.golds += concluder.told(result) is not None
                chunk.explained += result.rationale is not None
                if row.dropped is not None:
                    chunk.dropped[row.dropped] += 1
            for answer in row.answers:
                answers.add(answer)
        return chunk

    def _reject(
        self, chunk: ConcludedChunk, planned: PlannedRow, row: RowResult, rejection: Rejection
    ) -> None:
        chunk.rejects.add(line_of_rejection(rejection))
        chunk.rejected[rejection.reason] += 1
        if chunk.first_unread is None:
            text = row.answers[0].text if row.answers else None
            chunk.first_unread = Unread(planned, self.plan.task.label, rejection, text)


def _is_settled(row: RowResult, max_tokens: int) -> bool:
    """Whether all of a row's requests have answers that a limit of max_tokens would not change."""
    if isinstance(row.result, Rejection) and row.result.reason in UNANSWERED:
        return False
    return not any([answer.may_go_on(max_tokens) for answer in row.answers])
