"""What the same rows would cost with solved examples in the prompt: `OUT/few-shot.json`, which
`annotate estimate --few-shot` writes and `annotate plots` reads, so it stands below both."""

from pydantic import BaseModel, ConfigDict

from stepdistill.common.errors import ShardError
from stepdistill.common.files.storage import write_place
from stepdistill.common.urls import Place

FEW_SHOT_COST_NAME = "few-shot.json"
Usd = tuple[float, float, float]  # low, likely, high; for all rows


class FewShotCost(BaseModel):
    """Estimates for all rows of a task; nobody was asked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    teacher: str
    price_date: str  # ISO 8601 day
    rows: int
    shots: int  # solved examples in the prompt
    zero: Usd  # with the run's own prompts
    few: Usd  # behind the examples, with answers as long as theirs
    alike: Usd  # behind the examples, with answers as long as without them


def keep_few_shot_cost(folder: Place, cost: FewShotCost) -> None:
    """Write it down. Raises ShardError: the folder cannot be written."""
    try:
        write_place(folder / FEW_SHOT_COST_NAME, f"{cost.model_dump_json(indent=1)}\n".encode())
    except OSError as error:
        raise ShardError(f"{folder}: cannot be written ({error.strerror})") from None
