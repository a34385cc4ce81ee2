"""What the simulated teacher knows and says: a pure function of the request's body."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from stepdistill.annotator.plan.key import SAMPLE
from stepdistill.annotator.simulator.phrasing import (
    PLAIN_STYLES,
    Phrased,
    PlainStyle,
    Style,
    json_only,
    phrase,
)
from stepdistill.annotator.simulator.pick import pick, pick_by_share
from stepdistill.annotator.simulator.reply import AnswerSource
from stepdistill.annotator.simulator.told_tokens import TellsTokens, ToldToken, told_tokens
from stepdistill.annotator.simulator.wire import invalid, prompt_digest, read_messages
from stepdistill.common.task import NO_CLASS
from stepdistill.common.uniform import uniform_of

# Reasons that would go with any label: what a teacher gives who has guessed.
_WRONG_RATIONALES = (
    "The wording of the text points this way, and nothing in it speaks against that.",
    "This is what the text seems to ask for when it is read as a whole.",
    "The details that are given fit this reading better than they fit any other.",
)
_KNOWS_NOTHING = (
    "I am not sure what to make of this text without knowing more about it.",
    "There is not enough here for me to come to a view on the matter.",
    "I would need more context before I could say anything useful about this.",
)

# Asked the same again it is less sure of what it has wrong than of what it has right, so that votes
# mend some rows and their shares tell something.
_WAVERS_RIGHT, _WAVERS_WRONG = 0.08, 0.5
# One that doubts errs on row u of [0, 1) by 4 u^3 times its mean: hardly ever on most of them.
_MOST_DOUBT, _OFTEN_TAKEN = 0.95, 2 / 3


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownAnswer:
    """The truth about one prompt."""

    label: str
    rationale: str
    alternatives: tuple[str, ...] = ()  # the row's other labels; a wrong answer is one of them
    options: tuple[str, ...] = ()  # all labels in their own order, where letters stand for them
    accuracy: float | None = None  # how likely it is answered right, 0 to 1; None: the teacher's
    facts: tuple[str, ...] = ()  # sentences of the row that come before the reason


class AnswerBook:
    """Prompts and their true answers; a prompt is kept as 16 bytes, never as its text."""

    def __init__(self) -> None:
        self._known: dict[bytes, KnownAnswer] = {}

    def __len__(self) -> int:
        return len(self._known)

    def add(self, messages: Sequence[Mapping[str, object]], known: KnownAnswer) -> None:
        """Know the answer to these messages; raises RefusedRequest where they are none."""
        self._known[prompt_digest(read_messages(list(messages)))] = known

    def find(self, digest: bytes) -> KnownAnswer | None:
        """The answer to the prompt of this digest, None where it is unknown."""
        return self._known.get(digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedTeacher:
    """A teacher who answers from a book, and errs on a share of 1 - accuracy of the prompts.

    Which prompts it errs on, and its words, follow from the seed and the prompt alone. Asked the
    same as another vote it wavers now and then, unless at temperature 0. A request with a JSON
    response_format gets {"label", "rationale"} whatever the style.

    doubts: it is of two minds instead: each answer is drawn from chances that the row has. At
    temperature 0 it is the likeliest, which is right on about a share of accuracy; label by label
    it is right as often as it is sure. Either way it tells, when asked, with which chances it would
    say which label if it were asked once more.
    """

    book: AnswerBook = field(default_factory=AnswerBook)
    counts: bool = False  # whether who asks the same again is a further vote, as nothing says it
    accuracy: float = 1.0  # 0 to 1; of prompts whose answer names none
    seed: int = 0
    style: Style = "label-first"
    doubts: bool = False
    _asked: Counter[bytes] = field(default_factory=Counter[bytes], init=False)  # by prompt

    def answer(self, body: Mapping[str, object]) -> str:
        """The text for this request; raises RefusedRequest when its messages cannot be read."""
        digest = prompt_digest(read_messages(body.get("messages")))
        return self.answer_from(self.book.find(digest), body, digest)

    def _vote(self, body: Mapping[str, object], digest: bytes) -> int:
        """Which time this is asked, from 0."""
        said, cold = body.get(SAMPLE), body.get("temperature") == 0
        if not self.counts or isinstance(said, int) or cold:
            return said if isinstance(said, int) and not cold else 0
        self._asked[digest] += 1
        return self._asked[digest] - 1

    def answer_from(
        self, known: KnownAnswer | None, body: Mapping[str, object], digest: bytes
    ) -> str:
        """The text for a request of which this is known. digest: of its prompt."""
        # Each draw has a part of its own, so that none of them tells anything about another.
        if known is None:
            words = pick(_KNOWS_NOTHING, uniform_of(self.seed, b"words", digest))
            if not _wants_json(body):
                return words
            # Held to a schema, it cannot but name a label.
            nothing = Phrased(label=_any_label(body), rationale=words)
            return json_only(nothing, _of_label(body, "type"))
        vote, cold = self._vote(body, digest), body.get("temperature") == 0
        label = self._drawn(known, digest, vote, cold=cold) if self.doubts else None
        label = label or self._judge(known, digest, vote)
        return self._put(known, label, body, digest, is_right=label == known.label)

    def tokens(self, body: Mapping[str, object], text: str) -> list[ToldToken]:
        """The tokens of a text that it gave for this request's body, with all that it could have
        been. Raises RefusedRequest."""
        digest = prompt_digest(read_messages(body.get("messages")))
        known = self.book.find(digest)
        if known is not None:
            # The reasons come before the label in some styles, and then decide nothing any more.
            for is_right in (True, False):
                answers = defaultdict[str, float](float)
                for label, chance in self.chances(known, digest).items():
                    answers[self._put(known, label, body, digest, is_right=is_right)] += chance
                if text in answers:
                    return told_tokens(text, answers)
        return told_tokens(text, {})

    def chances(self, known: KnownAnswer, digest: bytes) -> dict[str, float]:
        """Label -> how likely it is that it would be said if this prompt were asked once more."""
        accuracy = self.accuracy if known.accuracy is None else known.accuracy
        others = known.alternatives
        if not others:
            return {known.label: 1.0}
        if not self.doubts:
            right = uniform_of(self.seed, b"right", digest) < accuracy
            errs = _WAVERS_RIGHT if right else 1 - _WAVERS_WRONG
            return {known.label: 1 - errs, **dict.fromkeys(others, errs / len(others))}
        doubt = 4 * uniform_of(self.seed, b"doubt", digest) ** 3
        errs = min((1 - accuracy) * doubt, _MOST_DOUBT)
        # It holds one label for the likeliest and one for the next; the rest share what is left.
        often = 1.0 if len(others) == 1 else _OFTEN_TAKEN
        rest = errs * (1 - often) / max(1, len(others) - 1)
        shares = [1 - errs, errs * often, *[rest] * (len(others) - 1)]
        # The true label takes each place as often as its share says: as sure as it is right.
        place = pick_by_share(enumerate(shares), uniform_of(self.seed, b"place", digest)) or 0
        first = int(uniform_of(self.seed, b"taken", digest) * len(others))
        turned = [*others[first:], *others[:first]]
        return dict(zip((*turned[:place], known.label, *turned[place:]), shares, strict=True))

    def _drawn(self, known: KnownAnswer, digest: bytes, vote: int, *, cold: bool) -> str | None:
        chances = self.chances(known, digest)
        if cold:
            return max(chances, key=lambda label: chances[label])
        u = uniform_of(self.seed, b"drawn %d " % vote, digest)
        return pick_by_share(chances.items(), u)

    def _put(
        self,
        known: KnownAnswer,
        label: str,
        body: Mapping[str, object],
        digest: bytes,
        *,
        is_right: bool,
    ) -> str:
        """A label put into words, with the reasons of who is right or of who has guessed."""
        excuse = pick(_WRONG_RATIONALES, uniform_of(self.seed, b"excuse", digest))
        rationale = " ".join((*known.facts, known.rationale if is_right else excuse))
        answer = Phrased(label=label, rationale=rationale, options=known.options)
        if _wants_json(body):
            return json_only(answer, _of_label(body, "type"))
        return phrase(self._style(digest), answer, uniform_of(self.seed, b"words", digest))

    def _judge(self, known: KnownAnswer, digest: bytes, vote: int) -> str:
        accuracy = self.accuracy if known.accuracy is None else known.accuracy
        right = uniform_of(self.seed, b"right", digest) < accuracy
        # The first answer is what it would say without votes; asked again it may waver.
        again = b"" if vote == 0 else b"again %d " % vote
        if vote:
            wavers = uniform_of(self.seed, again, digest)
            right ^= wavers < (_WAVERS_RIGHT if right else _WAVERS_WRONG)
        if right or not known.alternatives:
            return known.label
        return pick(known.alternatives, uniform_of(self.seed, b"which", again + digest))

    def _style(self, digest: bytes) -> PlainStyle:
        if self.style == "mixed":
            return pick(PLAIN_STYLES, uniform_of(self.seed, b"style", digest))
        return self.style


@dataclass(frozen=True, slots=True, kw_only=True)
class UnstructuredTeacher:
    """A teacher as another, but for structured answers: it refuses or ignores response_format."""

    teacher: AnswerSource
    refuses: bool  # with 400; else it answers as if none had been asked for

    def answer(self, body: Mapping[str, object]) -> str:
        """The text for this request. Raises RefusedRequest."""
        if self.refuses and "response_format" in body:
            message = "'response_format' of type 'json_schema' is not supported with this model."
            raise invalid(message, param="response_format")
        return self.teacher.answer(_without_format(body))

    def tokens(self, body: Mapping[str, object], text: str) -> list[ToldToken]:
        """Those that the other teacher tells."""
        if isinstance(self.teacher, TellsTokens):
            return self.teacher.tokens(_without_format(body), text)
        return told_tokens(text, {})


def _without_format(body: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in body.items() if name != "response_format"}


def _of_label(body: Mapping[str, object], field: str) -> object:
    """What a request's schema says of the label; its `type` is `array`, `number` or `string`."""
    value: Any = body
    for name in ("response_format", "json_schema", "schema", "properties", "label", field):
        value = cast(Any, value).get(name) if isinstance(value, Mapping) else None
    return value


def _any_label(body: Mapping[str, object]) -> str:
    """The first of the labels that a request's schema lets through."""
    match _of_label(body, "type"):
        case "array":
            return NO_CLASS
        case "number":
            return "0"
        case _:
            labels = _of_label(body, "enum")
            return str(cast("list[object]", labels)[0]) if isinstance(labels, list) else "unknown"


def _wants_json(body: Mapping[str, object]) -> bool:
    wanted = body.get("response_format")
    if not isinstance(wanted, dict):
        return False
    return cast(dict[str, object], wanted).get("type") in ("json_object", "json_schema")
