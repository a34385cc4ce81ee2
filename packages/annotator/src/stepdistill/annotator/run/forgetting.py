"""Forgetting answers that gave no record, so that they are asked again: which they are, and what
that would cost."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from stepdistill.annotator.money.prices import ZERO, Tariff
from stepdistill.annotator.plan.plan import Plan
from stepdistill.annotator.reading.record import NO_ANSWER, Rules, unusable
from stepdistill.annotator.run.conclusions import make_rules
from stepdistill.annotator.run.planning import make_plans, make_tariff
from stepdistill.annotator.run.structured import recall_formats
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.store.answer import Answer, Failure, Mode
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.teacher.batch.ledger import Ledger

# What stands where a forgotten answer was: a run that was finished is not any more.
FORGOTTEN = Failure(reason=NO_ANSWER, detail="its answer was forgotten, and not asked again yet")


@dataclass(slots=True, kw_only=True)
class Forgettable:
    """Stored answers that gave no record for one of some reasons."""

    wanted: frozenset[str]  # the reasons
    keys: dict[bytes, str] = field(default_factory=dict[bytes, str])  # -> its reason
    others: Counter[str] = field(default_factory=Counter[str])  # other reasons -> answers
    in_batches: int = 0  # of those wanted, which a batch asks again already: they stay
    usd: Decimal | None = ZERO  # what they would cost again; None: a price is not known
    _seen: set[bytes] = field(default_factory=set[bytes])

    @property
    def by_reason(self) -> Counter[str]:
        """How many there are of each."""
        return Counter(self.keys.values())

    def add(self, key: bytes, reason: str, answer: Answer, tariff: Tariff) -> None:
        """Count an answer, once."""
        if key in self._seen:
            return
        self._seen.add(key)
        if reason not in self.wanted:
            self.others[reason] += 1
            return
        self.keys[key] = reason
        price = tariff.price(datetime.now(UTC).date(), mode=_asked_by(answer), tier=answer.tier)
        if price is None or not answer.is_counted or self.usd is None:
            self.usd = None
        else:
            self.usd += price.cost_usd(answer.usage)

    def leave_to_batches(self, ledger: Ledger) -> None:
        """Leave out what a part in flight asks."""
        for key, part in zip(list(self.keys), ledger.claims(self.keys), strict=True):
            if part:
                del self.keys[key]
                self.in_batches += 1


def find_forgettable(
    configs: Iterable[RunSettings], reasons: Sequence[str], store: ResponseStore
) -> Forgettable:
    """Among the answers that these runs would make records of. Raises PromptError, DatasetError,
    ConfigError, StoreError."""
    found = Forgettable(wanted=frozenset(reasons))
    for config in configs:
        tariff, plans = make_tariff(config), make_plans(config)
        recall_formats(store, plans)
        for plan in plans:
            rules = make_rules(plan, config.shards)
            for key, reason, answer in _without_label(plan, rules, store):
                found.add(key, reason, answer, tariff)
    found.leave_to_batches(Ledger(store))
    return found


def forget(found: Forgettable, store: ResponseStore) -> None:
    """Have them asked again. What they did cost still counts. Raises StoreError."""
    store.forget(found.keys, FORGOTTEN)


def is_forgotten(plans: Sequence[Plan], store: ResponseStore) -> bool:
    """Whether an answer to these plans was forgotten, and not asked again yet."""
    with store.reading() as stored:
        forgotten = {key for key, failure in stored.failures() if failure == FORGOTTEN}
    if not forgotten:
        return False
    recall_formats(store, plans)
    return any(
        request.key in forgotten
        for plan in plans
        for planned in plan.rows()
        for request in planned.requests
    )


def _without_label(
    plan: Plan, rules: Rules, store: ResponseStore
) -> Iterator[tuple[bytes, str, Answer]]:
    """Every answer of the plan that was of no use. One that was asked for reasons alone needs no
    label: these are kept where its verdict cannot be read."""
    with store.reading() as stored:
        for planned in plan.rows():
            for request in planned.requests:
                answer = stored.answer(request.key)
                if answer is None:
                    continue
                reason = unusable(answer)
                is_label = request is planned.label or request in planned.votes
                if reason is None and is_label:
                    template = planned.assignment.label
                    reading = rules.counted(template, answer, planned.row.fields)
                    reason = None if reading.label is not None else reading.reason or "no_verdict"
                if reason is not None:
                    yield request.key, reason, answer


def _asked_by(answer: Answer) -> Mode:
    return "batch" if answer.mode == "batch" else "online"
