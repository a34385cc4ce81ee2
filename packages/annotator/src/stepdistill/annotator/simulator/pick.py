"""Choices by a number in [0, 1): which of them it falls on."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")


def pick(choices: Sequence[T], u: float) -> T:
    """The choice that u in [0, 1) falls on; raises IndexError when there is none."""
    return choices[int(u * len(choices))]


def pick_by_share(shares: Iterable[tuple[T, float]], u: float) -> T | None:
    """The choice whose share of [0, 1) u falls on, in their order; None beyond the last."""
    for choice, share in shares:
        u -= share
        if u < 0:
            return choice
    return None
