"""A rationale as prose: without tags, fences, JSON, LaTeX boxes or the prompt's own text."""

import re

from stepdistill.annotator.reading.verdict.rationale import says_enough

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
_SPACES = re.compile(r"[ \t]{2,}")


def as_prose(text: str | None) -> str | None:
    """The text without marks of other kinds; None where too few words are left, or JSON is."""
    if text is None:
        return None
    if "help" in text or "me know" in text or "el free" in text:
        text = _COURTESY.sub("", text).rstrip() or None
    if text is None or not ("<" in text or "`" in text or "{" in text or "\\" in text):
        return text
    prose = _FENCE.sub(" ", _FENCED_JSON.sub(" ", text)) if "`" in text else text
    prose = _TAG.sub(" ", prose) if "<" in prose else prose
    if "{" in prose:
        prose = _BOX.sub(r"\1", _OBJECT.sub(" ", prose))
        if _REMAINS.search(prose):
            return None
    if prose == text:
        return text
    prose = _SPACES.sub(" ", prose).strip()
    return prose if says_enough(prose) else None
