"""How far a share of counted rows may be trusted: Wilson's interval, the same for both halves."""

from math import sqrt
from statistics import NormalDist

Z_95 = NormalDist().inv_cdf(0.975)  # 1.95996...: 95 % of a normal distribution lie within ± this


def wilson(correct: float, n: float, z: float = Z_95) -> tuple[float, float]:
    """The interval of a share after Wilson (1927), for `correct` of `n`; (0, 1) when n is 0.
    They need not be whole: an estimate may be worth 61.8 judgements.

    Unlike the plain one (share ± z * standard error) it never leaves 0..1.
    """
    if n == 0:
        return 0.0, 1.0
    share, z2 = correct / n, z**2
    scale = 1 + z2 / n
    middle = (share + z2 / (2 * n)) / scale
    spread = sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    # Two orders, as both have been published: they differ in the last bit of a float.
    half = z * spread / scale if z == Z_95 else z / scale * spread
    return max(0.0, middle - half), min(1.0, middle + half)
