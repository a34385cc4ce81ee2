"""Sizes of a student that is trained from scratch, without a download."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """width: of a hidden state. layers: of the encoder, and of the decoder."""

    width: int
    layers: int


SIZES = {
    "micro": Size(width=32, layers=1),
    "tiny": Size(width=64, layers=2),
    "mini": Size(width=128, layers=3),
}
