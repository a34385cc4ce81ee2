"""What a teacher thinks aloud before it answers: never the answer, never a rationale by itself.

`<think>...</think>`, `[THINK]...[/THINK]` and their kin, with or without the opening mark, and the
channels of harmony. All up to the last closing mark is thoughts.
"""

import re
from typing import NamedTuple

_NAMES = r"think(?:ing)?|thoughts?|reasoning|reflection|scratchpad|seed:think|inner_monologue"
_MARK = re.compile(
    rf"<(?P<close>/)?(?:{_NAMES})>"  # <think>, </thinking>
    r"|\[(?P<close_bracket>/)?think(?:ing)?\]"  # [THINK], [/THINK]
    r"|\u25c1(?P<close_arrow>/)?think\u25b7"  # of Kimi
    r"|<\|(?:begin|start)_(?:of_)?thought\|>|<\|START_THINKING\|>"
    r"|(?P<close_words><\|end_(?:of_)?thought\|>|<\|END_THINKING\|>)",
    re.IGNORECASE,
)
# <|channel|>analysis<|message|>...<|end|><|start|>assistant<|channel|>final<|message|>the answer
_CHANNEL = re.compile(r"<\|channel\|>\s*(\w+)[^<\n]{0,80}<\|message\|>")
_HARMONY_END = re.compile(r"(?:<\|(?:return|end|start)\|>\w*\s*)+\Z|<\|(?:return|end)\|>")
_MAY_THINK = re.compile(r"<[/|a-z]|\[/?t|\u25c1", re.IGNORECASE)
_TOKENS = re.compile(r"<\|[^<>|]{1,40}\|>(?:assistant)?")


class Thoughts(NamedTuple):
    """An answer and what was thought before it.

    thoughts: None where nothing was. start, end: the characters that are the answer. unfinished:
    the teacher never stopped thinking, so there is no answer.
    """

    thoughts: str | None
    start: int
    end: int
    unfinished: bool = False


def without_thoughts(answer: str) -> Thoughts:
    """Where the answer begins and ends, behind its thoughts."""
    may_think = "<" in answer or "[" in answer or "\u25c1" in answer
    if not may_think or not _MAY_THINK.search(answer):
        return Thoughts(None, 0, len(answer))
    if "<|channel|>" in answer:
        return _by_channel(answer)
    first = last = None
    for last in _MARK.finditer(answer):
        first = first or last
    if first is None or last is None:
        return Thoughts(None, 0, len(answer))
    if not _closes(last):
        return Thoughts(_plain(answer[last.end() :]), len(answer), len(answer), True)
    start = last.end()
    if not answer[start:].strip() and not _closes(first) and answer[: first.start()].strip():
        # The thoughts stand behind the answer.
        return Thoughts(_plain(answer[first.end() : start]), 0, first.start())
    return Thoughts(_plain(answer[:start]), start, len(answer))


def _closes(mark: re.Match[str]) -> bool:
    return mark.lastgroup is not None


def _by_channel(answer: str) -> Thoughts:
    """The last channel is the answer, unless it is the one for thoughts."""
    channels = list(_CHANNEL.finditer(answer))
    if not channels or channels[-1][1] in ("analysis", "commentary"):
        return Thoughts(_plain(answer), len(answer), len(answer), unfinished=True)
    last = channels[-1]
    ending = _HARMONY_END.search(answer, last.end())
    end = ending.start() if ending else len(answer)
    return Thoughts(_plain(answer[: last.start()]), last.end(), end)


def _plain(text: str) -> str | None:
    """Thoughts without their marks; None where nothing is left."""
    text = _TOKENS.sub(" ", _CHANNEL.sub(" ", _MARK.sub(" ", text)))
    return text.strip() or None
