"""The offers of a tournament with what came of each: `tournament.json`, which `annotate experiment
--teachers` keeps beside the metadata and `annotate plots` draws."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from stepdistill.common.errors import ConfigError
from stepdistill.common.whole_file import write_whole

OFFERS_NAME = "tournament.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One offer: who, asked how, at which price, and what came of it. Amounts are of 1,000 labels,
    in US dollars; None where no price is known."""

    teacher: str  # as --teachers has it, without addresses
    model: str  # as it is served
    server: str
    effort: str | None
    service: str | None  # flex, priority, default, batch; None: whichever is usual
    template: str
    rows: int  # that it was asked
    unanswered: int  # of these
    correct: int
    accuracy: float  # of the rows that it was asked; one without an answer counts as wrong
    accuracy_low: float
    accuracy_high: float
    parse_rate: float
    usd_per_1000_rows: float | None
    usd_per_1000_correct: float | None
    usd_per_1000_correct_low: float | None
    usd_per_1000_correct_high: float | None
    left_out: bool  # the race stopped asking it: its figures are of fewer rows
    rank: int = 0  # by accuracy, those that were left out behind
    price_rank: int | None = None  # by dollars per right label, among all; None: no price
    on_frontier: bool = False  # nobody who costs no more is more accurate
    beaten_by: str | None = None  # an offer that costs no more, and is as accurate
    is_buy: bool = False
    difference: float | None = None  # its accuracy less that of the one to buy, on common rows
    difference_low: float | None = None
    difference_high: float | None = None

    @property
    def name(self) -> str:
        """Teacher and template in one."""
        return f"{self.teacher} / {self.template}"

    @property
    def usd_or_inf(self) -> float:
        """What 1,000 labels cost, to put offers in order; inf: no price is known."""
        usd = self.usd_per_1000_rows
        return float("inf") if usd is None else usd


class OfferTable(BaseModel):
    """All offers of a tournament, the most accurate first, those left out behind."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    split: str
    seed: int | None
    offers: tuple[Offer, ...]

    @property
    def frontier(self) -> list[Offer]:
        """The offers on the efficient frontier, the cheapest first."""
        return sorted((o for o in self.offers if o.on_frontier), key=lambda o: o.usd_or_inf)

    def keep_beside(self, metadata: Path) -> None:
        """Write it down, in place of an earlier tournament's. Raises OSError."""
        write_whole(metadata.with_name(OFFERS_NAME), f"{self.model_dump_json(indent=1)}\n".encode())


def read_offers(path: Path) -> OfferTable:
    """What was kept. Raises ConfigError: it cannot be read as that."""
    try:
        return OfferTable.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"{path}: is no table of offers that annotate experiment --teachers kept "
            f"({where or 'the file'}: {first['msg']})"
        ) from None
