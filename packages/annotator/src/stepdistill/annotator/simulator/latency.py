"""How long an answer takes: the same time for all, or lognormal around a median, by hash."""

import math
from dataclasses import dataclass
from statistics import NormalDist

from stepdistill.common.errors import ConfigError
from stepdistill.common.uniform import uniform_of

_NORMAL = NormalDist()
_LEAST = 2.0**-53  # a normal quantile is defined above 0 only


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """The time that answers take."""

    median_ms: float = 0.0  # at least 0
    sigma: float = 0.0  # spread of the time's logarithm; 0 for none
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises ConfigError on a negative time or spread."""
        if self.median_ms < 0 or self.sigma < 0:
            raise ConfigError("latency: median_ms and sigma must be at least 0")

    def seconds(self, digest: bytes, attempt: int) -> float:
        """How long this attempt takes, in seconds."""
        if not self.sigma:
            return self.median_ms / 1000
        u = max(_LEAST, uniform_of(self.seed, b"latency", digest, str(attempt).encode()))
        return self.median_ms / 1000 * math.exp(self.sigma * _NORMAL.inv_cdf(u))
