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
        ("The answer is 9, because 14 - 5 = 9 and 9 + 5 = 14.", "9"),
        ("There are only 2.\n(8 + 4) / 3 = 4\nThe answer is nine.", "9"),
        ("The answer is one.", "1"),
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
        "One thing that is essential is when there are fractions in the expression.",
        "Two numbers are combined.\n\nOne sentence: A number is combined with other numbers.",
        "An equation that is balanced, and has brackets in it, such as (8 + 4) / 3 = 2(10) / 4",
        "It is a 3-step process of combining what is given.",
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


PENS = {"question": "Ann has 40 pens and Bob has 4. How many more pens than Bob has Ann?"}


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("The difference is 4 - 40 = -36. Therefore, Ann has 36 more pens than Bob.", "36"),
        ("The difference is -36. Therefore, Ann has 36 more pens than Bob.", "36"),
        ("Bob - Ann = 4 - 40 = -36\nThis means Ann has 36 more pens.", "36"),
        ("4 - 40 = -36, which means Ann has 36 more pens than Bob.", "36"),
        ("4 - 40 = -36. The number of pens cannot be negative, so Bob has 36 fewer.", "36"),
        ("4 - 40 = -36. Since a number can't be negative, Ann has 36 more.", "36"),
        ("4 - 40 = -36. A difference cannot be negative, so we swap: 40 - 4 = 36.", "36"),
        ("4 - 40 = -36. That is impossible: no number of pens cannot be negative.", None),
        ("4 - 40 = -36. As one cannot have a negative number, Bob has no pens more.", "0"),
        ("4 - 40 = -36. The number cannot be negative, so there is no solution.", None),
        ("It is 4 - 40 = -36.", "-36"),
        ("40 - 4 = 36. Therefore, Ann has 36 pens and 4 rings more.", None),
        ("40 / 16 = 2.5, so they need 3 boxes.", "3"),
        ("40 / 16 = 2.5. You can't have half a box, so they need 3 for the 40 pens.", "3"),
        ("40 - 4 = 36. Hence Ann lacks 36 pens so that she has 40 pens in all.", "36"),
        ("Each box holds 4 + 6 = 10. Since there are 10 in all, there is 1 box.", "1"),
        ("40 - 4 = 36. So Ann has thirty-six more.", "36"),
        ("On 2024-05-01 at 7:30 Ann had 36 more pens than Bob.", "36"),
        ("Ann has 12 + 24 pens more.", "12 + 24"),
        ("Therefore, the pens are 12 + 24.", "12 + 24"),
        ("Ann has between 30 and 36 more pens.", None),
        ("Therefore, the difference between 40 and 4 is 36.", "36"),
        ("Answer: 1. 36", "36"),
        ("4 - 40 = -36. The negative sign shows that Bob has 36 fewer.", "36"),
        ("42 / 16 = 2.625. Rounding up, they need 3 boxes.", "3"),
        ("40 / 16 = 2.5 \u2248 3", "3"),
        ("Each box holds 4 + 6 = 10. There are 20 in all, so she needs 2 boxes.", "2"),
        ("In 2019, Ann had 36 more pens than Bob.", "36"),
        ("Ann buys 12 pens on Monday and 24 on Tuesday, 36 in all.", "36"),
    ],
)
def test_the_conclusion_goes_before_what_is_on_its_way(answer: str, label: str | None) -> None:
    assert reader("svamp").read(answer, PENS).label == label
