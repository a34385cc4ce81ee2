"""What a row was asked with, made again from the task's templates: every template's request, the
answers that the store has to them, and how these are read."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from stepdistill.annotator.dataset.rows import Row
from stepdistill.annotator.money.prices import Tariff
from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.plan.plan import Plan, RequestMaker
from stepdistill.annotator.reading.filters import Filters
from stepdistill.annotator.reading.readers import ORIGINAL, VERDICT, Reader, make_readers
from stepdistill.annotator.reading.reading import Reading
from stepdistill.annotator.reading.record import Rules, unusable
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.store.answer import Answer, Failure
from stepdistill.annotator.store.snapshot import Snapshot
from stepdistill.common.errors import StoreError
from stepdistill.common.kinds.registry import kind_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Requests of one split's rows. plan: knows all templates of the task."""

    plan: Plan
    rules: Rules
    tariff: Tariff
    makers: tuple[Mapping[str, RequestMaker], ...]  # by sample: 0, and the votes
    # By template, of those that can be read so: the original's regexes where the run is read by
    # rules of language, and the other way round.
    other_readers: Mapping[str, Reader]

    def requests(self, row: Row) -> dict[bytes, "Question"]:
        """Every request that the row may have been asked with, by key; of templates with the same
        words the first."""
        found: dict[bytes, Question] = {}
        for sample, makers in enumerate(self.makers):
            for template, make in makers.items():
                request = make(row)
                found.setdefault(request.key, Question(template, sample, request))
        return found

    def read(self, template: str, answer: Answer, fields: Mapping[str, str]) -> Reading:
        """As a run reads it."""
        return self.rules.counted(template, answer, fields)

    def stated(
        self, template: str, answer: Answer, fields: Mapping[str, str]
    ) -> tuple[tuple[int, int], ...]:
        """The characters of the answer's words that state its label."""
        if unusable(answer):
            return ()
        return self.rules.readers.by_template[template].stated(answer.words, fields)

    def usd(self, answer: Answer) -> float | None:
        """What an answer cost on its day; None where nobody knows."""
        price = self.tariff.answer_price(answer)
        if price is None or not answer.is_counted:
            return answer.cost_usd
        return float(price.cost_usd(answer.usage))


class Question(NamedTuple):
    """One request of a row."""

    template: str
    sample: int  # 0, or 1, 2, ... of a vote
    request: Request


class StoredReply(NamedTuple):
    """What the store has of a request; both None where it was not asked."""

    answer: Answer | None
    failure: Failure | None


def stored_reply(stored: Snapshot, key: bytes) -> StoredReply:
    """What the store has of the request of this key; what is damaged is a failure."""
    try:
        answer = stored.answer(key)
        return StoredReply(answer, None if answer is not None else stored.failure(key))
    except StoreError as error:
        return StoredReply(None, Failure(reason="damaged", detail=str(error)))


def make_asked(plan: Plan, config: RunSettings, tariff: Tariff) -> Asked:
    """What the rows of a plan that knows all templates were asked with, and how a run with these
    settings reads the answers; a template that its reader cannot read is read by the other."""
    label, settings = plan.task.label, config.shards
    verdict = make_readers(VERDICT, label, plan.templates)
    having = {name: each for name, each in plan.templates.items() if each.original}
    original = make_readers(ORIGINAL, label, having)
    is_verdict = settings.reader != ORIGINAL
    own = verdict if is_verdict else original
    by_template = {**verdict.by_template, **({} if is_verdict else original.by_template)}
    others = original.by_template if is_verdict else verdict.by_template
    return Asked(
        plan=plan,
        rules=Rules(
            kind=kind_of(label),
            readers=replace(own, by_template=by_template),
            filters=Filters(),
            rationale_from=settings.rationale_from,
            min_confidence=settings.min_confidence,
        ),
        tariff=tariff,
        makers=tuple(plan.request_makers(sample) for sample in range(plan.votes)),
        other_readers={name: reader for name, reader in others.items() if name in having},
    )
