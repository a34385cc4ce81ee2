"""An estimate: what a workload will cost at a price, how long it takes, and how sure that is."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from stepdistill.annotator.estimate.expectations import Expectations
from stepdistill.annotator.estimate.parts import Part
from stepdistill.annotator.estimate.span import NOTHING, Span, exactly
from stepdistill.annotator.estimate.workload import RequestLoad, Workload
from stepdistill.annotator.money.prices import Price
from stepdistill.annotator.teacher.spec import RateLimits

_CHARACTERS_PER_TOKEN = 4
_BATCH_REQUESTS = 50_000
_MINUTE_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateLine:
    """What one template costs for one part. prompt, answer: tokens of all that is to be asked.

    cost_usd: online. basis: where the length of an answer is known from.
    """

    template: str
    part: Part
    stored: int
    to_ask: int
    prompt: Span
    answer: Span
    online_usd: Span
    batch_usd: Span
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a run will cost. most_usd: if every answer were as long as allowed, online.

    online_s: at the limits given, None without any. batches: files of the Batch API.
    """

    model: str
    encoding: str
    rows: int
    stored: int
    to_ask: int
    lines: list[EstimateLine]
    online: Price
    batch: Price
    most_usd: float
    online_s: float | None
    batches: int
    prompt_factor: float

    @property
    def prompt(self) -> Span:
        """Prompt tokens of all requests that are to be asked."""
        return _sum(line.prompt for line in self.lines)

    @property
    def answer(self) -> Span:
        """Answer tokens, likewise."""
        return _sum(line.answer for line in self.lines)

    @property
    def online_usd(self) -> Span:
        """Cost, asked online."""
        return _sum(line.online_usd for line in self.lines)

    @property
    def batch_usd(self) -> Span:
        """Cost, asked through the Batch API."""
        return _sum(line.batch_usd for line in self.lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What an estimate depends on besides the work."""

    model: str
    online: Price
    batch: Price
    expectations: Expectations
    limits: RateLimits


def estimate(work: Workload, terms: Terms) -> Estimate:
    """What this work will cost on these terms."""
    asked = sum(load.to_ask for load in work.loads.values())
    share = work.to_ask / asked if asked else 1.0  # repeated requests are answered once
    lines = [
        _line(name, part, load, work.prompt_factor, share, terms)
        for (name, part), load in sorted(work.loads.items())
    ]
    prompt = _sum(line.prompt for line in lines).high
    most = terms.online.worst_usd(round(prompt), terms.expectations.max_tokens * work.to_ask)
    return Estimate(
        model=terms.model,
        encoding=work.encoding,
        rows=work.rows,
        stored=work.stored,
        to_ask=work.to_ask,
        lines=lines,
        online=terms.online,
        batch=terms.batch,
        most_usd=float(most),
        online_s=_online_s(work, terms),
        batches=-(-work.to_ask // _BATCH_REQUESTS),
        prompt_factor=work.prompt_factor,
    )


def _line(
    name: str, part: Part, load: RequestLoad, factor: float, share: float, terms: Terms
) -> EstimateLine:  # budget: what a line is made of
    expected = terms.expectations.of(name, load.answers)
    prompt = load.sample.scaled(load.to_ask, load.bytes).times(share * factor)
    answer = expected.tokens.times(load.to_ask * share)
    return EstimateLine(
        template=name,
        part=part,
        stored=load.stored,
        to_ask=load.to_ask,
        prompt=prompt,
        answer=answer,
        online_usd=cost_of(prompt, answer, terms.online),
        batch_usd=cost_of(prompt, answer, terms.batch),
        basis=expected.basis if load.to_ask else "all stored",
    )


def cost_of(prompt: Span, answer: Span, price: Price) -> Span:
    """What so many tokens cost, none of them cached: a prompt this short never is."""
    return prompt.times(price.prompt) + answer.times(price.completion)


def _online_s(work: Workload, terms: Terms) -> float | None:
    """As the run itself counts toward the limits: a request is the larger of answer and prompt."""
    waits = list[float]()
    if terms.limits.requests_per_minute:
        waits.append(work.to_ask / terms.limits.requests_per_minute)
    if terms.limits.tokens_per_minute:
        counted = 0.0
        for load in work.loads.values():
            each = load.characters / _CHARACTERS_PER_TOKEN / max(1, load.to_ask)
            counted += load.to_ask * max(float(terms.expectations.max_tokens), each)
        waits.append(counted / terms.limits.tokens_per_minute)
    return max(waits) * _MINUTE_S if waits else None


def _sum(spans: Iterable[Span]) -> Span:
    total = NOTHING
    for span in spans:
        total += span
    return total


def per_row_usd(prompt_tokens: float, answer_tokens: Span, price: Price) -> Span:
    """What one row costs."""
    return cost_of(exactly(prompt_tokens), answer_tokens, price)


def saved_share(one_usd: float, other_usd: float) -> float | None:
    """How much less one costs than the other, as a share; None where the other is free."""
    return None if not other_usd else float(1 - Decimal(one_usd) / Decimal(other_usd))
