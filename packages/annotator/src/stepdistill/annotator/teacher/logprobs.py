"""Log-probabilities in replies: which tokens an answer is made of, and what else each could be.

Two forms are about: `content` of OpenAI's chat, which vLLM, SGLang and llama.cpp give too, and that
of the old completions, in parallel lists, which Together and llama-cpp-python give. Tokens are
bytes: a character may be parted between two. They are joined and looked for in the text, since
servers list tokens that are no part of it: thoughts, `<|im_end|>`, a blank that was stripped.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from math import exp, isfinite
from typing import Any, NamedTuple, cast

from stepdistill.annotator.store.logprobs import (
    KeptLogprobs,
    TokenDoubt,
    kept_logprobs,
    near,
)
from stepdistill.annotator.teacher.body import object_in

_JOINTS = re.compile(r"[\s_-]+")
_ROUNDING = 1e-3  # what a logarithm may be above 0


class Token(NamedTuple):
    """One token of a reply. logprob: as the server says it, whatever that is. others: the most
    probable tokens in its place; the token itself may be among them."""

    text: bytes
    logprob: object
    others: tuple[tuple[bytes, object], ...] = ()


def logprobs_in(fields: object, text: str, names: tuple[str, ...] = ()) -> KeptLogprobs | None:
    """What a choice's `logprobs` says of its text, as it is kept; None where it says nothing that
    can be told from it. names: those of labels; where there are some, only these are of use."""
    if (found := object_in(fields)) is None:
        return None
    content = _list(found.get("content"))
    kept = kept_of(_tokens(content) if content else _parallel(found), text)
    if not kept or not names:
        return kept
    return near([match.span() for match in _any_of(names).finditer(text)], kept)


@lru_cache(maxsize=8)
def _any_of(names: tuple[str, ...]) -> re.Pattern[str]:
    """Finds names, their words joined in whatever way; the longest first: one may begin another."""
    words = [[re.escape(word) for word in _JOINTS.split(name) if word] for name in names]
    each = sorted((r"[\s_-]+".join(parts) for parts in words if parts), key=len, reverse=True)
    return re.compile("|".join(each) or r"(?!)", re.IGNORECASE)


def kept_of(tokens: Iterable[Token], text: str) -> KeptLogprobs | None:
    """What is kept of the tokens of a text; None where the text is not made of them."""
    each, data = list(tokens), text.encode(errors="replace")
    whole = b"".join(token.text for token in each)
    # The last place: thoughts that come before may well hold the answer, too.
    offset = whole.rfind(data) if data else -1
    return None if offset < 0 else kept_logprobs(_doubts(each, text, data, -offset))


def _doubts(tokens: list[Token], text: str, data: bytes, place: int) -> Iterator[TokenDoubt]:
    """place: where the first token begins, in bytes of the text; below 0 where before it."""
    # Byte -> the character that it is part of.
    of = [i for i, character in enumerate(text) for _ in character.encode(errors="replace")]
    of.append(len(text))
    for token in tokens:
        first, place = max(place, 0), place + len(token.text)
        if first >= len(data):
            return
        if place <= first:
            continue
        start = of[first]
        begun = data[:first][-3:] if first and of[first - 1] == start else b""
        while begun and begun[0] & 0xC0 == 0x80:  # the end of the character before
            begun = begun[1:]
        others = [(begun + other, each) for other, each in token.others if other != token.text]
        yield TokenDoubt(
            start,
            of[min(place, len(data))],
            probability_of(token.logprob),
            tuple(
                (other.decode(errors="replace"), probability)
                for other, each in others
                if (probability := probability_of(each)) is not None
            ),
        )


def probability_of(logprob: object) -> float | None:
    """The probability that a logarithm stands for; None where it can be none: null, infinite, 3."""
    if isinstance(logprob, bool) or not isinstance(logprob, int | float):
        return None
    return exp(min(logprob, 0.0)) if isfinite(logprob) and logprob <= _ROUNDING else None


def _tokens(content: list[Any]) -> Iterator[Token]:
    for each in content:
        fields = object_in(each) or {}
        told = [object_in(other) or {} for other in _list(fields.get("top_logprobs"))]
        yield Token(
            _bytes(fields),
            fields.get("logprob"),
            tuple((_bytes(other), other.get("logprob")) for other in told),
        )


def _bytes(fields: Mapping[str, Any]) -> bytes:
    """A token's own bytes; where they are not said, those of its text."""
    listed = fields.get("bytes")
    if isinstance(listed, list):
        try:
            return bytes(cast("list[Any]", listed))
        except (TypeError, ValueError):
            pass
    text = fields.get("token")
    return text.encode(errors="replace") if isinstance(text, str) else b""


def _list(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _parallel(fields: Mapping[str, Any]) -> Iterator[Token]:
    """tokens, token_logprobs and top_logprobs, a list each; in the last an object each."""
    own, others = _list(fields.get("token_logprobs")), _list(fields.get("top_logprobs"))
    for i, name in enumerate(_list(fields.get("tokens"))):
        told = object_in(others[i]) if i < len(others) else None
        yield Token(
            str(name).encode(errors="replace"),
            own[i] if i < len(own) else None,
            tuple((other.encode(errors="replace"), each) for other, each in (told or {}).items()),
        )
