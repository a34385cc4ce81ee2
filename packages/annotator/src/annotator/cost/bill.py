"""A bill: tokens and money of a set of answers, each counted once."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache

from annotator.cost.prices import FREE, Price, price_of
from annotator.request.answer import Answer, Usage
from annotator.request.progress import Progress
from common.manifest import Cost, Tokens

SIMULATED_MODEL = "simulated"
_DAY_S = 86_400
_Day = tuple[int, bool]  # days since 1970; whether it is about batches


@dataclass(slots=True)
class _Used:
    """What the answers of one day and one price used."""

    answers: int = 0
    prompt: int = 0
    completion: int = 0
    cached: int = 0

    @property
    def usage(self) -> Usage:
        return Usage(prompt=self.prompt, completion=self.completion, cached=self.cached)


@dataclass(slots=True, kw_only=True)
class Bill:
    """Add answers, then read tokens and cost. host: where the teacher is served from.

    A price holds for a day and for batches or not, so tokens are summed by these and priced at the
    end.
    """

    host: str
    model: str
    _by_day: defaultdict[_Day, _Used] = field(default_factory=lambda: defaultdict(_Used))

    def add(self, answer: Answer) -> None:
        """Count one answer."""
        day = (answer.asked_at // _DAY_S, answer.mode == "batch")
        used, usage = self._by_day[day], answer.usage
        used.answers += 1
        used.prompt += usage.prompt
        used.completion += usage.completion
        used.cached += usage.cached

    @property
    def answers(self) -> int:
        """How many answers were counted."""
        return sum(used.answers for used in self._by_day.values())

    @property
    def tokens(self) -> Tokens:
        """Of all answers."""
        days = self._by_day.values()
        return Tokens(
            prompt=sum(used.prompt for used in days),
            completion=sum(used.completion for used in days),
            cached=sum(used.cached for used in days),
        )

    @property
    def cost(self) -> Cost:
        """For the manifest: usd is None when some answer's model has no known price."""
        usd, sources = Decimal(0), set[str]()
        for day, used in self._by_day.items():
            price = self._price(day)
            if price is None:
                return Cost(usd=None, price=f"no known price for {self.model}")
            usd += price.cost_usd(used.usage)
            sources.add(price.source)
        return Cost(usd=float(round(usd, 6)), price=", ".join(sorted(sources)) or "nothing asked")

    def _price(self, day: _Day) -> Price | None:
        return FREE if self.model == SIMULATED_MODEL else _price_on(self.model, self.host, day)


@lru_cache(maxsize=4096)
def _price_on(model: str, host: str, day: _Day) -> Price | None:
    number, is_batch = day
    on = datetime.fromtimestamp(number * _DAY_S, UTC).date()
    return price_of(model, host, on, is_batch=is_batch)


def spent_usd(model: str, host: str, progress: Progress) -> float | None:
    """What a run's own answers cost at today's prices; None when the model has no known price."""
    if model == SIMULATED_MODEL:
        return 0.0
    today = datetime.now(UTC).date()
    price = price_of(model, host, today)
    batch = price_of(model, host, today, is_batch=True)
    if price is None or batch is None:
        return None
    online = price.cost_usd(progress.online.usage)
    return float(online + batch.cost_usd(progress.batch.usage))
