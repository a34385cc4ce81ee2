"""A rationale as prose: without tags, fences, JSON, LaTeX boxes or the prompt's own text."""

import re

_SUSPICIOUS = re.compile(r"[<`{}\\]")
_FENCED_JSON = re.compile(r"```\w*\s*[\[{][^`]*(?:```|\Z)")
_FENCE = re.compile(r"```\w*")
_TAG = re.compile(  # `<b>`, `</answer>`, `<|end|>`
    r"</?\w[\w:-]{0,24}(?:\s[^<>\n]{0,80})?/?>|<\|[^<>|\n]{1,40}\|>"
)
_OBJECT = re.compile(r"\{\s*[\"'][^{}]{0,4000}\}")
_BOX = re.compile(r"\$*\\{1,2}(?:boxed|fbox)\s?\{((?:[^{}\n]|\{[^{}\n]{0,80}\}){0,200})\}\$*")
_REMAINS = re.compile(r"\{\s*['\"]|['\"]\s*[,}]\s*(?:['\"}]|\Z)|\"\w+\":")
_COURTESY = re.compile(  # `I hope this helps!`, `Let me know if ...`, at the end
    r"(?:\A|(?<=[.!?\n])\s?)(?:I hope (?:this|that|it) helps|(?:Please )?Let me know if"
    r"|Feel free to|If you (?:have|need) )[^\n]*\Z",
    re.IGNORECASE,
)
_WORDS = re.compile(r"\w\W+\w+\W+\w")


def as_prose(text: str | None) -> str | None:
    """The text without marks of other kinds; None where too few words are left, or JSON is."""
    if text is None:
        return None
    if "help" in text or "me know" in text or "el free" in text:
        text = _COURTESY.sub("", text).rstrip() or None
    if text is None or not _SUSPICIOUS.search(text):
        return text
    text = _TAG.sub(" ", _FENCE.sub(" ", _FENCED_JSON.sub(" ", text)))
    text = _BOX.sub(r"\1", _OBJECT.sub(" ", text))
    if _REMAINS.search(text):
        return None
    text = re.sub(r"[ \t]{2,}", " ", text).strip()
    return text if _WORDS.search(text) else None
