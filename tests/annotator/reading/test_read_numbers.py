"""Number and equation verdicts."""

import pytest

from tests.annotator.reading.tasks import PROBLEM, reader


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("9", "9"),
        ("Answer: 9", "9"),
        ("Answer: $1,250.50 in all", "1250.50"),
        ("She keeps 14 - 5 = <<14-5=9>>9 beads.", "9"),
        ("14 beads less 5 are nine left.\n\\boxed{9}", "9"),
        ("So the result is $\\boxed{1,009}$.", "1009"),
        ("#### 9", "9"),
        ("The answer is -7 degrees.", "-7"),
        ("Mia has 14-5=9 beads left.", "9"),
        ("Mia has nine beads.", "9"),
        ("Mia gave away 5 beads to 3 friends, so she has 9 beads left.", "9"),
        ("14 - 5 = 9\n\nTherefore, Mia has 9 beads left after meeting 3 friends.", "9"),
        ("Mia keeps 9 beads. She met 3 friends.", "9"),
        ("Mia gives 5 beads to 3 friends and keeps 9 beads.", "9"),
        ("Mia keeps 9 beads and sees 3 friends.", "9"),
        ("Mia gives 5 beads to 3 friends and keeps 9 beads.", "9"),
        ("Mia keeps 9 beads and sees 3 friends.", "9"),
        ("The answer is 3/4.", "3/4"),
        ("Answer: 2.5 kg", "2.5"),
        ("Label: 9 beads (out of 14)", "9"),
        ("It was the 2nd time that Mia kept 9 beads.", "9"),
    ],
)
def test_the_number_it_commits_to(answer: str, label: str) -> None:
    assert reader("svamp").read(answer, PROBLEM).label == label


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("Equation: 14 - 5", "14 - 5"),
        ("14 - 5 = 9", "14 - 5"),
        ("The equation is 14 - 5.", "14 - 5"),
        ("The answer is \\boxed{\\frac{3}{4}}.", "3/4"),
        ("Equation: 14 - 5 = 9", "14 - 5"),
        ("Equation: x = 14 - 5", "14 - 5"),
        ("Equation: 14 - 5 = 8", "8"),
        ("Answer: (14 − 5) * 3", "(14 − 5) * 3"),
        ('{"rationale": "She gives some away.", "label": "14 - 5"}', "14 - 5"),
    ],
)
def test_an_equation_on_the_answer_line(answer: str, label: str) -> None:
    assert reader("svamp").read(answer, PROBLEM).label == label


@pytest.mark.parametrize(
    "answer",
    [
        "Mia gives beads away.",
        "Mia has 14 beads and meets 3 friends.",
        "Each friend got 14/3 beads and 5/3 rings.",
        "Mia has 9 beads and 5 rings left.",
        "Mia has 9 beads and 5 rings left.",
    ],
)
def test_no_answer_is_none(answer: str) -> None:
    reading = reader("svamp").read(answer, PROBLEM)
    assert reading.label is None
    assert reading.reason is not None
