"""What was estimated for a run, kept beside its shards so that the report can hold it against what
came: `OUT/estimate.json`."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from stepdistill.annotator.estimate.estimate import Estimate
from stepdistill.annotator.estimate.span import Span
from stepdistill.common.errors import ShardError
from stepdistill.common.whole_file import write_whole

PLANNED_NAME = "estimate.json"


class Planned(BaseModel):
    """An estimate's figures. run: the run's name. stored: requests that cost nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run: str
    price_date: str
    stored: int
    to_ask: int
    prompt_tokens: float
    answer_tokens: float
    online_usd: Span
    batch_usd: Span


def keep_estimate(folder: Path, run: str, price_date: str, found: Estimate) -> None:
    """Write it down. Raises ShardError: the folder cannot be written."""
    planned = Planned(
        run=run,
        price_date=price_date,
        stored=found.stored,
        to_ask=found.to_ask,
        prompt_tokens=found.prompt.likely,
        answer_tokens=found.answer.likely,
        online_usd=found.online_usd,
        batch_usd=found.batch_usd,
    )
    try:
        write_whole(folder / PLANNED_NAME, f"{planned.model_dump_json(indent=1)}\n".encode())
    except OSError as error:
        raise ShardError(f"{folder}: cannot be written ({error.strerror})") from None


def kept_estimate(folder: Path, run: str) -> Planned | None:
    """What was written down for this very run, None where nothing was."""
    path = folder / PLANNED_NAME
    try:
        planned = Planned.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
    return planned if planned.run == run else None
