"""A number drawn by hashing is the same for ever: choices of rows hang on it."""

from statistics import fmean

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stepdistill.common.uniform import uniform, uniform_of, uniform_of_text


@given(st.binary(min_size=8, max_size=40))
@example(b"\xff" * 8)
def test_a_digest_gives_a_share_by_its_first_eight_bytes(digest: bytes) -> None:
    assert 0 <= uniform(digest) < 1
    assert uniform(digest) == uniform(digest[:8])
    assert uniform(digest, bits=64) == pytest.approx(uniform(digest), abs=2**-52)


def test_the_ends_of_the_range() -> None:
    assert uniform(bytes(8)) == 0
    assert uniform(b"\xff" * 8) == 1 - 2**-53
    assert uniform(b"\x80" + bytes(7)) == 0.5


@pytest.mark.parametrize(
    ("seed", "parts", "expected"),
    [
        (1, (), 0.9647866495940682),
        (1, (b"right",), 0.6856433207729755),
        (1, (b"right", b"\x00\xff"), 0.23255487767601146),
        (42, (b"train-0",), 0.8540828542801145),
        (-7, (b"",), 0.1156684540177586),
    ],
)
def test_the_number_of_parts_under_a_seed(
    seed: int, parts: tuple[bytes, ...], expected: float
) -> None:
    assert uniform_of(seed, *parts) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0.8894159948913374),
        ("valid/train-0", 0.5057174041426955),
        ("0/Zeile 12 – “ß” 語", 0.23764630699480052),
        ("42 train-0", 0.6611988053041675),
    ],
)
def test_the_number_of_a_text(text: str, expected: float) -> None:
    assert uniform_of_text(text) == expected


def test_they_are_spread_evenly() -> None:
    assert fmean(uniform_of(1, b"%d" % n) for n in range(4000)) == pytest.approx(0.5, abs=0.02)
    assert fmean(uniform_of_text(str(n)) for n in range(4000)) == pytest.approx(0.5, abs=0.02)
