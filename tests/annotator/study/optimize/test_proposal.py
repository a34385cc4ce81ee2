"""What the optimiser proposes is let in only if it can be asked and is new."""

import pytest

from stepdistill.annotator.dataset.rows import Row
from stepdistill.annotator.prompt.template import Template
from stepdistill.annotator.study.optimize.proposal import (
    MetaPrompt,
    ProposalFilter,
    RefusedProposal,
)
from stepdistill.common.task import TaskSpec

TASK = TaskSpec.model_validate(
    {
        "task": "nli",
        "fields": {"premise": "premise", "hypothesis": "hypothesis"},
        "label": {"kind": "classes", "classes": {"yes": {}, "no": {}}},
        "gold": "label",
        "student": {"input": "{premise} {hypothesis}"},
    }
)
STORY = "It had rained for three days when the old ferry left the harbour at last."
PROBLEM = Row(
    id="1",
    split="train",
    index=0,
    fields={"premise": STORY, "hypothesis": "It rained {much}."},
    gold="yes",
    gold_rationale=None,
)
KNOWN = Template(
    id="plain",
    system="Be strict.",
    user="Text: {premise}\nClaim: {hypothesis}\nIs the claim true? Give a reason of one sentence.",
    options={"temperature": 0},
)
GOOD = "Does it follow from {premise} that {hypothesis}? Say yes or no, and why."


def a_filter() -> ProposalFilter:
    text = "{tried_templates} {solved_problems}"
    return ProposalFilter(MetaPrompt(text=text, task=TASK, problems=(PROBLEM,)), [KNOWN])


@pytest.mark.parametrize(
    "answer",
    [
        f"<template>\n{GOOD}\n</template>",
        f"Gladly!\n<template>{GOOD}</template>\nIt is short.",
        f"First <template>x</template>, or rather:\n<template>```text\n{GOOD}\n```</template>",
        f'<template>"{GOOD}"</template>',
    ],
)
def test_a_good_one_is_let_in_whatever_is_said_around_it(answer: str) -> None:
    found = a_filter().check(answer, KNOWN)
    assert isinstance(found, Template)
    assert (found.user, found.system, found.options) == (GOOD, "", {"temperature": 0})
    assert found.id.startswith("found-")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no_template"),
        ("{premise} {hypothesis} " + "very " * 1000, "too_long"),
        ("{premise} {hypothesis} It is {label}.", "prints_gold"),
        ("{premise} {hypothesis} {choice}?", "unknown_placeholder"),
        ("{premise} and nothing else?", "missing_placeholder"),
        ("{premise} {hypothesis} {premise}", "repeated_placeholder"),
        (f"As in: {STORY} yes. {{premise}} {{hypothesis}}", "quotes_a_problem"),
        (f"be strict:\n\n{KNOWN.user.lower()}!", "duplicate"),
        (KNOWN.user.replace("Text:", "Be strict. Text:") + " Now.", "near_duplicate"),
    ],
)
def test_what_is_not_worth_paying_for_is_refused_with_its_reason(text: str, reason: str) -> None:
    found = a_filter().check(f"<template>{text}</template>", KNOWN)
    assert isinstance(found, RefusedProposal)
    assert found.reason == reason


def test_unmarked_answers_and_second_helpings_are_refused() -> None:
    proposal_filter = a_filter()
    assert isinstance(refused := proposal_filter.check(GOOD, KNOWN), RefusedProposal)
    assert refused.reason == "no_template"
    assert isinstance(proposal_filter.check(f"<template>{GOOD}</template>", KNOWN), Template)
    repeated = proposal_filter.check(f"<template>{GOOD.replace('?', ' ?')}</template>", KNOWN)
    assert isinstance(repeated, RefusedProposal)
    assert repeated.reason == "duplicate"


def test_the_optimizer_sees_templates_in_order_and_problems_as_they_are() -> None:
    text = "Use {placeholders}, as {premise}. {label_words}\n{tried_templates}\n{solved_problems}"
    meta_prompt = MetaPrompt(text=text, task=TASK, problems=(PROBLEM,))
    other = Template(id="other", user=GOOD)
    assert meta_prompt.filled([(KNOWN, 0.4), (other, 0.52)]) == (
        "Use {premise} and {hypothesis}, as {premise}. The label is one of: yes, no.\n"
        f"<template>\nBe strict.\n\n{KNOWN.user}\n</template>\nscore: 40\n\n"
        f"<template>\n{GOOD}\n</template>\nscore: 52\n"
        f"premise: {STORY}\nhypothesis: It rained {{much}}.\nright label: yes"
    )
