"""What a run has done so far: counted by the teacher, shown by the screen."""

from dataclasses import dataclass, field

from annotator.request.answer import Answer, Failure, Usage


@dataclass(slots=True, kw_only=True)
class Progress:
    """Requests, not rows: a row whose label and rationale come from two templates has two.

    total: requests to settle, None while unknown. asked: answered by the teacher in this run.
    cached: found in the store. retries: tries made again, by cause.
    """

    total: int | None = None
    asked: int = 0
    cached: int = 0
    failed: int = 0
    in_flight: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    retries: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def settled(self) -> int:
        """Requests that need nothing more in this run."""
        return self.asked + self.cached + self.failed

    @property
    def usage(self) -> Usage:
        """Tokens of this run's own answers."""
        return Usage(
            prompt=self.prompt_tokens, completion=self.completion_tokens, cached=self.cached_tokens
        )

    def count(self, outcome: Answer | Failure) -> None:
        """One request was answered, or given up."""
        if isinstance(outcome, Failure):
            self.failed += 1
            return
        self.asked += 1
        self.prompt_tokens += outcome.usage.prompt
        self.cached_tokens += outcome.usage.cached
        self.completion_tokens += outcome.usage.completion

    def retry(self, cause: str) -> None:
        """One try failed and will be made again."""
        self.retries[cause] = self.retries.get(cause, 0) + 1
