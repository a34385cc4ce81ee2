"""The work of a run before it starts: what is stored already, what is to be asked, how long it is.

Every row is walked over, so requests and bytes are exact. Tokens are counted of all prompts of a
small plan; of a large one, of every n-th prompt, and scaled by bytes within each template.
"""

from array import array
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import islice
from math import sqrt
from typing import Literal, NamedTuple

import numpy as np

from stepdistill.annotator.estimate.three_points import ThreePoints, around
from stepdistill.annotator.money.tokens import count_prompt, count_tokens
from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.plan.plan import Plan, PlannedRow
from stepdistill.annotator.store.answer import Usage
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.common.intervals import Z_95

COUNTED = 4_000  # prompts whose tokens are counted: to tokenize all of a large plan takes minutes
_LOOKED_UP = 512  # requests that the store is asked about at a time

# What a request is for: the label, the rationale, or both from one answer. `other` is what no row
# asks for (now): proposals of a search, or what was asked before the prompts were edited.
Part = Literal["both", "label", "rationale", "vote", "other"]


class PartRequest(NamedTuple):
    """One request of a row, the template that words it, and what its answer is wanted for."""

    request: Request
    template: str
    part: Part


def part_requests(planned: PlannedRow) -> Iterator[PartRequest]:
    """The distinct requests of a row."""
    label, assignment = planned.label, planned.assignment
    yield PartRequest(label, assignment.label, "both" if planned.rationale is label else "label")
    for vote in planned.votes:
        yield PartRequest(vote, assignment.label, "vote")
    if planned.rationale is not None and planned.rationale is not label:
        yield PartRequest(planned.rationale, str(assignment.rationale), "rationale")


@dataclass(slots=True, kw_only=True)
class PromptSample:
    """Prompts whose tokens were counted: sums over them, for tokens per byte and its error."""

    n: int = 0
    tokens: int = 0
    bytes: int = 0
    _tt: float = 0.0  # tokens x tokens
    _tb: float = 0.0  # tokens x bytes
    _bb: float = 0.0  # bytes x bytes

    def add(self, tokens: int, n_bytes: int) -> None:
        """One counted prompt."""
        self.n += 1
        self.tokens += tokens
        self.bytes += n_bytes
        self._tt += tokens * tokens
        self._tb += tokens * n_bytes
        self._bb += n_bytes * n_bytes

    def scaled(self, n: int, n_bytes: int) -> ThreePoints:
        """Tokens of n prompts of so many bytes together, with the 95 % error of the ratio."""
        if self.n >= n:
            return around(self.tokens * n / self.n if self.n else 0, error=0)
        ratio = self.tokens / self.bytes
        # The squared distance of all counted prompts from the ratio's line through 0.
        spread = self._tt - 2 * ratio * self._tb + ratio * ratio * self._bb
        error = Z_95 * n * sqrt(max(0.0, spread) / max(1, self.n - 1) / self.n)
        return around(ratio * n_bytes, error)


@dataclass(slots=True, kw_only=True)
class AnswerLengths:
    """Answers that were given: their tokens, summed."""

    n: int = 0
    prompt: int = 0
    completion: int = 0
    _squares: float = 0.0  # of completion

    def add(self, usage: Usage) -> None:
        """One answer that the teacher counted."""
        self.n += 1
        self.prompt += usage.prompt
        self.completion += usage.completion
        self._squares += usage.completion**2

    @property
    def mean(self) -> ThreePoints:
        """Tokens of an answer, with the 95 % error of the mean."""
        mean = self.completion / self.n
        variance = max(0.0, self._squares / self.n - mean * mean) * self.n / max(1, self.n - 1)
        return around(mean, Z_95 * sqrt(variance / self.n))


