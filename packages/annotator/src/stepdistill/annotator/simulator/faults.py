"""What goes wrong and when, and how long answers take: by hash for each attempt, or by a script."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import NormalDist

from stepdistill.annotator.simulator.pick import pick_by_share
from stepdistill.common.errors import ConfigError
from stepdistill.common.uniform import uniform_of


class Fault(StrEnum):
    """Everything that the simulator can do wrong; the values are names for settings and logs."""

    RATE_LIMITED = "rate_limited"  # 429 with Retry-After
    RATE_LIMITED_BARE = "rate_limited_bare"  # 429 without
    SLOW_DOWN = "slow_down"  # 429: the rate grew too fast
    QUOTA = "quota"  # 429 insufficient_quota: waiting does not help
    UNAUTHORIZED = "unauthorized"  # 401
    BAD_REQUEST = "bad_request"  # 400
    CONTENT_POLICY = "content_policy"  # 400 content_policy_violation: the text is refused
    SERVER_ERROR = "server_error"  # 500
    BAD_GATEWAY = "bad_gateway"  # 502, a page and no JSON, as proxies send
    OVERLOADED = "overloaded"  # 503 server_is_overloaded
    GATEWAY_TIMEOUT = "gateway_timeout"  # 504, a page and no JSON
    DROPPED = "dropped"  # the socket is closed before any answer
    LOST = "lost"  # the work is done and billed; the socket is closed before the answer
    TORN = "torn"  # half of the body arrives; the answer was made and is billed
    DRIP = "drip"  # the whole answer, slowly
    NOT_JSON = "not_json"  # 200 with a page
    NEVER = "never"  # no answer until the client goes
    CONTENT_FILTER = "content_filter"  # 200, finish_reason content_filter, no text
    LENGTH = "length"  # 200, finish_reason length, half of the text
    NO_USAGE = "no_usage"  # 200 without usage


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPlan:
    """When each fault is served."""

    # Shares of the attempts that meet each fault; together at most 1.
    rates: Mapping[Fault, float] = field(default_factory=dict[Fault, float])
    seed: int = 0
    max_in_a_row: int = 2  # faults that one body meets, one after the other, at most
    retry_after_s: float = 1.0  # what RATE_LIMITED names
    # The faults of the first requests in order of arrival (None: all is well), then none; a script
    # stands in place of rates.
    script: tuple[Fault | None, ...] = ()

    def __post_init__(self) -> None:
        """Raises ConfigError on rates that are no shares, or a negative max_in_a_row."""
        if any(rate < 0 for rate in self.rates.values()) or sum(self.rates.values()) > 1 + 1e-9:
            raise ConfigError("faults: rates must be at least 0 and sum to at most 1")
        if self.max_in_a_row < 0:
            raise ConfigError("faults: max_in_a_row must be at least 0")

    def fault(self, ordinal: int, digest: bytes, attempt: int) -> Fault | None:
        """The fault for a request; ordinal and attempt count from 0."""
        if self.script:
            return self.script[ordinal] if ordinal < len(self.script) else None
        # Every (max_in_a_row + 1)th attempt goes well: a bound that needs no memory.
        if not self.rates or attempt % (self.max_in_a_row + 1) == self.max_in_a_row:
            return None
        # In the order of the enum, whatever the order of rates: the same seed, the same faults.
        shares = ((fault, self.rates.get(fault, 0.0)) for fault in Fault)
        return pick_by_share(shares, uniform_of(self.seed, b"fault", digest, str(attempt).encode()))


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
