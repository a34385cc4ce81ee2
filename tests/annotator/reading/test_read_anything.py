"""Whatever the text, reading ends soon and raises nothing, and the span lies in the answer."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepdistill.annotator.reading.reading import Reading
from stepdistill.annotator.reading.verdict.formats import named_parts
from tests.annotator.reading.tasks import CHOICES, CLAIM, PROBLEM, reader, text_reader

ROWS = {"anli1": CLAIM, "cqa": CHOICES, "svamp": PROBLEM}
SCRAPS = (
    "the claim is not true false inconclusive whether or neither nor cannot determine because so"
    ' option (a) b) c. table watering can = 3 14 -5 1,000 \\boxed{ } <<1+1=2>> " “ ” * _ { } [ : ;'
    ' Label: Answer: Explanation: . ! Therefore, As İ ß ﬀ \x01 \ue000 \x00 "label": 1'
)
WORDS = st.sampled_from(["\n", " ", *SCRAPS.split(" ")])
TEXTS = st.one_of(st.text(max_size=300), st.lists(WORDS, max_size=60).map(" ".join))


@settings(max_examples=150)
@given(answer=TEXTS, odd=st.text(max_size=20))
def test_never_raises(answer: str, odd: str) -> None:
    for name, row in ROWS.items():
        check(answer, reader(name).read(answer, row))
        check(answer, reader(name).read(answer, dict.fromkeys(row, odd)))
    check(answer, reader("cqa").read(answer, {}))
    check(answer, text_reader().read(answer, {}))


HEADINGS = st.sampled_from(["Label", "**Answer", "final answer", "## Verdict", "> Option"])
REASON_HEADINGS = st.sampled_from(["Rationale", "*Explanation*", "- Reasons", "Because", "Why"])


@settings(max_examples=300)
@given(heading=HEADINGS, label=TEXTS, other=REASON_HEADINGS, reason=TEXTS)
def test_the_plainest_form_is_read_no_other_way(
    heading: str, label: str, other: str, reason: str
) -> None:
    """A line break at the end leads past the short way that `Label: ...`, `Rationale: ...` take."""
    answer = f"{heading}: {label[:60]}\n{other}: {reason} and so on"
    short, long = named_parts(answer), named_parts(answer + "\n")
    assert short[:2] == long[:2]
    assert (short.reason_text or "").strip() == (long.reason_text or "").strip()
    assert short.headings == long.headings


def check(answer: str, reading: Reading) -> None:
    assert (reading.label is None) == (reading.reason is not None)
    assert (reading.rationale is None) == (reading.rationale_span is None)
    assert 0 <= reading.confidence <= 1
    if reading.rationale_span is not None:
        start, end = reading.rationale_span
        assert 0 <= start < end <= len(answer)


@pytest.mark.parametrize(
    "unit",
    ["a", " ", "\n", '"', '" ', "not ", "true, ", "(a) ", "1,", "9", "{", "* ", "as ", "<<", ". ",
     "the claim is ", "table ", "- ", "Label: ", "=1", "cannot claim ", "\x01"],
)  # fmt: skip
def test_long_texts_take_no_longer_than_their_length(unit: str) -> None:
    answer = unit * (20_000 // len(unit))
    for name, row in ROWS.items():
        start = time.process_time()
        reader(name).read(answer, row)
        assert time.process_time() - start < 3
