"""Text of the prompt that an answer repeats: cut out before reading, since it says nothing.

A small model repeats its instructions (`Equation: one expression ..., such as (8 + 4) / 3`), and
the example in them, or one put in its place, would be read as its answer. Only what begins as a
line or sentence in both is an echo, with a capital or without: teachers answer in the question's
words, too (`cannot be determined to be true or false`).
"""

import re
from collections.abc import Iterable

from stepdistill.common.placeholders import PLACEHOLDER

# A run of the template's characters this long is no accident; the name of a label is no echo.
_SHORTEST_ECHO = 40
_FEWEST_WORDS = 6
_BLOCK = _SHORTEST_ECHO // 2
_LINE_OR_SENTENCE = re.compile(r"(?:^|(?<=\n)|(?<=[.!?:] ))[\s>#*\"'`-]*", re.MULTILINE)
_BEGINS = re.compile(r"(?:^|[\n.!?:]|</?\w+>)[\s>#*\"'`(-]*\Z")
_LOOKED_BACK = 12
# A run's end where an example is given: `..., such as (8 + `; and how that goes on in an answer.
_TO_AN_EXAMPLE = re.compile(
    r"\b(?:such as|like|e\.g\.|for (?:example|instance))[\s,:(\"'`]*[-+*/=\d\s().]*\Z"
)
_EXPRESSION = r"-+*/x\u00d7\u00f7\u2212= \t()\[\]"
_REST_OF_AN_EXAMPLE = re.compile(rf"[{_EXPRESSION}]*\d[{_EXPRESSION}.\d]*")


class Echo:
    """Finds runs of a template's own text in answers."""

    def __init__(self, texts: Iterable[str], names: Iterable[str] = ()) -> None:
        """texts: of the template, with its placeholders. names: of labels, which an answer may
        well repeat."""
        long_names = [name for name in names if len(name) >= _BLOCK]
        starts: dict[str, str] = {}
        for text in texts:
            for begin in _LINE_OR_SENTENCE.finditer(text):
                rest = PLACEHOLDER.split(text[begin.end() :], maxsplit=1)[0]
                for name in long_names:
                    rest = rest.partition(name)[0]
                if len(rest.strip()) >= _SHORTEST_ECHO:
                    rest = _in_lower_case(rest)
                    starts.setdefault(rest[:_BLOCK], rest)
        # The first characters of every line and sentence, and how it goes on.
        self._starts = list(starts.items())

    def without(self, answer: str) -> str:
        """The answer with every such run blanked out, at its length."""
        lower = _in_lower_case(answer)
        for block, text in self._starts:
            place = lower.find(block)
            while place >= 0:
                end = _end_of_run(lower, place, text)
                before = answer[max(0, place - _LOOKED_BACK) : place]
                if _is_echo(lower[place:end]) and _BEGINS.search(before):
                    end = _end_of_example(lower, place, end)
                    blank = " " * (end - place - 1) + "\n"
                    answer = f"{answer[:place]}{blank}{answer[end:]}"
                    lower = f"{lower[:place]}{blank}{lower[end:]}"
                place = lower.find(block, max(end, place + 1))
        return answer


def _in_lower_case(text: str) -> str:
    """The text in lower case, at its own length: some capitals have no small form of one sign."""
    lower = text.lower()
    return lower if len(lower) == len(text) else text


def _end_of_example(answer: str, place: int, end: int) -> int:
    """`..., such as 1 + 4 / 3`: an example in the template's words is none of the answer's."""
    if not _TO_AN_EXAMPLE.search(answer, place, end):
        return end
    rest = _REST_OF_AN_EXAMPLE.match(answer, end)
    return rest.end() if rest else end


def _end_of_run(answer: str, place: int, text: str) -> int:
    """Where answer and template part, at a word's end."""
    length = min(len(text), len(answer) - place)
    same = next((i for i in range(length) if answer[place + i] != text[i]), length)
    end = place + same
    while place < end < len(answer) and answer[end].isalnum() and answer[end - 1].isalnum():
        end -= 1
    return end


def _is_echo(run: str) -> bool:
    return len(run.strip()) >= _SHORTEST_ECHO and len(run.split()) >= _FEWEST_WORDS
