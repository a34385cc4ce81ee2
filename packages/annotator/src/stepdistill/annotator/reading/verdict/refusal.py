"""Answers that decline to answer."""

import re

_REFUSAL = re.compile(
    r"\b(?:i'?m sorry|i apologi[sz]e|sorry, (?:but )?i|as an ai\b"
    r"|i (?:cannot|can't|can not|am unable to|am not able to|won't|will not)"
    r" (?:answer|assist|help|comply|provide|fulfil|continue|assess))",
    re.IGNORECASE,
)
_LOOKED_AT = 300


def is_refusal(answer: str) -> bool:
    """Whether the answer opens with an apology or with what the teacher cannot do."""
    return _REFUSAL.search(answer[:_LOOKED_AT].replace("’", "'")) is not None
