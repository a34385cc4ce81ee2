"""Rows that share a text are held out together, so that a student is not told too low."""

import random

import numpy as np

from stepdistill.annotator.active_learning.answer_forms import PoolRow
from stepdistill.annotator.active_learning.judge import Judge
from stepdistill.annotator.active_learning.shared_text import folds, shared_field, with_groups
from stepdistill.common.kinds.registry import kind_of
from stepdistill.common.task import LabelSpec

LABELS = ("yes", "no", "maybe")
CUES = {"yes": "someone", "no": "nobody", "maybe": "tall"}


def test_a_shared_field_is_one_of_long_texts_that_rows_have_in_common() -> None:
    rows = [
        {
            "id": f"row {n} of a file with a long name",
            "premise": f"premise {n // 3} which has some length" if n % 7 else "",
            "shop": f"shop {n % 50}",
            "note": "the same words in every row of all" if n % 5 else f"{n} other words to read",
        }
        for n in range(300)
    ]
    assert shared_field(rows) == "premise"
    for name in ("id", "shop", "note"):
        assert shared_field([{name: row[name]} for row in rows]) is None
    assert shared_field([]) is None


def test_rows_of_one_text_are_in_one_fold_and_all_rows_are_in_some() -> None:
    rows = pool(40)
    parts = folds([*enumerate(rows)], 5)
    assert sorted(n for part in parts for n in part) == [*range(len(rows))]
    of: list[set[str]] = [{rows[n].group for n in part} for part in parts]
    assert sum(len(each) for each in of) == len({each for part in of for each in part}) == 40
    assert max(map(len, parts)) - min(map(len, parts)) <= 3


def test_what_is_told_is_what_rows_with_new_texts_come_to() -> None:
    train, new = pool(60), pool(80, seed=2)
    rights = dict[str, float]()
    for name, rows in (("together", train), ("apart", [*map(alone, train)])):
        judge = Judge(kind=kind_of(LabelSpec(kind="text")), pool=rows, valid=[], seed=0)
        judge.labels = {n: row.gold or "" for n, row in enumerate(rows)}
        rights[name] = float(judge.right(len(rows), [*range(len(rows))]).mean())
    judge = Judge(kind=judge.kind, pool=train, valid=[*map(alone, new)], seed=0)
    judge.labels = {n: row.gold or "" for n, row in enumerate(train)}
    truth = float(judge.right(len(train), [*range(len(train))]).mean())
    assert abs(rights["together"] - truth) < 0.08
    assert rights["apart"] < truth - 0.08


def pool(n: int, seed: int = 1) -> list[PoolRow]:
    """n premises, each with a hypothesis for each label."""
    rng = random.Random(seed)
    rows, fields = list[PoolRow](), list[dict[str, str]]()
    for _ in range(n):
        premise = " ".join(f"w{rng.randrange(4000)}" for _ in range(6))
        for label in LABELS:
            told = label if rng.random() < 0.6 else rng.choice(LABELS)
            text = f"{premise}\n{CUES[told]} w{rng.randrange(4000)}"
            number = rng.random()
            rows.append(PoolRow(place=len(rows), number=number, text=text, choices=(), gold=label))
            fields.append({"premise": premise, "hypothesis": text.split("\n")[1]})
    assert shared_field(fields) == "premise"
    assert np.unique([row.number for row in rows]).size == len(rows)
    return with_groups(rows, fields, "premise")


def alone(row: PoolRow) -> PoolRow:
    return PoolRow(place=row.place, number=row.number, text=row.text, choices=(), gold=row.gold)
