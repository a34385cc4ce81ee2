"""Options of a run through the Batch API, and the settings that they make."""

import re
from typing import Annotated

import typer

from stepdistill.annotator.settings.run import BATCH_MB, BATCH_REQUESTS, BatchSettings
from stepdistill.common.errors import ConfigError

BatchFlag = Annotated[
    bool, typer.Option("--batch-api", help="Ask through the Batch API: half the price, slow.")
]
Wait = Annotated[
    bool, typer.Option("--wait/--no-wait", help="Wait for batches, or leave once all are sent.")
]
MaxBatchRequests = Annotated[int | None, typer.Option(min=1, help="Requests in one batch.")]
MaxBatchMb = Annotated[
    float | None, typer.Option(min=0.001, help="Size of one batch's file, in MB of 10^6 bytes.")
]
EnqueuedTokens = Annotated[
    int | None, typer.Option(min=1, help="Prompt tokens in batches at a time: your tier's limit.")
]
FallbackOnlineAfter = Annotated[
    str | None,
    typer.Option(help="As 20h: then cancel, collect what is done, and ask the rest online."),
]

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhd])")


def batch_settings(
    *,
    wait: bool,
    max_requests: int | None,
    max_mb: float | None,
    enqueued_tokens: int | None,
    fallback_online_after: str | None,
) -> BatchSettings:
    """The settings that these options name. Raises ConfigError."""
    after = fallback_online_after
    return BatchSettings(
        wait=wait,
        max_requests=max_requests or BATCH_REQUESTS,
        max_bytes=int((max_mb or BATCH_MB) * 1e6),
        enqueued_tokens=enqueued_tokens,
        fallback_online_after_s=None if after is None else seconds_of(after),
    )


def seconds_of(text: str) -> float:
    """Seconds of a duration as people write it: 20h, 90m, 1h30m, 45s. Raises ConfigError."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ConfigError(
            f"--fallback-online-after {text}: a duration such as 20h, 90m, 1h30m or 45s"
        )
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)
