"""What a run has done so far: counted by the teacher, shown by the screen."""

from dataclasses import dataclass, field

from annotator.request.answer import Answer, Failure, Usage


@dataclass(slots=True, kw_only=True)
class Tokens:
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
    """

    total: int | None = None
    asked: int = 0
    cached: int = 0
    failed: int = 0
    in_flight: int = 0
    waiting: int = 0
    online: Tokens = field(default_factory=Tokens)
    batch: Tokens = field(default_factory=Tokens)
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
