"""An answer as it is kept in the store, and a failure beside it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple, Self

from stepdistill.annotator.store.logprobs import KeptLogprobs

Mode = Literal["online", "batch", "import"]
Ending = Literal["whole", "truncated", "filtered", "refused", "broken"]
# No count of one answer reaches this: a higher one is a mistake, and sums of them would overflow.
TOKENS_BOUND = 1 << 31
TIME_BOUND = 1 << 37  # seconds since 1970: the year 6325
# What servers call how an answer ended, in lower case: `stop` of OpenAI, `eos` of TGI and SGLang,
# `end_turn` of Anthropic, `complete` of Cohere.
_ENDINGS: dict[str, Ending] = {
    **dict.fromkeys(("", "stop", "eos", "eos_token", "end_turn", "stop_sequence"), "whole"),
    **dict.fromkeys(("complete", "completed", "done", "null", "none", "tool_calls"), "whole"),
    **dict.fromkeys(("length", "max_tokens", "model_length", "max_output_tokens"), "truncated"),
    **dict.fromkeys(("content_filter", "safety", "recitation", "blocklist", "spii"), "filtered"),
    **dict.fromkeys(("refusal", "refused"), "refused"),
    **dict.fromkeys(
        ("abort", "aborted", "error", "insufficient_system_resource", "pause_turn"), "broken"
    ),
}
# MODEL_CONTEXT_WINDOW_EXCEEDED, max_new_tokens / PROHIBITED_CONTENT / network_error, user_cancel
_TRUNCATED = re.compile(r"length|max|limit|context|truncat|incomplete|not_finished")
_FILTERED = re.compile(
    r"safety|filter|prohibit|block|guardrail|armor|sensitive|toxic|moderat|policy"
)
_BROKEN = re.compile(
    r"error|abort|cancel|time_?out|interrupt|fail|malform|unavailable|resource|rate_limit"
)


@lru_cache(maxsize=256)
def ending_of(finish: str) -> Ending:
    """What a finish_reason means. One of a name that speaks of no limit, no filter and no failure
    counts as whole: it was paid for, and its reader still asks for a label in it."""
    name = re.sub(r"\W+", "_", finish.strip().lower()).removeprefix("finish_reason_").strip("_")
    if name in _ENDINGS:
        return _ENDINGS[name]
    if _FILTERED.search(name):
        return "filtered"
    if _BROKEN.search(name):
        return "broken"
    return "truncated" if _TRUNCATED.search(name) else "whole"


class Usage(NamedTuple):
    """Tokens of one answer as the provider counted them, 0 <= each < TOKENS_BOUND; 0 where it
    counts none, or none that could be believed."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0  # found in the provider's cache: inside prompt
    reasoning: int = 0  # inside completion
    written: int = 0  # put into the provider's cache: inside prompt
    is_whole: bool = True  # prompt and completion were both said, believably

    @classmethod
    def of(cls, counts: Iterable[int]) -> Self:
        """Counts as an earlier version kept them: what cannot be believed is not."""
        prompt, completion, cached, reasoning, *rest = counts
        written, is_whole = rest[0] if rest else 0, len(rest) < 2 or bool(rest[1])
        # One look at all of them: the bound is a power of two, and each answer passes here.
        if 0 <= prompt | completion | cached | reasoning | written < TOKENS_BOUND:
            return cls(prompt, completion, cached, reasoning, written, is_whole)
        each = (prompt, completion, cached, reasoning, written)
        return cls(*(count if 0 <= count < TOKENS_BOUND else 0 for count in each), is_whole=False)

    @property
    def counts(self) -> tuple[int, ...]:
        """As it is kept: nothing is said of what is whole."""
        return self[:-1] if self.is_whole else tuple(self)


class Answer(NamedTuple):
    """The teacher's answer to one request. The order of the fields is the order on the disk."""

    text: str
    finish: str  # as the teacher names it: `stop`, `length`, `content_filter`; see `ending`
    model: str  # as the teacher names it
    usage: Usage
    mode: Mode  # how it was asked; it decides the price
    asked_at: int  # seconds since 1970, UTC
    limit: int | None = None  # the longest answer asked for, in tokens
    request_id: str | None = None  # the provider's own
    thoughts: str | None = None  # what the provider keeps apart as `reasoning_content`
    tier: str | None = None  # that the provider says it served: `flex`; None: the usual one
    cost_usd: float | None = None  # as the provider reckons it, >= 0; None where it does not say
    logprobs: KeptLogprobs | None = None  # where its words were in doubt; None: not told

    @property
    def ending(self) -> Ending:
        """Whether it is whole, or what else; what is not is kept and paid for too."""
        return ending_of(self.finish)

    @property
    def words(self) -> str:
        """What it says: where all of it was put among the thoughts, these."""
        return self.text or self.thoughts or ""

    @property
    def unknown(self) -> tuple[bool, bool]:
        """Whether the tokens of the prompt, and those of the completion, are unknown: 0 is a count
        only of what is empty, and a prompt never is."""
        is_empty = not self.text and not self.thoughts
        return not self.usage.prompt, not (
            self.usage.completion or (is_empty and self.usage.is_whole)
        )

    @property
    def is_counted(self) -> bool:
        """Whether it is known how many tokens it took."""
        return bool(self.usage.prompt and self.usage.completion) or not any(self.unknown)

    @property
    def is_cut_off(self) -> bool:
        """Whether there was more to say."""
        return self.ending == "truncated"

    def may_go_on(self, max_tokens: int) -> bool:
        """Whether it could be whole if it were asked for again with a limit of so many tokens. One
        that was cut off at a limit that nobody knows is left as it is."""
        if self.finish == "stop":
            return False
        ending = ending_of(self.finish)
        if ending == "truncated":
            return self.limit is not None and self.limit < max_tokens
        return ending == "broken"

    @property
    def thinking(self) -> int:
        """Tokens of it that are thoughts: as counted, else by the share of its characters."""
        if self.usage.reasoning or not self.thoughts:
            return self.usage.reasoning
        characters = len(self.thoughts) + len(self.text)
        return round(self.usage.completion * len(self.thoughts) / characters)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a request has no answer."""

    reason: str  # that its row is rejected with, e.g. `bad_request`
    detail: str
