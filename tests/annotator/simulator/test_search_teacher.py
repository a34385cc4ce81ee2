"""A teacher with a taste answers any wording, as well as its words are liked, and proposes."""

from collections import Counter

from stepdistill.annotator.simulator.answers import KnownAnswer
from stepdistill.annotator.simulator.rehearsal import rehearse_search
from stepdistill.annotator.simulator.search_teacher import (
    RowBook,
    Taste,
    TasteTeacher,
    shows_templates,
)
from tests.annotator.simulator.demo_plan import demo_plan

SHOWN = """Improve these.

<template>
Read this. {problem}
Which operation is it?
</template>
score: 40

<template>
Here is a problem: {problem} Name its operation.
</template>
score: 60

Reply between <template> and </template>."""


def teacher() -> TasteTeacher:
    return rehearse_search([demo_plan()], Taste(seed=1))


def asked(text: str) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": text}]}


def test_a_wording_is_as_good_as_the_share_it_leads_to() -> None:
    judged, words = teacher(), "Consider {problem} and say which operation settles the question."
    right = [
        f"Label: {planned.row.gold}"
        in judged.answer(asked(words.replace("{problem}", planned.row.fields["problem"])))
        for planned in demo_plan().rows()
    ]
    expected = Taste(seed=1).accuracy(words)
    assert abs(sum(right) / len(right) - expected) < 3 * (expected * (1 - expected) / 150) ** 0.5


def test_tastes_differ_and_words_matter() -> None:
    words = "Think step by step, then name the operation in a single sentence."
    assert len({Taste(seed=seed).accuracy(words) for seed in range(5)}) == 5
    assert Taste(seed=1).accuracy("") == 0.6
    assert Taste(seed=1, middle=0.8).accuracy("{problem} 1 2 3") == 0.8


def test_of_rows_that_share_a_text_the_one_that_fits_is_found() -> None:
    book = RowBook()
    premise = "A man walks slowly along the river with his dog."
    for hypothesis in ("A man walks.", "A man walks. He sings."):
        known = KnownAnswer(label=hypothesis, rationale="")
        book.add({"premise": premise, "hypothesis": hypothesis}, known)
    found = book.find(f"Text: {premise} Claim: A man walks. He sings. True?")
    assert found is not None
    known, words = found
    assert known.label == "A man walks. He sings."
    assert words.split() == ["Text:", "Claim:", "True?"]
    assert book.find("Text: another one, which nobody knows.") is None


def test_as_the_optimizer_it_has_other_ideas_each_time_and_bad_habits() -> None:
    assert shows_templates(SHOWN)
    assert not shows_templates("Between <template> and </template>: what is 1 + 1?")
    first, again = [teacher().answer(asked(SHOWN)) for _ in range(2)]
    assert first == again
    optimizer = teacher()
    ideas = [optimizer.answer(asked(SHOWN)) for _ in range(200)]
    assert len(set(ideas)) > 100
    habits = Counter(
        {
            "unmarked": sum("<template>" not in each for each in ideas),
            "telling": sum("{operation}" in each for each in ideas),
            "forgetful": sum("{problem}" not in each for each in ideas),
            "chatty": sum(each.startswith("Sure!") for each in ideas),
        }
    )
    assert all(2 <= n <= 50 for n in habits.values()), habits
