"""More votes than are stored, against rows of which everything is known."""

import numpy as np
import pytest

from stepdistill.annotator.what_if.estimates import RowValues, WeightedPart, mean_of
from stepdistill.annotator.what_if.more_votes import RIGHT, UNREAD, AnswerCounts, Seen, more_votes

ROWS = 400


def drawn(chance_right: np.ndarray, n_wrong: int, seed: int) -> Seen:
    """Five answers of each row: right by the row's chance, else one of so many wrong labels."""
    chance = np.random.default_rng(seed)
    wrong = chance.integers(2, 2 + n_wrong, (len(chance_right), 5))
    right = chance.random(wrong.shape) < chance_right[:, None]
    return np.where(right, RIGHT, wrong).astype(np.int8)


def elected_right(seen: Seen, votes: int) -> float:
    rows = seen[:, :votes].tolist()
    return float(np.mean([max(dict.fromkeys(row), key=row.count) == RIGHT for row in rows]))


def means(seen: Seen, votes: int, n_labels: int | None) -> list[float]:
    found = more_votes(seen, votes, n_labels)
    return [float(each.mean()) for each in found]


@pytest.mark.parametrize("n_wrong", [1, 4])
@pytest.mark.parametrize("stored", [2, 3])
def test_bounds_hold_what_more_votes_elect(stored: int, n_wrong: int) -> None:
    chance = np.random.default_rng(1)
    # Easy rows, and some that are wrong more often than right.
    kinds = np.where(chance.random(ROWS) < 0.75, 0.95, 0.35)
    seen, many = drawn(kinds, n_wrong, 2), drawn(np.tile(kinds, 20), n_wrong, 3)
    n_labels = None if n_wrong > 1 else 2
    low, likely, high = means(seen[:, :stored], 5, n_labels)
    truth, noise = elected_right(many, 5), 2 * np.sqrt(0.2 / ROWS)
    assert low - noise <= truth <= high + noise
    assert low - 0.02 <= likely <= high + 0.02
    assert high - low < 0.12  # worth saying


def test_rows_of_one_mind_stay_so() -> None:
    always = np.tile(np.array([[RIGHT], [2]], dtype=np.int8), (100, 3))
    low, likely, high = means(always, 5, 4)
    assert low == pytest.approx(0.5, abs=0.03)
    assert likely == pytest.approx(0.5, abs=0.02)
    assert high == pytest.approx(0.5, abs=0.03)


def test_what_cannot_be_read_gives_a_label_with_more_votes() -> None:
    chance = np.random.default_rng(5)
    seen = np.where(chance.random((ROWS, 2)) < 0.3, UNREAD, RIGHT).astype(np.int8)
    found = more_votes(seen, 5, 4, right=False)
    assert float(found.likely.mean()) == pytest.approx(1 - 0.3**5, abs=0.04)


@pytest.mark.parametrize(
    ("counts", "chance"),
    [
        (AnswerCounts(2, 1, 0, 0, False), 1.0),
        (AnswerCounts(1, 1, 0, 0, False), 0.5),  # the one that came first
        (AnswerCounts(1, 1, 1, 0, False), 1 / 3),
        (AnswerCounts(1, 0, 2, 0, True), 1 / 3),  # two others, each its own label
        (AnswerCounts(1, 0, 2, 0, False), 0.0),  # two others, the same label
        (AnswerCounts(0, 0, 0, 3, False), 0.0),
    ],
)
def test_of_labels_with_as_many_votes_the_first_wins(counts: AnswerCounts, chance: float) -> None:
    assert counts.right_wins == pytest.approx(chance)


def test_a_bound_has_the_error_of_a_mean() -> None:
    seen = drawn(np.full(ROWS, 0.8), 3, 7)[:, :2]
    low = more_votes(seen, 3, None).low
    mean = mean_of([WeightedPart(1.0, RowValues(np.arange(ROWS), low))], ROWS)
    assert 0 < mean.variance < 0.01
