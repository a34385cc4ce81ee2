"""What a run has done so far: counted by the teacher, shown by the screen."""

from dataclasses import dataclass, field

from stepdistill.annotator.store.answer import Answer, Failure, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """The run is paused because the teacher fails.

    seconds: until the next probe. probes: in vain so far. cause: the last failure.
    """

    seconds: float
    probes: int
    cause: str


@dataclass(slots=True, kw_only=True)
class TokenCounts:
    """Tokens of answers of one mode, as they have one price."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0

    @property
    def usage(self) -> Usage:
        """The same as the usage of one answer."""
        return Usage(prompt=self.prompt, completion=self.completion, cached=self.cached)


@dataclass(slots=True, kw_only=True)
class Progress:
    """Requests, not rows: a row whose label and rationale come from two templates has two.

    total: requests to settle, None while unknown. asked: answered by the teacher in this run.
    cached: found in the store. waiting: in batches that this run does not wait for.
    online, batch: tokens of this run's own answers. retries: tries made again, by cause.
    sent: tries in all; sent_tokens: as the teacher's limit counts them; requests_limit and
    tokens_limit: in a minute.
    """

    total: int | None = None
    asked: int = 0
    cached: int = 0
    failed: int = 0
    in_flight: int = 0
    waiting: int = 0
    online: TokenCounts = field(default_factory=TokenCounts)
    batch: TokenCounts = field(default_factory=TokenCounts)
    sent: int = 0
    sent_tokens: int = 0
    requests_limit: float | None = None
    tokens_limit: float | None = None
    pause: Pause | None = None
    retries: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def settled(self) -> int:
        """Requests that need nothing more in this run."""
        return self.asked + self.cached + self.failed

    @property
    def prompt_tokens(self) -> int:
        """Of this run's own answers."""
        return self.online.prompt + self.batch.prompt

    @property
    def completion_tokens(self) -> int:
        """Of this run's own answers."""
        return self.online.completion + self.batch.completion

    def count(self, outcome: Answer | Failure) -> None:
        """One request was answered, or given up."""
        if isinstance(outcome, Failure):
            self.failed += 1
            return
        self.asked += 1
        tokens = self.batch if outcome.mode == "batch" else self.online
        tokens.prompt += outcome.usage.prompt
        tokens.cached += outcome.usage.cached
        tokens.completion += outcome.usage.completion

    def retry(self, cause: str) -> None:
        """One try failed and will be made again."""
        self.retries[cause] = self.retries.get(cause, 0) + 1
