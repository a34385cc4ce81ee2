"""The simulated teacher says as much as it is asked for."""

import time
from collections.abc import Iterator
from statistics import fmean

import pytest

from stepdistill.annotator.simulator.phrasing import facts_asked_for, facts_of
from stepdistill.annotator.simulator.rehearsal import rehearse, rehearse_search
from stepdistill.annotator.simulator.search_teacher import Taste
from tests.annotator.simulator.demo_plan import demo_plan

PROBLEM = "Mia had 12 shells. An uncle ate 3 pears. She gave 4 to Tom. How many has she left?"


@pytest.mark.parametrize(
    ("words", "facts"),
    [
        ("Give your reason in one sentence.", 0),
        ("In two short sentences, say why.", 1),
        ("Three sentences of reasons, please.", 2),
        ("Explain it in 4 sentences.", 3),
        ("Say why.", 0),
        ("A hundred sentences", 0),
    ],
)
def test_the_words_of_a_prompt_say_how_much(words: str, facts: int) -> None:
    assert facts_asked_for(words) == facts


def test_questions_are_no_facts() -> None:
    told = ("Mia had 12 shells.", "An uncle ate 3 pears.", "She gave 4 to Tom.")
    assert facts_of(PROBLEM) == told
    assert facts_of(PROBLEM, 2) == told[:2]
    assert facts_of("no full stop") == ()
    assert facts_of("?! One. Two!? Three! four") == ("One.", "Three!")


@pytest.mark.parametrize("piece", ["w", "word ", "a? ", "\n"])
def test_a_long_text_is_done_with_in_no_time(piece: str) -> None:
    start_s = time.process_time()
    facts_of(piece * 300_000)
    assert time.process_time() - start_s < 5


def words_of_answers(template: str) -> Iterator[float]:
    plan = demo_plan(template, samples=40)
    for teacher in (rehearse([plan]), rehearse_search([plan], Taste(seed=1))):
        texts = [
            teacher.answer({"messages": request.messages})
            for planned in plan.rows()
            for request in planned.requests
        ]
        yield fmean(len(text.split()) for text in texts)


def test_a_template_that_asks_for_more_gets_more() -> None:
    short, long = list(words_of_answers("label-first")), list(words_of_answers("reason-first"))
    assert all(two > 1.8 * one for one, two in zip(short, long, strict=True))
