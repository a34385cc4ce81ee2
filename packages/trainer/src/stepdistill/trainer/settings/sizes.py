"""Sizes of a student that is trained from scratch, without a download."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """width: of a hidden state. layers: of the encoder, and of the decoder.

    lr: the peak learning rate that did best on the demo's validation rows, of three rates a factor
    of two apart, over three seeds.
    """

    width: int
    layers: int
    lr: float


SIZES = {
    "micro": Size(width=32, layers=1, lr=3e-3),
    "tiny": Size(width=64, layers=2, lr=3e-3),
    "mini": Size(width=128, layers=3, lr=7e-4),
}
