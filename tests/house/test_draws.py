"""Numbers that are drawn by hashing, and orders that follow from a seed, stay what they were.

Which rows are in a sample, keep their reasons, are put aside for validation or get a wrong answer
from the simulated teacher hangs on them. The functions may be renamed or brought together, each
keeps its own digest: what is to be mended then is this file's first part alone.
"""

from itertools import islice

import pytest

from stepdistill.annotator.dataset.rows import Row
from stepdistill.annotator.dataset.sources import Source
from stepdistill.annotator.plan.key import Endpoint
from stepdistill.annotator.plan.plan import Plan
from stepdistill.annotator.prompt.mix import Mix, assign, shuffled_parts
from stepdistill.common.task import LabelSpec, StudentSpec, TaskSpec
from stepdistill.common.uniform import uniform_of as of_simulator
from stepdistill.common.uniform import uniform_of_text as of_trainer


def of_sample(seed: int, row_id: str) -> float:
    """Which rows are in a sample of this seed."""
    return of_simulator(seed, row_id.encode())


def of_rationale_rate(seed: int, row_id: str) -> float:
    """Which rows keep their reasons, under a mix of this seed."""
    task = TaskSpec(
        task="any",
        fields={"text": "text"},
        label=LabelSpec(kind="text"),
        student=StudentSpec(input="{text}"),
    )
    plan = Plan(
        task=task,
        split="train",
        source=Source(name="none", rows=lambda: iter(()), count=lambda: 0, digest=""),
        samples=None,
        mix=Mix(seed=seed, label={"any": 1.0}),
        templates={},
        model="any",
        endpoint=Endpoint(name="localhost", path="/v1/chat/completions"),
    )
    return plan.uniform(
        Row(id=row_id, split="train", index=0, fields={}, gold=None, gold_rationale=None)
    )


def of_mix(seed: int, label: dict[str, float], rationale: dict[str, float]) -> str:
    """The templates of label and rationale of twelve rows: `ab` for a row of the two."""
    mix = Mix(seed=seed, label=label, rationale=rationale)
    return " ".join(each.label + (each.rationale or "") for each in islice(assign(mix), 12))


def of_original(seed: int, shares: dict[str, float], rows: int) -> str:
    """The templates of all rows, as the original shuffles them."""
    return " ".join(shuffled_parts(seed, shares, rows))


# What is above knows where the functions are; what is below, what they say.


@pytest.mark.parametrize(
    ("seed", "row", "sample", "rate"),
    [
        (0, "train-0", 0.756583567168927, 0.3081389427752888),
        (1, "train-0", 0.6964082750192604, 0.02320164370174642),
        (42, "train-0", 0.8540828542801145, 0.6611988053041675),
        (42, "train-1", 0.21416956478482285, 0.44387557425258206),
        (42, "train-1000000", 0.7080753003879297, 0.32450782825471713),
        (-7, "", 0.1156684540177586, 0.8420962265958207),
        (2**40, "7e3a", 0.5309380090910596, 0.29425237391942477),
        (42, "Zeile 12 – naïv “ß” 語", 0.4963727108623731, 0.7320818446420277),
    ],
)
def test_a_row_is_drawn_by_its_id(seed: int, row: str, sample: float, rate: float) -> None:
    assert (of_sample(seed, row), of_rationale_rate(seed, row)) == (sample, rate)


@pytest.mark.parametrize(
    ("seed", "parts", "expected"),
    [
        (1, (), 0.9647866495940682),
        (1, (b"right",), 0.6856433207729755),
        (1, (b"right", b"\x00\xff"), 0.23255487767601146),
        (1, (b"words", bytes(16)), 0.2148297742685238),
        (7, (b"matters", "wörter".encode()), 0.1038888826308263),
        (0, (b"fault", bytes(range(16)), b"2"), 0.32767467364003067),
    ],
)
def test_the_simulator_draws_by_what_it_is_asked(
    seed: int, parts: tuple[bytes, ...], expected: float
) -> None:
    assert of_simulator(seed, *parts) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0.8894159948913374),
        ("valid/train-0", 0.5057174041426955),
        ("valid/train-17", 0.06020899085470713),
        ("0/train-0", 0.5143763171940978),
        ("7/train-0", 0.43242816436993337),
        ("0/Zeile 12 – “ß” 語", 0.23764630699480052),
    ],
)
def test_the_trainer_draws_by_a_text(text: str, expected: float) -> None:
    assert of_trainer(text) == expected


def test_a_mix_gives_the_same_rows_the_same_templates() -> None:
    halves = {"a": 0.5, "b": 0.5}
    assert of_mix(1, halves, halves) == "aa bb bb aa bb aa bb aa aa bb bb aa"
    apart = of_mix(5, {"a": 0.75, "b": 0.25}, {"c": 0.6, "a": 0.4})
    assert apart == "ac aa bc aa ac aa bc ac aa bc ac aa"
    assert of_mix(3, {"a": 0.3, "b": 0.3, "c": 0.4}, {}) == "c a b c a b c b a c c b"


def test_a_mix_of_the_originals_is_shuffled_as_it_was() -> None:
    assert of_original(42, {"a": 0.5, "b": 0.25, "c": 0.25}, 12) == "a b a c b a c c a a a b"
    assert of_original(1, {"a": 0.34, "b": 0.66}, 7) == "b b a b b b a"
