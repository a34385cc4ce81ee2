"""A simulated teacher's log-probabilities tell what it would say how often, were it asked again."""

from collections import Counter
from math import exp
from typing import Any

import orjson
import pytest

from stepdistill.annotator.reading.label_probs import label_probs
from stepdistill.annotator.reading.verdict.verdict_reader import VerdictReader
from stepdistill.annotator.simulator.answers import AnswerBook, KnownAnswer, SimulatedTeacher
from stepdistill.annotator.simulator.phrasing import PLAIN_STYLES, Style
from stepdistill.annotator.simulator.server import Simulator
from stepdistill.annotator.simulator.told_tokens import told_tokens
from stepdistill.annotator.simulator.wire import prompt_digest
from stepdistill.annotator.teacher.reply import ReplyContext, read_answer
from stepdistill.common.kinds.registry import kind_of
from stepdistill.common.task import ClassSpec, LabelSpec
from tests.annotator.simulator.asking import a_teacher, ask, chat_body, messages

NAMES = ("addition", "sum", "subtraction", "division")
LABEL = LabelSpec(kind="classes", classes={name: ClassSpec() for name in NAMES})
REASON = "Both heaps of apples are counted together."
KNOWN = KnownAnswer(label=NAMES[0], rationale=REASON, alternatives=NAMES[1:])
ASKED = {"logprobs": True, "top_logprobs": 20}


def of_two_minds(style: Style, prompts: tuple[str, ...]) -> SimulatedTeacher:
    book = AnswerBook()
    for prompt in prompts:
        book.add(messages(prompt), KNOWN)
    return SimulatedTeacher(book=book, accuracy=0.5, style=style, doubts=True)


async def told(teacher: SimulatedTeacher, prompt: str, **more: object) -> dict[str, float] | None:
    """The chances as they are read from a reply."""
    async with Simulator(teacher) as simulator:
        reply = await ask(simulator, chat_body(prompt, **ASKED, **more))
    answer = read_answer(reply.raw, ReplyContext(limit=512))
    reader = VerdictReader(LABEL)
    label = reader.read(answer.text, {}).label
    assert label is not None
    return label_probs(answer, label, kind_of(LABEL), reader, {})


@pytest.mark.parametrize("style", PLAIN_STYLES)
async def test_what_is_read_is_what_it_draws_from(style: Style):
    prompts = tuple(f"prompt {n}" for n in range(12))
    teacher = of_two_minds(style, prompts)
    for prompt in prompts:
        digest = prompt_digest([("user", prompt)])
        chances = {n: c for n, c in teacher.chances(KNOWN, digest).items() if c > 1e-3}
        found = await told(teacher, prompt)
        assert found is not None
        listed = {name: found.get(name, 0.0) for name in chances}
        assert listed == pytest.approx(chances, abs=4e-3)


@pytest.mark.parametrize("doubts", [False, True])
def test_votes_fall_as_its_logprobs_say(doubts: bool):
    teacher = of_two_minds("bare", ("one",))
    if not doubts:
        teacher = SimulatedTeacher(book=teacher.book, accuracy=0.5, style="bare")
    votes = Counter(teacher.answer(chat_body("one", sample=n)).rstrip(".") for n in range(1, 2000))
    chances = teacher.chances(KNOWN, prompt_digest([("user", "one")]))
    shares = {name: votes[name] / 1999 for name in chances}
    assert shares == pytest.approx(chances, abs=0.04)


async def test_a_reply_has_them_only_when_asked():
    async with Simulator(a_teacher()) as simulator:
        plain = (await ask(simulator, chat_body("one"))).json
        asked = (await ask(simulator, chat_body("one", **ASKED))).json
        cut = (await ask(simulator, chat_body("one", **ASKED, max_tokens=3))).json
        refused = await ask(simulator, chat_body("one", top_logprobs=3))
        too_many = await ask(simulator, chat_body("one", logprobs=True, top_logprobs=21))
    assert plain["choices"][0]["logprobs"] is None
    for reply in (asked, cut):
        choice: Any = reply["choices"][0]
        tokens = choice["logprobs"]["content"]
        assert "".join(token["token"] for token in tokens) == choice["message"]["content"]
    assert asked["usage"] == plain["usage"]
    assert (refused.status, too_many.status) == (400, 400)
    assert orjson.loads(refused.raw)["error"]["param"] == "top_logprobs"


def test_chances_of_a_token_sum_to_one_unless_the_answer_could_end():
    answers = {"It is new": 0.5, "It is news": 0.25, "It was": 0.25}
    tokens = told_tokens("It is news", answers)
    assert [token.text for token in tokens] == ["It", " is", " news"]
    assert tokens[1].chances == {" is": 0.75, " was": 0.25}
    assert tokens[2].chances == pytest.approx({" new": 2 / 3, " news": 1 / 3})
    assert exp(0) == told_tokens("else", {})[0].chances["else"]
