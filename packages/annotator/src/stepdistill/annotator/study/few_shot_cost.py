"""What the same rows would cost with solved examples in the prompt: `OUT/few-shot.json`, which
`annotate estimate --few-shot` keeps for the figures."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from stepdistill.common.errors import ShardError
from stepdistill.common.whole_file import write_whole

FEW_SHOT_COST_NAME = "few-shot.json"
Usd = tuple[float, float, float]


class FewShotCost(BaseModel):
    """Estimates in USD for all rows, as (low, likely, high); nobody was asked.

    zero: with the run's own prompts. few: behind the examples, with answers as long as theirs.
    alike: behind the examples, with answers as long as without them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    teacher: str
    price_date: str
    rows: int
    shots: int
    zero: Usd
    few: Usd
    alike: Usd


def keep_few_shot_cost(folder: Path, cost: FewShotCost) -> None:
    """Write it down. Raises ShardError: the folder cannot be written."""
    try:
        write_whole(folder / FEW_SHOT_COST_NAME, f"{cost.model_dump_json(indent=1)}\n".encode())
    except OSError as error:
        raise ShardError(f"{folder}: cannot be written ({error.strerror})") from None
