"""How teachers put a label and their reasons into words: one function per habit."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import orjson

from stepdistill.annotator.simulator.chance import pick

PlainStyle = Literal["sentence", "label-first", "reason-first", "bare", "letter", "json"]
Style = PlainStyle | Literal["mixed"]
PLAIN_STYLES: tuple[PlainStyle, ...] = get_args(PlainStyle)
STYLES: tuple[Style, ...] = (*PLAIN_STYLES, "mixed")

_SENTENCES = (
    "The answer is {label} because {reason}.",
    "The correct answer is {label}, since {reason}.",
    "I would say {label}, because {reason}.",
    "It is {label}: {reason}.",
    "The answer is {label}. {rationale}",
    "Based on the text, the answer is {label}, as {reason}.",
)
_LABEL_FIRST = (
    "Label: {label}\nRationale: {rationale}",
    "Label: {label}\n\nRationale: {rationale}",
)
_REASON_FIRST = (
    "{rationale} Therefore, the answer is {label}.",
    "{rationale} So the answer is {label}.",
    "Let's think step by step. {rationale} Therefore, the answer is {label}.",
)
# A sentence that opens with one of these loses its capital after "because"; a name keeps it.
_OPENERS = {
    *("A", "An", "As", "Both", "Each", "Every", "He", "Her", "His", "If", "In", "It", "Its"),
    *("On", "She", "Since", "Some", "The", "Their", "There", "These", "They", "This", "We"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrased:
    """What is to be said; options are the row's labels in their own order, where they have one."""

    label: str
    rationale: str
    options: tuple[str, ...] = ()


def phrase(style: PlainStyle, said: Phrased, roll: float) -> str:
    """The answer's text; a roll in [0, 1) chooses among the wordings of the style."""
    return _STYLES[style](said, roll)


def _sentence(said: Phrased, roll: float) -> str:
    if not said.rationale:
        return f"The answer is {said.label}."
    return _filled(_SENTENCES, said, roll)


def _label_first(said: Phrased, roll: float) -> str:
    return _filled(_LABEL_FIRST, said, roll)


def _reason_first(said: Phrased, roll: float) -> str:
    return _filled(_REASON_FIRST, said, roll)


def _bare(said: Phrased, roll: float) -> str:
    return said.label if roll < 0.5 else f"{said.label}."


def _letter(said: Phrased, roll: float) -> str:
    if said.label not in said.options:
        return _label_first(said, roll)
    letter = chr(ord("a") + said.options.index(said.label))
    return f"({letter}) {said.label}\n{said.rationale}".rstrip()


def _json(said: Phrased, roll: float) -> str:
    text = orjson.dumps({"label": said.label, "rationale": said.rationale}).decode()
    return text if roll < 0.75 else f"```json\n{text}\n```"


def json_only(said: Phrased) -> str:
    """Nothing but the object, as a response_format demands."""
    return _json(said, 0.0)


def _filled(wordings: tuple[str, ...], said: Phrased, roll: float) -> str:
    text = pick(wordings, roll)
    reason = _inside_a_sentence(said.rationale)
    return text.format(label=said.label, rationale=said.rationale, reason=reason).strip()


def _inside_a_sentence(rationale: str) -> str:
    first, space, rest = rationale.strip().removesuffix(".").partition(" ")
    return (first.lower() if first in _OPENERS else first) + space + rest


_STYLES: dict[PlainStyle, Callable[[Phrased, float], str]] = {
    "sentence": _sentence,
    "label-first": _label_first,
    "reason-first": _reason_first,
    "bare": _bare,
    "letter": _letter,
    "json": _json,
}
