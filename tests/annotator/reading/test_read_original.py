"""The original reader: its regexes and its cleaning, with the defects that its numbers rest on."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepdistill.annotator.prompt.template import OriginalParse, Template
from stepdistill.annotator.reading.original import OriginalReader
from stepdistill.annotator.reading.pattern import TIME_LIMIT_S
from stepdistill.annotator.reading.readers import make_readers
from stepdistill.common.errors import ConfigError
from tests.annotator.reading.tasks import CHOICES, CLAIM, task
from tests.annotator.reading.test_read_anything import TEXTS, check

CLASSES = "(True|False|Inconclusive|not valid|valid|entails|cannot be determined)"
LETTERS = r"({choice_a}|{choice_b}|{choice_c}|{choice_d}|{choice_e}|a\)|b\)|1\.|2\.)"


def reader(name: str, label: str, reasons: str = ".?(.*)", *, swap: bool = False) -> OriginalReader:
    parse = OriginalParse(label_parse=label, explanation_parse=reasons, swap=swap)
    return OriginalReader(task(name).label, parse)


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("True.", "entailment"),
        ("The claim is FALSE", "contradiction"),
        ("It is not valid.", "contradiction"),
        ("It is invalid.", "entailment"),
        ("The text entails it.", "entailment"),
        ("It cannot be determined.", "neutral"),
        ("You ask whether it is true or false. It is false.", "entailment"),
        ("It is supported.", None),
    ],
)
def test_classes(answer: str, label: str | None) -> None:
    assert reader("anli1", CLASSES).read(answer, CLAIM).label == label


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("The best choice is a Table.", "table"),
        ("b) of course", "can"),
        ("2. of course", "can"),
        ("This is suitable.", "table"),
        ("None of them.", None),
    ],
)
def test_options(answer: str, label: str | None) -> None:
    assert reader("cqa", LETTERS).read(answer, CHOICES).label == label


@pytest.mark.parametrize(
    ("answer", "rationale"),
    [
        ("True. The oven stands open all day.", "The oven stands open all day."),
        ("The oven is open. So it is true.", None),
        ("True. It is hot there.", None),
        (
            "True, as they say. The oven  stands\n\nopen all day.",
            "The oven stands open all day.",
        ),
        (
            "True for the U.S. coastline of the south and east.",
            "coastline of the south and east.",
        ),
        ('True." The oven stands open all day.', "The oven stands open all day."),
        # Where the word is cut out, the rest is put together; nobody put the article right.
        (
            "False. Explanation: no explanation, oven stands open all day.",
            "no oven stands open all day.",
        ),
    ],
)
def test_rationales(answer: str, rationale: str | None) -> None:
    assert reader("anli1", CLASSES).read(answer, CLAIM).rationale == rationale


def test_the_span_holds_the_rationale() -> None:
    answer = "False. An explanation: the oven stands open all day. \n"
    reading = reader("anli1", CLASSES).read(answer, CLAIM)
    assert reading.rationale == "An the oven stands open all day."
    assert reading.rationale_span is not None
    start, end = reading.rationale_span
    assert answer[start:end] == "An explanation: the oven stands open all day."


def test_swapped_groups() -> None:
    reading = reader("svamp", r"(\d*\.?\d+)", r"(.+[\s{\$€])", swap=True).read(
        "She had 14 beads and gave away five, so 9", {}
    )
    assert reading.label == "9"
    assert reading.rationale == "She had 14 beads and gave away five, so"


@pytest.mark.parametrize(
    "text", ["İstanbul ß is true. The oven stands open all day. ﬀ", "😀 true "]
)
def test_places_count_characters(text: str) -> None:
    reading = reader("anli1", CLASSES).read(text, CLAIM)
    assert reading.label == "entailment"
    if reading.rationale_span:
        assert text[slice(*reading.rationale_span)].startswith("The oven")


def test_a_broken_pattern_reads_nothing() -> None:
    row = CHOICES | {"choice_a": "a (b"}
    assert reader("cqa", LETTERS).read("a) it is", row).reason == "bad_pattern"


@pytest.mark.parametrize(
    "pattern",
    ["((a+)+)b", "((a|aa)+)$", "((.*a){25})b", r"(?=(a+))(a*)*b", r"(a*)*\1b", "(?<=(a|aa)+)b"],
)
def test_no_answer_makes_a_pattern_slow(pattern: str) -> None:
    hostile = reader("anli1", pattern, "")
    hostile.read("a", CLAIM)  # compiled once
    start = time.process_time()
    reading = hostile.read("a" * 30_000 + "!", CLAIM)
    assert time.process_time() - start < TIME_LIMIT_S + 0.1
    assert reading.label is None
    assert reading.reason in ("no_match", "pattern_too_slow")


@settings(max_examples=150)
@given(answer=TEXTS, odd=st.text(max_size=20), pattern=st.text("()[]{}|*+?.\\ab^$", max_size=12))
def test_never_raises(answer: str, odd: str, pattern: str) -> None:
    check(answer, reader("anli1", CLASSES).read(answer, CLAIM))
    check(answer, reader("anli1", pattern).read(answer, CLAIM))
    check(answer, reader("cqa", LETTERS).read(answer, dict.fromkeys(CHOICES, odd)))
    check(answer, reader("cqa", LETTERS).read(answer, {}))


def test_readers_by_name() -> None:
    parse = OriginalParse(label_parse=CLASSES, explanation_parse=".?(.*)")
    templates = {"7": Template(id="7", user="{hypothesis}", original=parse)}
    label = task("anli1").label
    assert make_readers("original", label, templates).read("7", "It's invalid.", CLAIM).label == (
        "entailment"
    )
    assert make_readers("verdict", label, templates).read("7", "It's invalid.", CLAIM).label == (
        "contradiction"
    )
    with pytest.raises(ConfigError, match="choose from verdict, original"):
        make_readers("best", label, templates)
    with pytest.raises(ConfigError, match="template 8 has no regexes"):
        make_readers("original", label, {"8": Template(id="8", user="{hypothesis}")})
