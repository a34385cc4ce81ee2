"""Answers that decline to answer."""

import re

_REFUSAL = re.compile(
    r"\b(?:i'?m sorry|i apologi[sz]e|sorry, (?:but )?i|as an ai\b"
    r"|i (?:cannot|can't|can not|am unable to|am not able to|won't|will not)"
    r" (?:answer|assist|help|comply|provide|fulfil|continue|assess))",
    re.IGNORECASE,
)
# Who has no reasons says so of himself, and first: `There is not enough information in the premise`
# is a reason for a label such as neutral, and a text that is labelled may well ask for something.
_NO_REASONS = re.compile(
    r"\W*(?:\w+,? ){0,3}?(?:"
    r"i(?:'d|'ll| would| will)? need (?:\w+ ){0,3}?(?:context|information|details?|data)\b"
    r"|i (?:do not|don't) (?:have|see) (?:\w+ ){0,3}?(?:context|information|details?|data|text)\b"
    r"|i(?:'m| am) (?:not (?:quite |entirely )?(?:sure|certain)|unsure|uncertain) (?:what|how)\b"
    r"|(?:not enough|too little|insufficient)\b[^.!?]{0,40}\bfor me to\b"
    r"|please (?:\w+ )?(?:provide|share|clarify|specify|paste|send) (?:me|more|the|your)\b"
    r"|(?:could|can|would) you (?:\w+ )?(?:provide|share|clarify|specify|paste|send)\b)",
    re.IGNORECASE,
)
_LOOKED_AT = 300
_OPENING = 120


def is_refusal(answer: str) -> bool:
    """Whether the answer opens with an apology or with what the teacher cannot do."""
    return _REFUSAL.search(answer[:_LOOKED_AT].replace("’", "'")) is not None


def gives_no_reasons(text: str) -> bool:
    """Whether what should be reasons opens with a refusal, or asks for more to go by."""
    opening = text[:_OPENING].replace("’", "'")
    return _NO_REASONS.match(opening) is not None or _REFUSAL.match(opening) is not None
