"""The work of a run before it starts: what is stored already, what is to be asked, how long it is.

Every row is walked over, so requests and bytes are exact. Tokens are counted of all prompts of a
small plan; of a large one, of every so-manieth prompt, and scaled by bytes within each template.
"""

from array import array
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import chain, islice
from math import sqrt

import numpy as np

from stepdistill.annotator.estimate.parts import Asked, Part, parts_of
from stepdistill.annotator.estimate.span import Span, around, exactly
from stepdistill.annotator.money.tokens import count_prompt, count_tokens
from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.plan.plan import Plan
from stepdistill.annotator.store.answer import Usage
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.store.snapshot import Snapshot

COUNTED = 4_000
_GROUP = 512
_Z_95 = 1.96


@dataclass(slots=True, kw_only=True)
class AnswerSample:
    """Prompts whose tokens were counted: sums over them, for a ratio and its error."""

    n: int = 0
    tokens: int = 0
    bytes: int = 0
    _tt: float = 0.0
    _tb: float = 0.0
    _bb: float = 0.0

    def add(self, tokens: int, n_bytes: int) -> None:
        """One counted prompt."""
        self.n += 1
        self.tokens += tokens
        self.bytes += n_bytes
        self._tt += tokens * tokens
        self._tb += tokens * n_bytes
        self._bb += n_bytes * n_bytes

    def scaled(self, n: int, n_bytes: int) -> Span:
        """Tokens of n prompts of so many bytes together, with the 95 % error of the ratio."""
        if self.n >= n:
            return exactly(self.tokens * n / self.n if self.n else 0)
        ratio = self.tokens / self.bytes
        spread = self._tt - 2 * ratio * self._tb + ratio * ratio * self._bb
        error = _Z_95 * n * sqrt(max(0.0, spread) / max(1, self.n - 1) / self.n)
        return around(ratio * n_bytes, error)


@dataclass(slots=True, kw_only=True)
class AnswerLengths:
    """Answers that were given: their tokens, summed. Answers without counts are left out."""

    n: int = 0
    prompt: int = 0
    completion: int = 0
    _squares: float = 0.0

    def add(self, usage: Usage) -> None:
        """One answer."""
        if usage.prompt or usage.completion:
            self.n += 1
            self.prompt += usage.prompt
            self.completion += usage.completion
            self._squares += usage.completion**2

    @property
    def mean(self) -> Span:
        """Tokens of an answer, with the 95 % error of the mean."""
        mean = self.completion / self.n
        variance = max(0.0, self._squares / self.n - mean * mean) * self.n / max(1, self.n - 1)
        return around(mean, _Z_95 * sqrt(variance / self.n))


@dataclass(slots=True, kw_only=True)
class RequestLoad:
    """What one template is asked for one part. bytes: of the prompts that are to be asked.

    answers: those in the store; counted: their prompts' tokens as counted here.
    """

    stored: int = 0
    to_ask: int = 0
    bytes: int = 0
    characters: int = 0
    sample: AnswerSample = field(default_factory=AnswerSample)
    answers: AnswerLengths = field(default_factory=AnswerLengths)
    counted: int = 0


@dataclass(slots=True, kw_only=True)
class Workload:
    """The work of some plans. twice: requests that are repeated, and so answered once."""

    encoding: str
    rows: int = 0
    twice: int = 0
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
        return sum(load.to_ask for load in self.loads.values()) - self.twice

    @property
    def prompt_factor(self) -> float:
        """How many tokens the teacher counts for one that is counted here, by its answers."""
        counted = sum(load.counted for load in self.loads.values())
        said = sum(load.answers.prompt for load in self.loads.values())
        return said / counted if counted else 1.0


def weigh(plans: Iterable[Plan], store: ResponseStore | None, encoding: str) -> Workload:
    """The work of these plans over this store, None where there is none yet."""
    work = Workload(encoding=encoding)
    new = array("Q")
    step = _step(plans := list(plans))
    with _reading(store) as stored:
        for number, (asked, is_stored) in enumerate(_asked(plans, store, work)):
            load = work.loads.setdefault((asked.template, asked.part), RequestLoad())
            if is_stored:
                load.stored += 1
                if stored is not None and load.stored <= COUNTED:
                    _learn(load, asked.request, stored, encoding)
                continue
            new.append(int.from_bytes(asked.request.key[:8]))
            is_counted = number % step == 0 or load.sample.n == 0
            _add(load, asked.request, encoding, is_counted=is_counted)
    work.twice = len(new) - len(np.unique(np.frombuffer(new, dtype=np.uint64))) if new else 0
    return work


def _add(load: RequestLoad, request: Request, encoding: str, *, is_counted: bool) -> None:
    n_bytes = len(request.system.encode()) + len(request.user.encode())
    load.to_ask += 1
    load.bytes += n_bytes
    load.characters += len(request.system) + len(request.user)
    if is_counted:
        load.sample.add(tokens_of(request, encoding), n_bytes)


def tokens_of(request: Request, encoding: str) -> int:
    """Tokens of a prompt as counted here, with those of the form that an answer has to have."""
    form = request.form.fields.get("response_format")
    extra = 0 if form is None else count_tokens(str(form), encoding)
    return count_prompt(request.system, request.user, encoding) + extra


def _reading(store: ResponseStore | None) -> AbstractContextManager[Snapshot | None]:
    return nullcontext() if store is None else store.reading()


def _learn(load: RequestLoad, request: Request, stored: Snapshot, encoding: str) -> None:
    answer = stored.answer(request.key)
    if answer is not None and (answer.usage.prompt or answer.usage.completion):
        load.answers.add(answer.usage)
        load.counted += tokens_of(request, encoding)


def _step(plans: list[Plan]) -> int:
    """Every so-manieth prompt is counted."""
    counts = [plan.count_rows() for plan in plans]
    n = sum(count or 0 for count in counts) * (2 if any(plan.asks_twice for plan in plans) else 1)
    return max(1, n // COUNTED) if None not in counts else COUNTED // 100


def _asked(
    plans: list[Plan], store: ResponseStore | None, work: Workload
) -> Iterator[tuple[Asked, bool]]:
    def walk(plan: Plan) -> Iterator[Asked]:
        for planned in plan.rows():
            work.rows += 1
            yield from parts_of(planned)

    every = chain.from_iterable(walk(plan) for plan in plans)
    while group := list(islice(every, _GROUP)):
        keys = [asked.request.key for asked in group]
        stored = [False] * len(group) if store is None else store.has(keys)
        yield from zip(group, stored, strict=True)
