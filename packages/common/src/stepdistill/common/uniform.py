"""Uniform numbers from hashes: a choice that depends on its content alone.

It is the same on every machine and in any order, and rows that come or go move no others' numbers.
"""

import hashlib


def uniform(digest: bytes, bits: int = 53) -> float:
    """A number in [0, 1) by the first 8 bytes of a digest.

    bits: how many of these 64 count. 53 are exact in a float. With all 64 it is rounded: once in
    2**54 digests to 1.0.
    """
    return (int.from_bytes(digest[:8]) >> (64 - bits)) / 2**bits


def uniform_of(seed: int, *parts: bytes) -> float:
    """The number of these parts under a seed."""
    text = b"\0".join((str(seed).encode(), *parts))
    return uniform(hashlib.blake2b(text, digest_size=8).digest())


def uniform_of_text(text: str) -> float:
    """The number of a text. Another hash than uniform_of's, and all bits of it: who is asked for
    reasons, and who is put aside for validation, has hung on these very numbers from the start."""
    return uniform(hashlib.sha256(text.encode()).digest(), bits=64)
