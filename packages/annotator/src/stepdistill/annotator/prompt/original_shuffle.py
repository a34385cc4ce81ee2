"""The original's way to assign templates: rows are shuffled once, and cut into runs by share.

Both parts are shuffled with the same seed, so their runs overlap as far as the order of their
templates lets them. Every row moves when the number of rows changes; that is why it is not the
usual way here, and why it serves imported mixes alone.
"""

from collections.abc import Mapping

import numpy as np


def shuffled_parts(seed: int, shares: Mapping[str, float], n_rows: int) -> list[str]:
    """The template of each of n_rows rows; the last template takes what rounding leaves."""
    order = np.arange(n_rows)
    np.random.RandomState(seed).shuffle(order)
    names = list(shares)
    cuts = np.cumsum([int(n_rows * share) for share in shares.values()][:-1])
    templates = [names[-1]] * n_rows
    for name, rows in zip(names, np.split(order, cuts), strict=True):
        for row in rows:
            templates[row] = name
    return templates
