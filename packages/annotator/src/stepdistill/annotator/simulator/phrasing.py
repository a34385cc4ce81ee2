"""How teachers put a label and their reasons into words, in which style and at what length."""

import re
from dataclasses import dataclass
from itertools import islice
from typing import Literal, get_args

import orjson

from stepdistill.annotator.simulator.pick import pick
from stepdistill.common.kinds.multi import SEPARATOR
from stepdistill.common.kinds.number import number_in
from stepdistill.common.task import NO_CLASS

PlainStyle = Literal["sentence", "label-first", "reason-first", "bare", "letter", "json"]
Style = PlainStyle | Literal["mixed"]
PLAIN_STYLES: tuple[PlainStyle, ...] = get_args(PlainStyle)
STYLES: tuple[Style, ...] = (*PLAIN_STYLES, "mixed")

_LABEL_FIRST = (
    "Label: {label}\nRationale: {rationale}",
    "Label: {label}\n\nRationale: {rationale}",
)
# {reason} is the rationale as it stands inside a sentence.
_WORDINGS: dict[PlainStyle, tuple[str, ...]] = {
    "sentence": (
        "The answer is {label} because {reason}.",
        "The correct answer is {label}, since {reason}.",
        "I would say {label}, because {reason}.",
        "It is {label}: {reason}.",
        "The answer is {label}. {rationale}",
        "Based on the text, the answer is {label}, as {reason}.",
    ),
    "label-first": _LABEL_FIRST,
    "reason-first": (
        "{rationale} Therefore, the answer is {label}.",
        "{rationale} So the answer is {label}.",
        "Let's think step by step. {rationale} Therefore, the answer is {label}.",
    ),
    "letter": _LABEL_FIRST,  # where the row has no options that letters could stand for
}
# A sentence that opens with one of these loses its capital after "because"; a name keeps it.
_OPENERS = {
    *("A", "An", "As", "Both", "Each", "Every", "He", "Her", "His", "If", "In", "It", "Its"),
    *("On", "She", "Since", "Some", "The", "Their", "There", "These", "They", "This", "We"),
}
_NUMBERS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5}
_LENGTH_WISH = re.compile(  # "in two short sentences", "4 sentences"
    rf"\b({'|'.join(_NUMBERS)}|[1-9]) (?:\w+ )?sentences?\b", re.IGNORECASE
)
# "She gave 4 to Tom." with its full stop. What has none is taken, too, and then left out: else all
# of it would be looked through once more from each of its letters.
_SENTENCE = re.compile(r"[^.!?]+[.!?]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrased:
    """An answer before it is put into words."""

    label: str
    rationale: str
    options: tuple[str, ...] = ()  # the row's labels in their own order, where it has such


def phrase(style: PlainStyle, answer: Phrased, u: float) -> str:
    """The answer's text; u in [0, 1) chooses among the wordings of the style."""
    match style:
        case "bare":
            return answer.label if u < 0.5 else f"{answer.label}."
        case "json":
            text = json_only(answer)
            return text if u < 0.75 else f"```json\n{text}\n```"
        case "sentence" if not answer.rationale:
            return f"The answer is {answer.label}."
        case "letter" if answer.label in answer.options:
            letter = chr(ord("a") + answer.options.index(answer.label))
            return f"({letter}) {answer.label}\n{answer.rationale}".rstrip()
        case _:
            reason = _inside_a_sentence(answer.rationale)
            return (
                pick(_WORDINGS[style], u)
                .format(label=answer.label, rationale=answer.rationale, reason=reason)
                .strip()
            )


def json_only(answer: Phrased, label_type: object = "string") -> str:
    """Nothing but the object, as a response_format demands. label_type: JSON's name of it."""
    label: object = answer.label
    if label_type == "array":
        label = [] if label == NO_CLASS else answer.label.split(SEPARATOR)
    elif label_type == "number":
        label = number_in(answer.label)
    return orjson.dumps({"label": label, "rationale": answer.rationale}).decode()


def _inside_a_sentence(rationale: str) -> str:
    first, space, rest = rationale.strip().removesuffix(".").partition(" ")
    return (first.lower() if first in _OPENERS else first) + space + rest


def facts_asked_for(words: str) -> int:
    """How many sentences are to come before the one that gives the reason; 0 without a wish.

    words: of the prompt, without the row's.
    """
    wish = _LENGTH_WISH.search(words)
    if wish is None:
        return 0
    number = wish[1].lower()
    return (_NUMBERS.get(number) or int(number)) - 1


def facts_of(text: str, most: int | None = None) -> tuple[str, ...]:
    """The first sentences of a row's text that tell something: those that ask are left out."""
    sentences = (found.group().strip() for found in _SENTENCE.finditer(text))
    return tuple(islice((each for each in sentences if each.endswith((".", "!"))), most))
