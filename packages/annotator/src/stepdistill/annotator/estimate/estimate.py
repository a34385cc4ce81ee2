"""An estimate: what a workload will cost at a price, how long it takes, and how sure that is.

`OUT/estimate.json` keeps what was estimated beside the shards, for the report to compare with.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from stepdistill.annotator.estimate.three_points import NOTHING, ThreePoints, around
from stepdistill.annotator.estimate.workload import AnswerLengths, Part, Workload
from stepdistill.annotator.money.prices import Price
from stepdistill.annotator.plan.plan import Plan
from stepdistill.annotator.study.metadata import Metadata, TemplateScore
from stepdistill.annotator.teacher.spec import RateLimits
from stepdistill.common.errors import ShardError, StorageError
from stepdistill.common.files.storage import read_place, write_place
from stepdistill.common.intervals import Z_95
from stepdistill.common.urls import Place

# Of gpt-3.5-turbo's recorded answers to 180 zero-shot templates of four tasks, tokens by template:
# 5 % below, the mean, 5 % above. Within a template answers vary by about their mean.
GUESS = ThreePoints(8, 55, 130)
_VARIATION = 1.0  # standard deviation / mean
_ENOUGH = 20  # answers in the store that tell more than the metadata's
_CHARACTERS_PER_TOKEN = 4  # as the run itself counts toward the limits
_BATCH_REQUESTS = 50_000  # of one file, at most
_MINUTE_S = 60
PLANNED_NAME = "estimate.json"


class Expected(NamedTuple):
    """Tokens of an answer, and where that is known from, in words."""

    tokens: ThreePoints
    basis: str


NOTHING_KNOWN = Expected(GUESS, "guessed: --probe 50 would tell")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What an estimate depends on besides the work."""

    model: str
    online: Price
    batch: Price
    limits: RateLimits
    max_tokens: int  # no answer is longer
    scores: Mapping[str, TemplateScore]  # by template, of the same teacher
    otherwise: Expected = NOTHING_KNOWN  # of a template without answers and score

    def expected(self, template: str, answers: AnswerLengths) -> Expected:
        """What to expect of a template: by its answers in the store, else by its score in the
        task's metadata."""
        score, (tokens, basis) = self.scores.get(template), self.otherwise
        if answers.n >= _ENOUGH or (answers.n and score is None):
            tokens, basis = answers.mean, f"by {answers.n:,} answers in the store"
        elif score is not None:
            mean = score.tokens.completion / score.rows
            tokens = around(mean, Z_95 * _VARIATION * mean / sqrt(score.rows))
            basis = f"by {score.rows:,} answers in metadata.yaml"
        return Expected(ThreePoints(*(min(each, float(self.max_tokens)) for each in tokens)), basis)


def known_scores(metadata: Metadata, plan: Plan, teacher: str) -> dict[str, TemplateScore]:
    """What the metadata knows of a teacher's answers, by template: from most rows, where several
    studies asked it. An edited template is another one."""
    found: dict[str, TemplateScore] = {}
    for result in metadata.results:
        if result.setting.teacher != teacher:
            continue
        for name, score in result.templates.items():
            template, before = plan.templates.get(name), found.get(name)
            is_same = template is not None and score.prompt == template.digest
            if is_same and score.rows > (before.rows if before else 0):
                found[name] = score
    return found


