"""Settings: asking through the Batch API."""

import re
from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from stepdistill.common.command_line import Settings, as_options, at_least, option_group, read_by
from stepdistill.common.errors import ConfigError

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhd])")  # 1h30m: (1, h), (30, m)


def seconds_of(text: str) -> float:
    """Seconds of a duration as people write it: 20h, 90m, 1h30m, 45s. Raises ConfigError."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ConfigError(
            f"--fallback-online-after {text}: a duration such as 20h, 90m, 1h30m or 45s"
        )
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


@dataclass(frozen=True, kw_only=True)
@option_group("Batch API", 4)
class BatchApiSettings(Settings):
    """Which way requests go."""

    batch_api: bool = False
    """Ask through the Batch API: half the price, slow."""


@as_options
@dataclass(frozen=True, kw_only=True)
@option_group("Batch API", 4)
class BatchSettings(Settings):
    """How the Batch API is used."""

    wait: Annotated[bool, Parameter(negative="--no-wait")] = True
    """Wait for batches, or leave once all are sent."""
    # A file of batches holds 50,000 requests and 200 MB at most; a margin is kept from the bytes.
    max_requests: Annotated[int, at_least(1), Parameter(name="--max-batch-requests")] = 50_000
    """Requests in one batch."""
    max_mb: Annotated[float, at_least(0.001), Parameter(name="--max-batch-mb")] = 190.0
    """Size of one batch's file, in MB of 10^6 bytes."""
    enqueued_tokens: Annotated[int | None, at_least(1)] = None
    """Prompt tokens in batches at a time: your tier's limit; default: what the teacher takes."""
    fallback_online_after_s: Annotated[
        float | None, read_by(seconds_of), Parameter(name="--fallback-online-after")
    ] = None
    """As 20h: then cancel, collect what is done, and ask the rest online."""

    @property
    def max_bytes(self) -> int:
        """Of one batch's file."""
        return int(self.max_mb * 1e6)
