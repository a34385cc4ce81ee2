"""Uniform numbers without state: drawn by hashing, the same in any order and on any machine."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")


def uniform(seed: int, *parts: bytes) -> float:
    """A number in [0, 1) that depends on the seed and the parts, and on nothing else."""
    text = b"\0".join((str(seed).encode(), *parts))
    digest = hashlib.blake2b(text, digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53  # 53 bits are what a float holds exactly


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
