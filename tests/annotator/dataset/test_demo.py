"""The demo's rows are stable, apart by split, balanced, learnable, and not by one word."""

import re
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepdistill.annotator.dataset.demo import DEFAULT_SIZES, OPERATIONS, demo_rows, demo_words
from stepdistill.annotator.prompt.mix import check_templates, load_mix
from stepdistill.annotator.prompt.task import load_task
from stepdistill.annotator.prompt.template import load_templates
from stepdistill.common.errors import DatasetError

SPLITS = tuple(DEFAULT_SIZES)
PROMPTS = Path(__file__).parents[3] / "prompts"
PLACEHOLDER = re.compile(r"\{(\w+)\}")


def text(row: dict[str, object], field: str) -> str:
    return str(row[field])


def words(problem: str) -> list[str]:
    return re.findall(r"[a-z]+|\d+", problem.lower())


def problems(split: str, seed: int = 0) -> list[tuple[list[str], str]]:
    rows = demo_rows(split, seed=seed)
    return [(words(text(row, "problem")), text(row, "operation")) for row in rows]


@pytest.mark.parametrize("split", SPLITS)
def test_rows_have_the_promised_shape_and_size(split: str):
    rows = list(demo_rows(split))

    assert len(rows) == DEFAULT_SIZES[split]
    assert len({row["id"] for row in rows}) == len(rows)
    for row in rows:
        assert list(row) == ["id", "problem", "operation", "rationale"]
        assert row["operation"] in OPERATIONS
        assert 25 <= len(text(row, "problem").split()) <= 45
        assert text(row, "problem").endswith("?")
        assert 10 <= len(text(row, "rationale").split()) <= 18
        assert "{" not in text(row, "problem") + text(row, "rationale")


@given(
    split=st.sampled_from(SPLITS),
    seed=st.integers(0, 50),
    few=st.integers(0, 30),
    more=st.integers(0, 30),
)
@settings(max_examples=25)
def test_a_row_does_not_depend_on_how_many_are_asked_for(
    split: str, seed: int, few: int, more: int
):
    short = list(demo_rows(split, few, seed))

    assert list(demo_rows(split, few + more, seed))[:few] == short


def test_the_first_row_is_the_same_for_ever():
    row = next(demo_rows("train", 1, seed=0))

    assert row == {
        "id": "train-0",
        "problem": "An uncle gave 8 hats to each of 8 friends on the same day. Peter wanted 40 "
        "marbles in all for the barn. So far he had only 20 marbles. How many more marbles did "
        "Peter still need?",
        "operation": "subtraction",
        "rationale": "Peter already had 20 of the 40 marbles, so only the rest is missing.",
    }


def test_another_seed_gives_other_rows():
    assert list(demo_rows("test", 50, seed=1)) != list(demo_rows("test", 50, seed=2))


def test_no_text_is_in_two_splits_whatever_the_seeds():
    texts = {
        split: {
            text(row, "problem") for seed in range(2) for row in demo_rows(split, 1500, seed + 7)
        }
        for split in SPLITS
    }

    assert not texts["train"] & texts["valid"]
    assert not texts["train"] & texts["test"]
    assert not texts["valid"] & texts["test"]


@pytest.mark.parametrize("split", SPLITS)
def test_every_operation_has_its_share(split: str):
    counts = Counter(operation for _, operation in problems(split))

    assert set(counts) == set(OPERATIONS)
    assert all(0.19 < count / DEFAULT_SIZES[split] < 0.31 for count in counts.values())


def test_the_vocabulary_is_small():
    rows = [row for split in SPLITS for row in demo_rows(split)]
    known = {
        word
        for row in rows
        for word in words(text(row, "problem") + " " + text(row, "rationale"))
        if not word.isdigit()
    }

    assert len(known) < 400


def test_no_rationale_names_an_operation():
    rationales = [story.rationale for stories in demo_words().stories.values() for story in stories]

    assert not any(operation in rationale for rationale in rationales for operation in OPERATIONS)


def test_every_rationale_names_the_things_or_the_child_of_its_problem():
    for row in demo_rows("train"):
        shared = set(words(text(row, "rationale"))) & set(words(text(row, "problem")))
        assert len(shared) >= 4


def test_no_single_word_decides():
    rows = problems("train")
    vocabulary = {word for problem, _ in rows for word in problem}

    best = max(accuracy_by_presence(word, rows) for word in vocabulary)

    assert best < 0.45


def accuracy_by_presence(word: str, rows: list[tuple[list[str], str]]) -> float:
    sides: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    for problem, operation in rows:
        sides[word in problem][operation] += 1
    return sum(max(side.values(), default=0) for side in sides.values()) / len(rows)


def test_counting_cue_words_alone_misleads():
    """A count of the words that a school child is told to look for is no way to the label."""
    cues = {
        "addition": {"more", "all", "altogether", "total", "together"},
        "subtraction": {"left", "away", "lost", "still", "took"},
        "multiplication": {"each", "rows", "boxes", "times"},
        "division": {"shared", "split", "equally", "same"},
    }
    rows = problems("train")

    right = sum(
        max(OPERATIONS, key=lambda name: sum(word in cues[name] for word in problem)) == operation
        for problem, operation in rows
    )

    assert right / len(rows) < 0.7


def test_a_linear_model_of_words_and_word_pairs_learns_it():
    weights = perceptron(problems("train"), epochs=4)
    test = problems("test")

    right = sum(guess(weights, problem) == operation for problem, operation in test)

    assert right / len(test) >= 0.9


Weights = dict[str, defaultdict[str, float]]


def features(problem: list[str]) -> set[str]:
    return {*problem, *(f"{one} {other}" for one, other in pairwise(problem))}


def guess(weights: Weights, problem: list[str]) -> str:
    found = features(problem)
    return max(weights, key=lambda name: sum(weights[name][feature] for feature in found))


def perceptron(rows: list[tuple[list[str], str]], epochs: int) -> Weights:
    weights: Weights = {name: defaultdict(float) for name in OPERATIONS}
    for problem, operation in rows * epochs:
        if (wrong := guess(weights, problem)) != operation:
            for feature in features(problem):
                weights[operation][feature] += 1
                weights[wrong][feature] -= 1
    return weights


def test_an_unknown_split_is_named():
    with pytest.raises(DatasetError, match="no split dev"):
        next(demo_rows("dev", 1))


def test_the_prompts_fit_the_rows_and_give_nothing_away():
    task = load_task(PROMPTS, "demo")
    row = next(demo_rows("train", 1))

    assert set(task.label.classes) == set(OPERATIONS)
    assert {task.id, task.gold, task.gold_rationale, *task.fields.values()} <= set(row)
    for template in load_templates(PROMPTS, "demo").values():
        assert PLACEHOLDER.findall(template.system + template.user) == ["problem"]


@pytest.mark.parametrize("name", ["default", "two-voices"])
def test_the_mixes_name_templates_that_exist(name: str):
    templates = load_templates(PROMPTS, "demo")

    check_templates(load_mix(PROMPTS, "demo", name).templates, set(templates), "demo")
