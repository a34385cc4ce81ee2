"""What comes of buying rows in rounds, as people read it and as programs do."""

from dataclasses import dataclass, field

from rich.table import Table

from stepdistill.annotator.active_learning.curve import Accuracy
from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.console.tables import plain_table
from stepdistill.annotator.run.pipeline import RunResult, RunTotals
from stepdistill.annotator.settings.run import RunSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class BoughtRound:
    """How things stood after a round."""

    rows: int  # bought until then
    usd: float | None  # what all answers cost until then, other splits' too
    accuracy: Accuracy | None  # of the small student; None where nothing judges it


@dataclass(frozen=True, slots=True, kw_only=True)
class NotBought:
    """The rows that were left."""

    rows: int
    usd: float | None
    accuracy: Accuracy | None  # to be expected with them; None after too few rounds


@dataclass(slots=True, kw_only=True)
class Grown:
    """What was bought, and why no more."""

    settings: RunSettings  # of the run of these rows
    totals: RunTotals
    rounds: list[BoughtRound] = field(default_factory=list[BoughtRound])
    stopped: str = ""  # point_worth | max_cost | rows | offline
    why: str = ""  # a sentence without its end
    judged: str = ""  # by what the student is judged, likewise
    chosen_by: str = ""  # how rows were chosen, where that is not as usual
    not_bought: NotBought | None = None
    unfinished: RunResult | None = None  # a round that is not done, so that nothing is finished

    def facts(self) -> dict[str, object]:
        """For programs."""
        left = self.not_bought
        return {
            "rounds": [
                {"round": n, "rows": each.rows, "usd": each.usd, **_shares(each.accuracy)}
                for n, each in enumerate(self.rounds, 1)
            ],
            "stopped": self.stopped,
            "why": self.why,
            "judged": self.judged,
            "not_bought": left and {"rows": left.rows, "usd": left.usd, **_shares(left.accuracy)},
        }

    def show(self, output: ConsoleOutput) -> None:
        """For people: a line a round, why it ended, what the rest would bring."""
        if not self.rounds:
            return
        output.table(_table(self.rounds))
        output.show(f"Accuracy: of a small student (words and letters), {self.judged}.")
        if self.chosen_by:
            output.show(f"{self.chosen_by}.")
        if self.why:
            output.show(f"No more was bought: {self.why}.")
        left = self.not_bought
        if left is not None and left.rows:
            cost = "" if left.usd is None else f" for some {left.usd:.2f} USD"
            brings = (
                "what they would bring cannot be said after so few rounds"
                if left.accuracy is None
                else f"with them its accuracy would be {left.accuracy.in_words()}"
            )
            output.show(f"The other {left.rows:,} rows could be bought{cost}: {brings}.")


def _table(rounds: list[BoughtRound]) -> Table:
    table = plain_table(["round"], ["rows", "USD", "accuracy", "from", "to"])
    for n, each in enumerate(rounds, 1):
        usd = "unknown" if each.usd is None else f"{each.usd:.4f}"
        found = each.accuracy
        shares = (found.share, found.low, found.high) if found else ()
        words = [f"{100 * share:.1f} %" for share in shares] or ["", "", ""]
        table.add_row(str(n), f"{each.rows:,}", usd, *words)
    return table


def _shares(found: Accuracy | None) -> dict[str, float | None]:
    return {
        "accuracy": found and found.share,
        "accuracy_low": found and found.low,
        "accuracy_high": found and found.high,
    }
