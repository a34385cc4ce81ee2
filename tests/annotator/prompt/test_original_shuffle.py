"""The original's assignment: numpy's seeded shuffle, cut by share; checked against its own records.

The recorded answers stand in the order in which they were asked: that of the shuffle.
"""

import gzip
import json
import subprocess
import sys
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepdistill.annotator.prompt.mix import Assignment, Mix, assign, shuffled_parts
from stepdistill.common.errors import PromptError

ANSWERS = Path(__file__).parents[4] / "shared" / "data" / "query-results"


def recorded(name: str) -> list[int]:
    """The row numbers of a recorded run, in the order asked."""
    path = ANSWERS / name / "responses.json.gz"
    if not path.is_file():
        pytest.skip("no real data beside the checkout (../shared/data)")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line)["idx"] for line in lines]


def run_of(template: str, seed: int, shares: dict[str, float], rows: int) -> set[int]:
    parts = shuffled_parts(seed, shares, rows)
    return {row for row, name in enumerate(parts) if name == template}


# Mix 1 of the original, over svamp: one template for all rationales, the last labels by another.
MIX_1 = {"1": 0.5, "2": 0.25, "3": 0.25}


def test_the_last_rows_of_the_original_mix_1_are_those_it_asked_its_last_template() -> None:
    rows = 201  # of which its run over train was made: the first 201 questions were recorded
    asked_of_1, asked_of_3 = recorded("svamp/train/1")[:rows], recorded("svamp/train/3")
    assert sorted(asked_of_1) == list(range(rows))
    last = run_of("3", 405, MIX_1, rows)
    assert last == set(asked_of_1[150:])
    assert last <= set(asked_of_3)


@pytest.mark.parametrize(
    ("name", "seed"),
    [("anli1/test/100", 42), ("anli1/valid/100", 42), ("svamp/test/1", 405)],
)
@pytest.mark.parametrize("share", [0.1, 0.37, 0.5])
def test_a_share_is_the_beginning_of_the_recorded_order(name: str, seed: int, share: float) -> None:
    order = recorded(name)
    first = run_of("a", seed, {"a": share, "b": 1 - share}, len(order))
    assert first == set(order[: int(len(order) * share)])


@given(
    parts=st.lists(st.integers(0, 20), min_size=1, max_size=5).filter(any),
    rows=st.integers(0, 400),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_share_is_cut_whole_and_the_last_template_takes_the_rest(
    parts: list[int], rows: int, seed: int
) -> None:
    shares = {name: part / sum(parts) for name, part in zip("abcde", parts, strict=False)}
    found = Counter(shuffled_parts(seed, shares, rows))
    assert found.total() == rows
    for name in list(shares)[:-1]:
        assert found[name] == int(rows * shares[name])


def test_label_and_rationale_overlap_because_their_seed_is_the_same() -> None:
    mix = Mix(
        seed=7, assignment="original", label={"a": 0.5, "b": 0.5}, rationale={"a": 0.6, "c": 0.4}
    )
    pairs = Counter(assign(mix, 100))
    assert pairs == {
        Assignment(label="a", rationale="a"): 50,
        Assignment(label="b", rationale="a"): 10,
        Assignment(label="b", rationale="c"): 40,
    }


def test_without_a_number_of_rows_it_says_what_to_do() -> None:
    mix = Mix(assignment="original", label={"a": 1.0})
    with pytest.raises(PromptError, match="give --samples"):
        list(islice(assign(mix, None), 1))
    assert len(list(assign(mix, 3))) == 3


def test_numpy_is_loaded_only_where_it_is_used() -> None:
    commands = "stepdistill.annotator.commands.run, stepdistill.annotator.commands.prompts"
    code = f"import sys, {commands}; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
