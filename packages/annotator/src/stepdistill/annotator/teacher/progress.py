"""What a run has done so far: told by the teacher, shown on the console; nobody decides by it."""

from dataclasses import dataclass, field

from stepdistill.annotator.store.answer import Answer, Failure, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """The run is paused because the teacher fails."""

    seconds: float  # until the next probe
    probes: int  # in vain so far
    cause: str  # the last failure


@dataclass(slots=True, kw_only=True)
class TokenCounts:
    """Tokens of answers of one mode, as they have one price."""

    prompt: int = 0
    cached: int = 0  # of prompt
    completion: int = 0
    written: int = 0  # of prompt

    def add(self, usage: Usage) -> None:
        """Count one answer's."""
        self.prompt += usage.prompt
        self.cached += usage.cached
        self.completion += usage.completion
        self.written += usage.written

    @property
    def usage(self) -> Usage:
        """The same as the usage of one answer."""
        return Usage(self.prompt, self.completion, self.cached, written=self.written)


@dataclass(slots=True, kw_only=True)
class AddressProgress:
    """How one of several addresses fares."""

    address: str  # host and port
    answers: int = 0
    answers_s: float = 0.0  # that they took, together
    refused: int = 0  # replies that said: too much
    failed: int = 0  # other tries without an answer
    outages: int = 0  # times that it was out of service
    out_s: float = 0.0  # seconds out of service, together
    asked_s: float = 0.0  # seconds that the run asked for
    last_error: str = ""  # why it was out, the last time

    @property
    def per_s(self) -> float:
        """Answers a second, over all of the run."""
        return self.answers / self.asked_s if self.asked_s else 0.0

    @property
    def latency_s(self) -> float | None:
        """How long an answer took, on average; None where nobody has measured one."""
        return self.answers_s / self.answers if self.answers_s else None


@dataclass(slots=True, kw_only=True)
class Progress:
    """The progress of a run, in requests, not rows: a row whose label and rationale come from two
    templates has two."""

    total: int | None = None  # to settle; None while unknown
    asked: int = 0  # answered by the teacher in this run
    cached: int = 0  # found in the store
    failed: int = 0
    failures: dict[str, int] = field(default_factory=dict[str, int])  # the same, by reason
    last_failure: str = ""  # in words
    uncounted: int = 0  # of asked: whose tokens the teacher did not say
    in_flight: int = 0
    waiting: int = 0  # in batches that this run does not wait for
    online: TokenCounts = field(default_factory=TokenCounts)  # of this run's own answers
    batch: TokenCounts = field(default_factory=TokenCounts)  # likewise
    tiers: dict[str, TokenCounts] = field(default_factory=dict[str, TokenCounts])  # online, others
    reported: int = 0  # of asked: with what the provider says that they cost
    reported_usd: float = 0.0  # what it says, together
    sent: int = 0  # tries in all
    sent_tokens: int = 0  # as the teacher's limit counts them
    requests_limit: float | None = None  # in a minute
    tokens_limit: float | None = None  # in a minute
    pause: Pause | None = None
    retries: dict[str, int] = field(default_factory=dict[str, int])  # made again, by cause
    addresses: list[AddressProgress] = field(default_factory=list[AddressProgress])  # if several

    @property
    def settled(self) -> int:
        """Requests that need nothing more in this run."""
        return self.asked + self.cached + self.failed

    @property
    def prompt_tokens(self) -> int:
        """Of this run's own answers."""
        return sum(each.prompt for each in self._counts)

    @property
    def completion_tokens(self) -> int:
        """Of this run's own answers."""
        return sum(each.completion for each in self._counts)

    def count(self, outcome: Answer | Failure) -> None:
        """One request was answered, or given up."""
        if isinstance(outcome, Failure):
            self.failed += 1
            self.failures[outcome.reason] = self.failures.get(outcome.reason, 0) + 1
            self.last_failure = outcome.detail
            return
        self.asked += 1
        self.uncounted += not outcome.is_counted
        if outcome.cost_usd is not None:
            self.reported += 1
            self.reported_usd += outcome.cost_usd
        if outcome.mode == "batch":
            self.batch.add(outcome.usage)
        elif outcome.tier is None:
            self.online.add(outcome.usage)
        else:
            self.tiers.setdefault(outcome.tier, TokenCounts()).add(outcome.usage)

    @property
    def _counts(self) -> tuple[TokenCounts, ...]:
        return (self.online, self.batch, *self.tiers.values())

    def retry(self, cause: str) -> None:
        """One try failed and will be made again."""
        self.retries[cause] = self.retries.get(cause, 0) + 1
