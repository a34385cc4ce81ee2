"""What stands around an answer: thoughts, the prompt's own words, tags, fences and courtesies."""

import time

import pytest

from stepdistill.annotator.reading.prose import as_prose
from stepdistill.annotator.reading.thinking import without_thoughts
from stepdistill.annotator.reading.verdict.verdict_reader import LONGEST_ANSWER, VerdictReader
from stepdistill.common.task import ClassSpec, LabelSpec
from tests.annotator.reading.tasks import CHOICES, PROBLEM, reader, text_reader

MOODS = LabelSpec(
    kind="classes", classes={name: ClassSpec() for name in ("positive", "negative", "neutral")}
)
MOOD = VerdictReader(MOODS)


@pytest.mark.parametrize(
    ("answer", "thoughts"),
    [
        ("<think>\nLabel: negative\n</think>\nLabel: positive", "Label: negative"),
        ("Hm, negative.\n</think>\n\npositive", "Hm, negative."),
        ("<thinking>negative?</thinking> positive", "negative?"),
        ("<reasoning>negative?</reasoning>\n**positive**", "negative?"),
        ("[THINK]negative[/THINK]positive", "negative"),
        ("<think>one</think><think>negative</think>positive", "one  negative"),
        ("<think></think>positive", None),
        ("positive\n<think>or negative</think>", "or negative"),
        (
            "<|channel|>analysis<|message|>negative<|end|><|start|>assistant"
            "<|channel|>final<|message|>positive<|return|>",
            "negative",
        ),
    ],
)
def test_what_is_thought_is_no_answer(answer: str, thoughts: str | None) -> None:
    reading = MOOD.read(answer, {})
    assert (reading.label, reading.thoughts) == ("positive", thoughts)
    assert reading.rationale is None


def test_the_place_of_reasons_is_that_in_the_whole_answer() -> None:
    answer = "<think>Hm.</think>\nLabel: positive\nRationale: The guest praises the food."
    reading = MOOD.read(answer, {})
    assert reading.rationale_span is not None
    assert answer[slice(*reading.rationale_span)] == reading.rationale


@pytest.mark.parametrize(
    "answer",
    ["<think>It is positive", "positive <think>", "<|channel|>analysis<|message|>positive"],
)
def test_a_teacher_that_never_stops_thinking_is_cut_off(answer: str) -> None:
    reading = MOOD.read(answer, {})
    assert (reading.label, reading.reason) == (None, "truncated")


def test_a_box_or_a_bracket_is_no_thought() -> None:
    for answer in ("[[B]]", "a < b", "<b>positive</b>", "[think about it]"):
        assert without_thoughts(answer) == (None, 0, len(answer), False)


EQUATION_FIRST = (
    "{question}\n\nReply in two lines:\nEquation: one expression of the given numbers, such as"
    " (8 + 4) / 3, that yields it\nRationale: one sentence on why they are combined in this way"
)


def test_the_prompts_own_words_are_no_answer() -> None:
    of_prompt = reader("svamp").of_prompt("You solve sums.", EQUATION_FIRST)
    echo = EQUATION_FIRST.partition("lines:\n")[2]
    assert of_prompt.read(echo, PROBLEM).label is None
    assert of_prompt.read(echo, PROBLEM).rationale is None
    reading = of_prompt.read(f"{echo}\n\nEquation: 14 - 5\nRationale: She gives 5 away.", PROBLEM)
    assert (reading.label, reading.rationale) == ("14 - 5", "She gives 5 away.")
    example = of_prompt.read(f"{echo}\n12 - 4", PROBLEM)
    assert example.label == "12 - 4"


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("One expression of the given numbers, such as (8 + 4) / 3, that yields it", None),
        ("One expression of the given numbers, such as 1 + 4 / 3", None),
        ("One expression of the given numbers, such as (1 + 4) / 3\nThe answer is 4.", "4"),
        ("One expression of the given numbers, such as 2 + 2 / 3 is 14 - 5 = 9", "9"),
        ("One expression of the given numbers, such as (8 + 4) / 3 is a 3-step process.", None),
    ],
)
def test_another_example_in_the_prompts_words_is_no_answer(answer: str, label: str | None) -> None:
    reading = reader("svamp").of_prompt("", EQUATION_FIRST).read(answer, PROBLEM)
    assert reading.label == label
    assert "(" not in (reading.rationale or "")


def test_the_questions_words_in_a_sentence_of_ones_own_are_no_echo() -> None:
    prompt = "Is the mood of the text positive, negative or neutral, as far as anybody can tell?"
    answer = "I say that the mood of the text positive, negative or neutral, as far as anybody can"
    assert MOOD.of_prompt("", prompt).read(f"{answer} tell: positive", {}).label == "positive"


def test_a_long_name_in_the_prompt_is_no_echo() -> None:
    name = "The product arrived damaged or incomplete on delivery"
    label = LabelSpec(kind="classes", classes={name: ClassSpec(), "Something else": ClassSpec()})
    of_prompt = VerdictReader(label).of_prompt("", f"{{text}}\n\n{name}\nSomething else")
    assert of_prompt.read(f"{name}\n\nThe box was open.", {}).label == name


@pytest.mark.parametrize(
    ("text", "prose"),
    [
        ("The guest <b>praises</b> the food.", "The guest praises the food."),
        ("```\nThe guest praises the food.\n```", "The guest praises the food."),
        ("So it is $\\boxed{four}$ in all.", "So it is four in all."),
        ("The guest praises it. I hope this helps!", "The guest praises it."),
        ('{"rationale": "The guest', None),
        ("<answer>B</answer>", None),
        ("3 < 4 and 5 > 2, so it holds.", "3 < 4 and 5 > 2, so it holds."),
        (None, None),
    ],
)
def test_a_rationale_is_prose(text: str | None, prose: str | None) -> None:
    assert as_prose(text) == prose


def test_an_answer_that_is_too_long_is_not_read() -> None:
    reading = MOOD.read("positive, or " * LONGEST_ANSWER, {})
    assert (reading.label, reading.reason) == (None, "too_long_to_read")
    thought = "so " * LONGEST_ANSWER
    assert MOOD.read(f"<think>{thought}</think>positive", {}).label == "positive"


@pytest.mark.parametrize("unit", ["1+", "<think>", "<a>", "<|channel|>", '{"a":', "[["])
def test_eight_megabytes_take_seconds_at_most(unit: str) -> None:
    answer = unit * (8_000_000 // len(unit))
    for each in (MOOD, reader("svamp"), reader("cqa"), text_reader()):
        start = time.process_time()
        each.read(answer, CHOICES)
        assert time.process_time() - start < 3


@pytest.mark.parametrize(
    "unit", ["'a' ", "The answer is a. ", "answer is A\n", '"positive" ', '{"label": 1} ', "|a|\n"]
)
def test_a_longest_answer_takes_seconds_at_most(unit: str) -> None:
    answer = unit * (LONGEST_ANSWER // len(unit))
    for each in (MOOD, reader("svamp"), reader("cqa"), text_reader()):
        start = time.process_time()
        each.read(answer, CHOICES)
        assert time.process_time() - start < 3
