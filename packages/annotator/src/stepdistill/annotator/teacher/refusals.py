"""Refusals: whether they are about single rows, or about all that the run asks."""

import re

# What differs between refusals of one kind: 'what is quoted', and words with a digit in them, such
# as numbers, dates, and the server's own name for a request (req_8fK2).
_QUOTED = re.compile(r"""(?<!\w)'[^']*'(?!\w)|"[^"]*"|`[^`]*`|[“„«‘][^”“»’]*[”“»’]""")
_WITH_DIGITS = re.compile(r"\S*\d\S*")


def gist(text: str) -> str:
    """What refusals of one kind have in common: their words without numbers and quoted parts."""
    return " ".join(_WITH_DIGITS.sub("", _QUOTED.sub("", text)).split())