@dataclass(slots=True, kw_only=True)
class RequestLoad:
    """What one template is asked for one part."""

    stored: int = 0  # requests that the store answers
    to_ask: int = 0  # all others
    bytes: int = 0  # of the prompts to ask
    characters: int = 0  # likewise
    sample: PromptSample = field(default_factory=PromptSample)  # of the prompts to ask
    answers: AnswerLengths = field(default_factory=AnswerLengths)  # in the store
    counted: int = 0  # tokens of these answers' prompts, as counted here

    def add_prompt(self, request: Request, encoding: str, *, is_counted: bool) -> None:
        """One request to ask; is_counted: its tokens are."""
        n_bytes = len(request.system.encode()) + len(request.user.encode())
        self.to_ask += 1
        self.bytes += n_bytes
        self.characters += len(request.system) + len(request.user)
        if is_counted:
            self.sample.add(_prompt_tokens(request, encoding), n_bytes)


@dataclass(slots=True, kw_only=True)
class Workload:
    """The work of some plans."""

    encoding: str  # that tokens are counted with
    rows: int = 0
    repeated: int = 0  # requests that come again, and so are answered once
    loads: dict[tuple[str, Part], RequestLoad] = field(
        default_factory=dict[tuple[str, Part], RequestLoad]
    )

    @property
    def stored(self) -> int:
        """Requests that cost nothing."""
        return sum(load.stored for load in self.loads.values())

    @property
    def to_ask(self) -> int:
        """Requests that are to be paid for."""
        return sum(load.to_ask for load in self.loads.values()) - self.repeated

    @property
    def prompt_factor(self) -> float:
        """How many tokens the teacher counts for one that is counted here, by its answers."""
        counted = sum(load.counted for load in self.loads.values())
        reported = sum(load.answers.prompt for load in self.loads.values())
        return reported / counted if counted else 1.0


def workload_of(
    plans: Sequence[Plan],
    store: ResponseStore | None,
    encoding: str,
    max_tokens: int | None = None,
) -> Workload:
    """The work of these plans over this store, None where there is none yet. max_tokens: answers
    that were cut off below this limit are asked again."""
    work = Workload(encoding=encoding)
    keys = array("Q")  # 8 bytes of each: enough to tell requests apart, small for millions
    every = _counted_every(plans)
    with nullcontext() if store is None else store.reading() as snapshot:
        requests = enumerate(_requests(plans, store, max_tokens, work))
        for number, ((request, template, part), is_stored) in requests:
            load = work.loads.setdefault((template, part), RequestLoad())
            if not is_stored:
                keys.append(int.from_bytes(request.key[:8]))
                is_counted = number % every == 0 or load.sample.n == 0
                load.add_prompt(request, encoding, is_counted=is_counted)
                continue
            load.stored += 1
            answer = snapshot.answer(request.key) if snapshot and load.stored <= COUNTED else None
            if answer is not None and answer.is_counted:
                load.answers.add(answer.usage)
                load.counted += _prompt_tokens(request, encoding)
    work.repeated = len(keys) - len(np.unique(np.frombuffer(keys, np.uint64))) if keys else 0
    return work


def _requests(
    plans: Sequence[Plan], store: ResponseStore | None, max_tokens: int | None, work: Workload
) -> Iterator[tuple[PartRequest, bool]]:
    """Every request with whether it is stored; rows are counted on the way."""

    def walk() -> Iterator[PartRequest]:
        for plan in plans:
            for planned in plan.rows():
                work.rows += 1
                yield from part_requests(planned)

    requests = walk()
    while group := list(islice(requests, _LOOKED_UP)):
        keys = [each.request.key for each in group]
        stored = [False] * len(keys) if store is None else store.has(keys, max_tokens)
        yield from zip(group, stored, strict=True)


def _counted_every(plans: Sequence[Plan]) -> int:
    """n where every n-th prompt is counted, so that about COUNTED are."""
    counts = [plan.count_rows() for plan in plans]
    n = sum(count or 0 for count in counts) * (2 if any(plan.asks_twice for plan in plans) else 1)
    return max(1, n // COUNTED) if None not in counts else COUNTED // 100


def _prompt_tokens(request: Request, encoding: str) -> int:
    """Tokens of a prompt as counted here, with those of the form that an answer has to have."""
    form = request.form.fields.get("response_format")
    extra = 0 if form is None else count_tokens(str(form), encoding)
    return count_prompt(request.system, request.user, encoding) + extra
