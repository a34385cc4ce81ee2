"""What makes a step quicker on a CPU: dropout's random numbers, and attention in plain products.

torch draws a number of its own for each element that dropout looks at: a seventh of a step. A word
of 64 bits holds four that are fine enough: whether one is below a threshold is all that is asked.
And its fused attention has no way for a CPU that drops anything out: it falls back to one that
looks for rows without any key, in four passes over all scores.
"""

import warnings
from collections.abc import Generator
from contextlib import contextmanager

import torch

from stepdistill.trainer.model.families.t5 import T5Family
from stepdistill.trainer.model.student import Student

_BITS = 16  # of a random number
_IN_WORD = 64 // _BITS


@contextmanager
def plain_attention(student: Student) -> Generator[None]:
    """Within it, attention is made of products and a softmax: a step of T5's is 5 % quicker."""
    if not isinstance(student.family, T5Family):
        yield
        return
    usual = student.model.config._attn_implementation  # pyright: ignore[reportPrivateUsage]
    student.model.set_attn_implementation("eager")
    try:
        yield
    finally:
        student.model.set_attn_implementation(usual)


@contextmanager
def quick_dropout() -> Generator[None]:
    """Within it, what is dropped out on a CPU is drawn four elements to a word. The generator is
    torch's own, so that a run that goes on draws what it would have drawn."""
    library = torch.library.Library("aten", "IMPL")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # there is one already: it comes back after
        library.impl("bernoulli_.float", _bernoulli, "CPU")
    try:
        yield
    finally:
        del library  # and with it what it has put in


def _bernoulli(
    self: torch.Tensor, p: float = 0.5, *, generator: torch.Generator | None = None
) -> torch.Tensor:
    """Fill with ones, each with chance p to within 2^-17, and else zeros; as torch's own."""
    if p >= 1:
        return self.fill_(1)
    n = self.numel()
    words = torch.empty(-(-n // _IN_WORD), dtype=torch.int64)
    words.random_(-(2**63), None, generator=generator)
    drawn = words.view(torch.int16)[:n].view(self.shape)
    below = round(p * 2**_BITS) - 2 ** (_BITS - 1)
    return torch.lt(drawn, below, out=self)
