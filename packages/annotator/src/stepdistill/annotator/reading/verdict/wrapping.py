"""What stands around a label: quotation marks, emphasis, code, LaTeX, tags, list marks."""

import re
from collections.abc import Iterator

OPENING = "\"'“‘„«‹»›「『《〈【（([{<*_`~$"
CLOSING = "\"'”’“»›«‹」』》〉】）)]}>*_`~$"
# Opening -> the closings that it may have: `„B“`, `»B«`, `"B"`.
_PAIRS = dict(zip("\"'«‹「『《〈【（([{<*_`~$", "\"'»›」』》〉】）)]}>*_`~$", strict=True)) | {
    "„": "“”", "“": "”“", "‘": "’‘", "’": "’", "”": "”", "»": "«", "›": "‹"
}  # fmt: skip
_LATEX = re.compile(
    # `\boxed{B}`, `\text{B}`, `\(B\)`
    r"\\{1,2}(?:boxed|fbox|text(?:bf|it|tt|rm|sf|sc|normal)?|math(?:bf|rm|it|tt|sf)|operatorname"
    r"|mbox|emph|underline)\s?\{(.{1,400})\}|\\{1,2}[(\[](.{1,400})\\{1,2}[)\]]",
    re.DOTALL,
)
_TAGGED = re.compile(r"<([\w:-]{1,20})(?:\s[^<>]{0,60})?>(.{1,400})</\1\s?>", re.DOTALL)
_LEADING = re.compile(
    # `## B`, `- B`, `: B`, `→ B`, `=> B`
    r"[#>]+\s*|[-*+\u2022\u2013\u2014:\uff1a=]+\s+|(?:[\u2705\u2794\u2192\u27a1]\ufe0f?|=>|->|-->)\s*"
)
_LIST_MARK = re.compile(r"\(?(?:[A-Za-z]|\d{1,2})[.):\uff0e\u3001\uff09]\s*(?=\S)")  # `2. `, `(a) `
_ENDINGS = ".!,;:?。！，；：．、｡।؟۔…"
_DEEPEST = 12


def layers(text: str) -> Iterator[str]:
    """A short text and what is within it, layer by layer: `**"B".**`, `"B".`, `"B"`, `B`."""
    inner: str | None = text.strip()
    for _ in range(_DEEPEST):
        if not inner:
            return
        yield inner
        inner = _unwrapped(inner)


def _unwrapped(text: str) -> str | None:
    first, last = text[0], text[-1]
    if first == "<" and (tagged := _TAGGED.fullmatch(text)):
        return tagged[2].strip()
    if len(text) > 1 and last in _PAIRS.get(first, ""):
        return text[1:-1].strip()
    if first == "\\" and (latex := _LATEX.fullmatch(text)):
        return (latex[1] or latex[2]).strip()
    if last in _ENDINGS:
        return text[:-1].strip()
    if mark := _LEADING.match(text):
        return text[mark.end() :]
    if last in CLOSING:
        return text[:-1].strip()
    return text[1:].strip() if first in OPENING else None


def without_list_mark(text: str) -> str | None:
    """`2. positive` -> `positive`; None where no letter or number of a list leads."""
    mark = _LIST_MARK.match(text)
    return text[mark.end() :] if mark else None
