"""What the store has of a task's rows, as columns of numbers: of every template and vote what label
it came to, whether that is right, and what it cost."""

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepdistill.annotator.dataset.rows import Row, read_rows
from stepdistill.annotator.money.prices import Tariff
from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.plan.plan import Plan, PlannedRow, RequestMaker
from stepdistill.annotator.prompt.mix import Assignment, single
from stepdistill.annotator.reading.readers import Reader
from stepdistill.annotator.reading.reading import Reading
from stepdistill.annotator.reading.record import Rules, conclude, unusable
from stepdistill.annotator.reading.verdict.refusal import gives_no_reasons
from stepdistill.annotator.store.answer import Answer, Mode
from stepdistill.annotator.store.snapshot import Snapshot
from stepdistill.annotator.what_if.estimates import Floats, Numbers, RowValues
from stepdistill.annotator.what_if.more_votes import RIGHT, UNREAD, Seen
from stepdistill.common.judgements import Judgements, row_digest
from stepdistill.common.record import Record

MOST_VOTES = 5
_KEY_BYTES = 8  # of a hash: enough to tell answers apart
NOT_KNOWN = float("nan")
_TELL_EVERY = 1_000  # rows
Bools = NDArray[np.bool_]
_Stored = tuple[Request, Answer]


@dataclass(slots=True, kw_only=True)
class AnswerCosts:
    """The answers of one template: those that a row before has as well are not among them."""

    answers: int = 0
    counted: int = 0  # whose tokens are known
    unpriced: int = 0  # of these, whose price nobody knows
    today_usd: float = 0.0  # what the others would cost today, together

    @property
    def today_each(self) -> float | None:
        """USD of one more; None where that is not known."""
        known = self.counted - self.unpriced
        return self.today_usd / known if known else None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelsAsked:
    """What one template was asked: a line for each row that has an answer.

    rows: their numbers; stored: how many answers each has without a gap, 1 to MOST_VOTES. A column
    for each number of votes: right, kept (there is a record), with_reasons, agrees (what share of
    the row's other answers say the same; NaN where there are none). A column for each answer: seen
    (right is known only where there is gold), usd, tokens: 0 where a row before has the same
    request, NaN where nobody knows.
    """

    rows: Numbers
    stored: NDArray[np.int8]
    seen: Seen
    right: Floats
    kept: Floats
    with_reasons: Floats
    agrees: Floats
    usd: Floats
    tokens: Floats
    spent: AnswerCosts

    def column(self, name: str, votes: int) -> RowValues:
        """A value after so many votes, of the rows that have them and of which it is known."""
        values: Floats = getattr(self, name)[:, votes - 1]
        return RowValues(self.rows, values).where((self.stored >= votes) & ~np.isnan(values))

    def cost(self, name: str, votes: int) -> RowValues:
        """What so many votes cost, likewise."""
        values: Floats = getattr(self, name)[:, :votes].sum(axis=1)
        return RowValues(self.rows, values).where((self.stored >= votes) & ~np.isnan(values))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonsAsked:
    """What a template was asked for reasons alone: a line for each row that has an answer. has:
    whether there are reasons in it."""

    rows: Numbers
    has: Floats
    usd: Floats
    tokens: Floats
    spent: AnswerCosts

    def column(self, name: str) -> RowValues:
        """One of its values, where it is known."""
        values: Floats = getattr(self, name)
        return RowValues(self.rows, values).where(~np.isnan(values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """Everything that the store has of some splits' rows, which are numbered one after another.

    asked, explained: by template; uniform: each row's number in [0, 1); splits: rows of each;
    n_labels: how many labels a row can have, None where they are not to be listed.
    """

    asked: dict[str, LabelsAsked]
    explained: dict[str, ReasonsAsked]
    has_gold: Bools
    uniform: Floats
    splits: dict[str, int]
    n_labels: int | None

    @property
    def n_rows(self) -> int:
        """Of all splits."""
        return len(self.has_gold)


@dataclass(slots=True, kw_only=True)
class _Lines:
    """The lines of one template as they are read, in little memory."""

    rows: "array[int]" = field(default_factory=lambda: array("q"))
    stored: "array[int]" = field(default_factory=lambda: array("b"))
    seen: "array[int]" = field(default_factory=lambda: array("b"))
    right: "array[int]" = field(default_factory=lambda: array("b"))
    kept: "array[int]" = field(default_factory=lambda: array("b"))
    with_reasons: "array[int]" = field(default_factory=lambda: array("b"))
    agrees: "array[float]" = field(default_factory=lambda: array("f"))
    usd: "array[float]" = field(default_factory=lambda: array("d"))
    tokens: "array[float]" = field(default_factory=lambda: array("f"))
    spent: AnswerCosts = field(default_factory=AnswerCosts)

    def asked(self) -> LabelsAsked:
        """For labels."""
        return LabelsAsked(
            rows=np.array(self.rows, dtype=np.int64),
            stored=np.array(self.stored, dtype=np.int8),
            seen=np.array(self.seen, dtype=np.int8).reshape(-1, MOST_VOTES),
            right=_table(self.right),
            kept=_table(self.kept),
            with_reasons=_table(self.with_reasons),
            agrees=_table(self.agrees),
            usd=_table(self.usd),
            tokens=_table(self.tokens),
            spent=self.spent,
        )

    def explained(self) -> ReasonsAsked:
        """For reasons alone."""
        has, usd, tokens = (
            np.array(each, dtype=np.float64) for each in (self.with_reasons, self.usd, self.tokens)
        )
        rows = np.array(self.rows, dtype=np.int64)
        return ReasonsAsked(rows=rows, has=has, usd=usd, tokens=tokens, spent=self.spent)


def _table(values: "array[int] | array[float]") -> Floats:
    return np.array(values, dtype=np.float64).reshape(-1, MOST_VOTES)


class _Remembering:
    """A reader that reads no answer of a row twice, however many votes it counts in."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._known: dict[str, Reading] = {}
        self._fields: Mapping[str, str] | None = None

    def read(self, answer: str, fields: Mapping[str, str]) -> Reading:
        """As the reader does."""
        if fields is not self._fields:
            self._known, self._fields = {}, fields
        if answer not in self._known:
            self._known[answer] = self._reader.read(answer, fields)
        return self._known[answer]

    def stated(self, answer: str, fields: Mapping[str, str]) -> tuple[tuple[int, int], ...]:
        """As the reader does."""
        return self._reader.stated(answer, fields)


def remembering(rules: Rules) -> Rules:
    """The same rules, by readers that read no answer of a row twice."""
    by_template = {name: _Remembering(each) for name, each in rules.readers.by_template.items()}
    return replace(rules, readers=replace(rules.readers, by_template=by_template))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """How answers are read, and priced.

    judgements: what people said of labels, which goes for gold; mode: in which more would be asked.
    """

    rules: Rules
    tariff: Tariff
    judgements: Judgements | None = None
    mode: Mode = "online"

    def gold(self, row: Row) -> str | None:
        """The label that a row should have."""
        told = self.judgements and self.judgements.right_label(row_digest(row.id, row.fields))
        return told or row.gold

    def same(self, label: str | None, gold: str | None, row: Row) -> bool:
        """Whether a label is the gold one; False where there is none."""
        kind = self.rules.kind
        if label is None or gold is None:
            return False
        return kind.same(label, gold, kind.choices(row.fields))

    def numbered(self, labels: Sequence[str | None], gold: str | None, row: Row) -> list[int]:
        """Each label as a number (see `Seen`): the same for labels that mean the same."""
        wrong, numbers = list[str](), list[int]()
        for label in labels:
            if label is None or self.same(label, gold, row):
                numbers.append(UNREAD if label is None else RIGHT)
                continue
            alike = (n for n, each in enumerate(wrong) if self.rules.kind.same(each, label))
            place = next(alike, len(wrong))
            if place == len(wrong):
                wrong.append(label)
            numbers.append(RIGHT + 1 + place)
        return numbers


class AnswersReader:
    """Reads the stored answers about some splits, one split after another."""

    def __init__(self, reads: Reads) -> None:
        self._reads = replace(reads, rules=remembering(reads.rules))
        self._asked: dict[str, _Lines] = {}
        self._explained: dict[str, _Lines] = {}
        self._has_gold, self._uniform = array("b"), array("d")
        self._splits: dict[str, int] = {}
        self._n_labels: set[int] = set()
        self._owners: dict[int, int] = {}  # the start of an answer's key -> the row that pays
        self._today = datetime.now(UTC).date()

    def add(
        self, plan: Plan, reasons: Mapping[str, Plan], stored: Snapshot, tell: Callable[[int], None]
    ) -> None:
        """All rows of a split. Raises DatasetError, StoreError.

        plan: knows every template that may be asked for a label. reasons: by template that may be
        asked for reasons alone, the plan that does.
        """
        makers = {name: _makers(plan, name) for name in plan.templates}
        explain = {name: each.request_makers()[name] for name, each in reasons.items()}
        kind, start = self._reads.rules.kind, len(self._has_gold)
        # Where a label may name several classes, nobody has counted the labels.
        n_classes = len(kind.spec.classes) if kind.is_one_class else 0
        for row in read_rows(plan.task, plan.source, plan.split, None):
            number, gold = len(self._has_gold), self._reads.gold(row)
            self._has_gold.append(gold is not None)
            self._uniform.append(plan.uniform(row))
            self._n_labels.add(len(kind.choices(row.fields)) or n_classes)
            found = {name: _answers(row, each, stored) for name, each in makers.items()}
            self._add_labels(row, gold, number, {k: v for k, v in found.items() if v}, stored)
            for name, maker in explain.items():
                if each := _answers(row, [maker], stored):
                    self._add_reasons(row, number, name, each)
            if (number + 1) % _TELL_EVERY == 0:
                tell(number + 1)
        self._splits[plan.split] = len(self._has_gold) - start

    def answered(self) -> Answered:
        """All that was read."""
        return Answered(
            asked={name: each.asked() for name, each in self._asked.items()},
            explained={name: each.explained() for name, each in self._explained.items()},
            has_gold=np.array(self._has_gold, dtype=np.bool_),
            uniform=np.array(self._uniform, dtype=np.float64),
            splits=self._splits,
            n_labels=max(self._n_labels, default=0) or None,
        )

    def _add_labels(
        self,
        row: Row,
        gold: str | None,
        number: int,
        found: Mapping[str, Sequence[_Stored]],
        stored: Snapshot,
    ) -> None:
        counted = self._reads.rules.counted
        labels = {
            name: [counted(name, answer, row.fields).label for _, answer in each]
            for name, each in found.items()
        }
        for name, each in found.items():
            lines = self._asked.setdefault(name, _Lines())
            lines.rows.append(number)
            lines.stored.append(len(each))
            others = [said[0] for other, said in labels.items() if other != name]
            by_votes = self._concluded(row, name, [request for request, _ in each], stored)
            elected = [record and record.label for record in by_votes]
            lines.kept.extend(_padded([record is not None for record in by_votes]))
            reasons = [record is not None and record.rationale is not None for record in by_votes]
            lines.with_reasons.extend(_padded(reasons))
            lines.right.extend(_padded([self._reads.same(each, gold, row) for each in elected]))
            agrees = [
                self._agrees(label, [*others, *labels[name][votes:]])
                for votes, label in enumerate(elected, start=1)
            ]
            lines.agrees.extend(_padded(agrees, NOT_KNOWN))
            lines.seen.extend(_padded(self._reads.numbered(labels[name], gold, row), UNREAD))
            self._pay(lines, number, each, MOST_VOTES)

    def _concluded(
        self, row: Row, name: str, requests: Sequence[Request], stored: Snapshot
    ) -> list[Record | None]:
        """What a run with 1, 2, ... votes makes of the row, by its own rules."""
        assigned, (first, *again) = Assignment(label=name, rationale=name), requests
        found: list[Record | None] = []
        for votes in range(len(requests)):
            planned = PlannedRow(row, assigned, first, first, tuple(again[:votes]))
            result = conclude(planned, stored, self._reads.rules).result
            found.append(result if isinstance(result, Record) else None)
        return found

    def _agrees(self, label: str | None, others: Sequence[str | None]) -> float:
        """What share of the row's other answers say the same."""
        if not others:
            return NOT_KNOWN
        same = self._reads.rules.kind.same
        agree = [label is not None and each is not None and same(label, each) for each in others]
        return sum(agree) / len(agree)

    def _add_reasons(self, row: Row, number: int, name: str, found: Sequence[_Stored]) -> None:
        lines = self._explained.setdefault(name, _Lines())
        (_, answer), rules = found[0], self._reads.rules
        reasons = None if unusable(answer) else rules.read(name, answer, row.fields).rationale
        lines.rows.append(number)
        lines.with_reasons.append(reasons is not None and not gives_no_reasons(reasons))
        self._pay(lines, number, found, 1)

    def _pay(self, lines: _Lines, number: int, found: Sequence[_Stored], width: int) -> None:
        usd, tokens = list[float](), list[float]()
        for request, answer in found:
            owner = self._owners.setdefault(int.from_bytes(request.key[:_KEY_BYTES]), number)
            cost = self._cost(answer, lines.spent) if owner == number else (0.0, 0.0)
            usd.append(cost[0])
            tokens.append(cost[1])
        lines.usd.extend(_padded(usd, NOT_KNOWN, width))
        lines.tokens.extend(_padded(tokens, NOT_KNOWN, width))

    def _cost(self, answer: Answer, spent: AnswerCosts) -> tuple[float, float]:
        """USD and tokens of an answer, NaN where they are not known; added to what was spent."""
        usage, tariff = answer.usage, self._reads.tariff
        spent.answers += 1
        if not answer.is_counted:
            return NOT_KNOWN, NOT_KNOWN
        spent.counted += 1
        usd = tariff.answer_usd(answer)
        if usd is None:
            spent.unpriced += 1
            return NOT_KNOWN, float(usage.prompt + usage.completion)
        price = tariff.price(self._today, mode=self._reads.mode, tier=answer.tier)
        spent.today_usd += float(usd if price is None else price.cost_usd(usage))
        return float(usd), float(usage.prompt + usage.completion)


def _makers(plan: Plan, name: str) -> list[RequestMaker]:
    """What makes a row's requests to one template, the first time it is asked and for each vote."""
    alone = replace(plan, mix=single(name), templates={name: plan.templates[name]})
    return [alone.request_makers(sample)[name] for sample in range(MOST_VOTES)]


def _answers(row: Row, makers: Sequence[RequestMaker], stored: Snapshot) -> list[_Stored]:
    """The answers up to the first that is missing: a run with more votes rejects the row."""
    found: list[_Stored] = []
    for make in makers:
        request = make(row)
        answer = stored.answer(request.key)
        if answer is None:
            break
        found.append((request, answer))
    return found


def _padded(values: Sequence[Any], rest: Any = 0, width: int = MOST_VOTES) -> list[Any]:
    return [*values, *[rest] * (width - len(values))]
