"""Text of the prompt that an answer repeats: cut out before reading, since it says nothing.

A small model repeats its instructions (`Equation: one expression ..., such as (8 + 4) / 3`), and the
example in them would be read as its answer.
"""

from collections.abc import Iterable

from stepdistill.common.placeholders import PLACEHOLDER

# A run of the template's characters this long is no accident; names of labels are no echo.
_SHORTEST_ECHO = 40
_FEWEST_WORDS = 6
# Every run of the shortest length holds one whole block, wherever it begins.
_BLOCK = _SHORTEST_ECHO // 2


class Echo:
    """Finds runs of a template's own text in answers."""

    def __init__(self, texts: Iterable[str], names: Iterable[str] = ()) -> None:
        """texts: of the template, with its placeholders. names: of labels, which an answer may
        well repeat."""
        self._texts: list[str] = []
        long_names = [name for name in names if len(name) >= _BLOCK]
        for text in texts:
            parts = [text]
            for name in long_names:
                parts = [piece for part in parts for piece in part.split(name)]
            for part in parts:
                self._texts += [piece for piece in PLACEHOLDER.split(part)[::2] if piece.strip()]
        self._blocks = [
            (text[at : at + _BLOCK], text, at)
            for text in self._texts
            for at in range(0, len(text) - _BLOCK + 1, _BLOCK)
            if text[at : at + _BLOCK].strip()
        ]

    def without(self, answer: str) -> str:
        """The answer with every such run blanked out, at its length."""
        for block, text, at in self._blocks:
            place = answer.find(block)
            while place >= 0:
                start, end = _grown(answer, place, text, at)
                if _is_echo(answer[start:end]):
                    answer = f"{answer[:start]}{' ' * (end - start - 1)}\n{answer[end:]}"
                place = answer.find(block, max(end, place + 1))
        return answer


def _grown(answer: str, place: int, text: str, at: int) -> tuple[int, int]:
    """The whole run that answer and template share around a block, cut at words' ends."""
    start, end = place, place + _BLOCK
    left, right = at, at + _BLOCK
    while start > 0 and left > 0 and answer[start - 1] == text[left - 1]:
        start, left = start - 1, left - 1
    while end < len(answer) and right < len(text) and answer[end] == text[right]:
        end, right = end + 1, right + 1
    while end < len(answer) and start < end and answer[end].isalnum() and answer[end - 1].isalnum():
        end -= 1
    while 0 < start < end and answer[start].isalnum() and answer[start - 1].isalnum():
        start += 1
    return start, end


def _is_echo(run: str) -> bool:
    return len(run.strip()) >= _SHORTEST_ECHO and len(run.split()) >= _FEWEST_WORDS