class EstimateLine(NamedTuple):
    """What one template costs for one part."""

    template: str
    part: Part
    stored: int  # requests that the store answers
    to_ask: int  # all others
    prompt: ThreePoints  # tokens of all that is to be asked
    answer: ThreePoints  # likewise
    online_usd: ThreePoints
    batch_usd: ThreePoints
    basis: str  # where the length of an answer is known from


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a run will cost."""

    work: Workload
    terms: Terms
    lines: list[EstimateLine]

    @property
    def prompt(self) -> ThreePoints:
        """Prompt tokens of all requests that are to be asked."""
        return sum((line.prompt for line in self.lines), NOTHING)

    @property
    def answer(self) -> ThreePoints:
        """Answer tokens, likewise."""
        return sum((line.answer for line in self.lines), NOTHING)

    @property
    def online_usd(self) -> ThreePoints:
        """Cost, asked online."""
        return sum((line.online_usd for line in self.lines), NOTHING)

    @property
    def batch_usd(self) -> ThreePoints:
        """Cost, asked through the Batch API."""
        return sum((line.batch_usd for line in self.lines), NOTHING)

    @property
    def most_usd(self) -> float:
        """Cost online, if every answer were as long as allowed."""
        most = self.terms.max_tokens * self.work.to_ask
        return float(self.terms.online.worst_usd(round(self.prompt.high), most))

    @property
    def batches(self) -> int:
        """Files of the Batch API."""
        return -(-self.work.to_ask // _BATCH_REQUESTS)

    @property
    def online_s(self) -> float | None:
        """Time online at the limits given, None without any. As the run itself counts toward them:
        a request is the larger of its prompt and the longest answer."""
        limits, longest = self.terms.limits, float(self.terms.max_tokens)
        minutes = list[float]()
        if limits.requests_per_minute:
            minutes.append(self.work.to_ask / limits.requests_per_minute)
        if limits.tokens_per_minute:
            tokens = 0.0
            for load in self.work.loads.values():
                each = load.characters / _CHARACTERS_PER_TOKEN / max(1, load.to_ask)
                tokens += load.to_ask * max(longest, each)
            minutes.append(tokens / limits.tokens_per_minute)
        return max(minutes) * _MINUTE_S if minutes else None


def estimate(work: Workload, terms: Terms) -> Estimate:
    """What this work will cost on these terms."""
    requests = sum(load.to_ask for load in work.loads.values())
    once = work.to_ask / requests if requests else 1.0  # repeated requests are answered once
    lines: list[EstimateLine] = []
    for (template, part), load in sorted(work.loads.items()):
        length, basis = terms.expected(template, load.answers)
        prompt = load.sample.scaled(load.to_ask, load.bytes).times(once * work.prompt_factor)
        answer = length.times(load.to_ask * once)
        lines.append(
            EstimateLine(
                template=template,
                part=part,
                stored=load.stored,
                to_ask=load.to_ask,
                prompt=prompt,
                answer=answer,
                online_usd=_cost(prompt, answer, terms.online),
                batch_usd=_cost(prompt, answer, terms.batch),
                basis=basis if load.to_ask else "all stored",
            )
        )
    return Estimate(work=work, terms=terms, lines=lines)


def _cost(prompt: ThreePoints, answer: ThreePoints, price: Price) -> ThreePoints:
    """What so many tokens cost, none of them cached: a prompt this short never is."""
    return prompt.times(price.prompt) + answer.times(price.completion)


class PlannedCost(BaseModel):
    """What was estimated for a run, as `estimate.json` keeps it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run: str  # the run's name
    price_date: str  # ISO
    stored: int  # requests that cost nothing
    to_ask: int
    prompt_tokens: float  # likely
    answer_tokens: float  # likely
    online_usd: ThreePoints
    batch_usd: ThreePoints


def keep_estimate(folder: Place, run: str, price_date: str, found: Estimate) -> None:
    """Write it down. Raises ShardError: the folder cannot be written."""
    planned = PlannedCost(
        run=run,
        price_date=price_date,
        stored=found.work.stored,
        to_ask=found.work.to_ask,
        prompt_tokens=found.prompt.likely,
        answer_tokens=found.answer.likely,
        online_usd=found.online_usd,
        batch_usd=found.batch_usd,
    )
    try:
        write_place(folder / PLANNED_NAME, f"{planned.model_dump_json(indent=1)}\n".encode())
    except OSError as error:
        raise ShardError(f"{folder}: cannot be written ({error.strerror})") from None


def kept_estimate(folder: Place, run: str) -> PlannedCost | None:
    """What was written down for this very run, None where nothing was."""
    try:
        planned = PlannedCost.model_validate_json(read_place(folder / PLANNED_NAME))
    except (OSError, StorageError, ValidationError):
        return None
    return planned if planned.run == run else None
