"""Luck without state: a number drawn by hashing, the same in any order and on any machine."""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def chance(seed: int, *parts: bytes) -> float:
    """A number in [0, 1) that depends on the seed and the parts, and on nothing else."""
    text = b"\0".join((str(seed).encode(), *parts))
    digest = hashlib.blake2b(text, digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53


def pick(choices: Sequence[T], roll: float) -> T:
    """The choice that a roll in [0, 1) falls on; raises IndexError when there is none."""
    return choices[int(roll * len(choices))]
