"""What a search came to: its numbers, sentences, the object for programs, and one HTML page.

A search takes the luckiest of many: on the rows that it searched by, its winner looks better than
it is. On rows that had no say in the choice it is as good as it is, but for their number: so the
winner is compared once more, on rows held out from the search.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from stepdistill.annotator.prompt.template import Template, as_yaml
from stepdistill.annotator.study.optimize.history import HistoryLine
from stepdistill.annotator.study.optimize.prepare import Prepared
from stepdistill.annotator.study.ranking import PairedComparison, Rank
from stepdistill.annotator.study.report import as_row, columns_of, points
from stepdistill.annotator.study.score import Scored, total_usd
from stepdistill.common.page import percent, rendered

_PAGE = Path(__file__).parent.parent / "templates" / "search.html.jinja"
_SHOWN = 20  # templates on the page; the history has all


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The winner and the best template of the start, on the same rows."""

    winner: Scored
    start: Scored

    @property
    def gain(self) -> PairedComparison:
        """The winner against the other, on the rows that both answered."""
        return PairedComparison.of(self.winner.correct, self.start.correct)


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """The same pair on the rows of the search, and on rows held out from it."""

    searched: Pair
    held_out: Pair

    @property
    def confirmed(self) -> bool:
        """Whether the gain on the held-out rows is above zero by its interval."""
        return self.held_out.gain.interval[0] > 0

    @property
    def bias(self) -> float:
        """By how much the winner's accuracy in the search is above that on held-out rows."""
        return self.searched.winner.score.accuracy - self.held_out.winner.score.accuracy

    @property
    def gain_bias(self) -> float:
        """By how much the search's own gain is above the confirmed one."""
        return self.searched.gain.difference - self.held_out.gain.difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Requests and USD of a search; None where no price is known."""

    asked: int  # requests of this run that a model answered
    cached: int  # requests of this run that the store answered
    run_usd: float | None
    proposals_usd: float | None  # of all that the search used, whichever run paid for it
    answers_usd: float | None  # likewise

    @property
    def search_usd(self) -> float | None:
        """Of all answers that the search used."""
        return total_usd((self.proposals_usd, self.answers_usd))


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOutcome:
    """A search that has ended, or was stopped by its ceiling."""

    prepared: Prepared
    iterations: int  # that were finished
    stopped: str | None  # why before the last iteration, if so
    lines: list[HistoryLine]
    ranking: list[Rank]  # the templates that were asked every row of the search
    winner: Template
    start: str  # the best template that the search began with
    confirmation: Confirmation | None
    unconfirmed: str | None  # why there is no confirmation
    spent: Spent
    history: Path
    metadata: Path
    written: Path | None = None  # the file that the winner was appended to

    @property
    def found_better(self) -> bool:
        """Whether the winner is not the one that the search began with."""
        return self.winner.id != self.start

    def counts(self) -> dict[str, int]:
        """Proposals by what became of them, refused ones by the reason; the most frequent first."""
        proposals = [line for line in self.lines if line.iteration]
        return dict(Counter(line.reason or line.state for line in proposals).most_common())


def sentences(outcome: SearchOutcome) -> list[str]:
    """What happened, what it is worth, and what it cost."""
    found = [_summary(outcome)]
    if outcome.stopped:
        found.append(f"Stopped early. {outcome.stopped}.")
    if outcome.confirmation:
        found += [_confirmed(outcome.confirmation), _bias(outcome.confirmation)]
    else:
        found.append(f"Not confirmed: {outcome.unconfirmed}.")
    return [*found, _cost(outcome.spent)]


def facts(outcome: SearchOutcome) -> dict[str, object]:
    """The object of `--json`."""
    prepared, spent, winner = outcome.prepared, outcome.spent, outcome.winner
    return {
        "task": prepared.config.task,
        "setting": prepared.setting.model_dump(),
        "optimizer": prepared.optimizer.teacher,
        "rows": prepared.rows.n_searched,
        "held_out": prepared.rows.n_held_out,
        "iterations": outcome.iterations,
        "stopped": outcome.stopped,
        "proposals": outcome.counts(),
        "start": outcome.start,
        "winner": {"id": winner.id, "text": winner.user, "found": outcome.found_better},
        "confirmation": outcome.confirmation and _confirmation_facts(outcome.confirmation),
        "unconfirmed": outcome.unconfirmed,
        "asked": spent.asked,
        "cached": spent.cached,
        "cost_usd": spent.run_usd,
        "search_usd": spent.search_usd,
        "proposals_usd": spent.proposals_usd,
        "answers_usd": spent.answers_usd,
        "remarks": prepared.remarks,
        "history": str(outcome.history),
        "metadata": str(outcome.metadata),
        "written": str(outcome.written) if outcome.written else None,
        "ranking": [as_row(entry) for entry in outcome.ranking],
    }


def as_html(outcome: SearchOutcome) -> str:
    """A page that needs nothing else: styles inside, no script, every text escaped."""
    return rendered(
        _PAGE,
        outcome=outcome,
        prepared=outcome.prepared,
        sentences=sentences(outcome),
        winner=as_yaml(outcome.winner),
        columns=columns_of(outcome.ranking),
        ranking=outcome.ranking[:_SHOWN],
    )


def _summary(outcome: SearchOutcome) -> str:
    accuracies = {each.scored.template: each.scored.score.accuracy for each in outcome.ranking}
    counts = outcome.counts()
    scored, stopped = counts.pop("scored", 0), counts.pop("stopped", 0)
    refused = ", ".join(f"{n} {reason.replace('_', ' ')}" for reason, n in counts.items())
    tried = (
        f"{outcome.iterations} iterations, {scored + stopped + sum(counts.values())} proposals: "
        f"{scored} asked every row, {stopped} stopped by the race, {sum(counts.values())} refused "
        f"without being asked{f' ({refused})' if refused else ''}."
    )
    n_rows = outcome.prepared.rows.n_searched
    start = f"{outcome.start} ({percent(accuracies[outcome.start])} of {n_rows} rows)"
    if not outcome.found_better:
        return f"Nothing better was found than {start}. {tried}"
    winner = outcome.winner.id
    return f"From {start} to {winner} ({percent(accuracies[winner])}). {tried}"


def _confirmed(confirmation: Confirmation) -> str:
    pair = confirmation.held_out
    gain, low, high = (points(each) for each in (pair.gain.difference, *pair.gain.interval))
    verdict = "confirmed" if confirmation.confirmed else "not confirmed, as that may be luck"
    p = "< 0.001" if pair.gain.p < 0.001 else f"= {pair.gain.p:.3f}"
    return (
        f"On {pair.gain.rows} rows held out from the search: {percent(pair.winner.score.accuracy)} "
        f"against {percent(pair.start.score.accuracy)}, a gain of {gain} points "
        f"(95 % interval {low} to {high}, p {p}): {verdict}."
    )


def _bias(confirmation: Confirmation) -> str:
    searched = confirmation.searched
    return (
        f"The search's own rows gave {percent(searched.winner.score.accuracy)} "
        f"({_more(confirmation.bias)}) and a gain of {points(searched.gain.difference)} "
        f"({_more(confirmation.gain_bias)}): whoever takes the best of many takes luck, too."
    )


def _cost(spent: Spent) -> str:
    asked = f"{spent.asked:,} requests asked, {spent.cached:,} answered by the store"
    if spent.run_usd is None or spent.search_usd is None:
        return f"{asked}. Cost: unknown (no price for a model)."
    return (
        f"{asked}. Cost of this run: {spent.run_usd:.4f} USD; of the whole search: "
        f"{spent.search_usd:.4f} USD, {spent.proposals_usd:.4f} of it for proposals."
    )


def _confirmation_facts(confirmation: Confirmation) -> dict[str, object]:
    return {
        "confirmed": confirmation.confirmed,
        "bias": confirmation.bias,
        "gain_bias": confirmation.gain_bias,
        "held_out": _pair_facts(confirmation.held_out),
        "searched": _pair_facts(confirmation.searched),
    }


def _pair_facts(pair: Pair) -> dict[str, object]:
    low, high = pair.gain.interval
    return {
        "rows": pair.gain.rows,
        "winner": pair.winner.score.accuracy,
        "start": pair.start.score.accuracy,
        "gain": pair.gain.difference,
        "gain_low": low,
        "gain_high": high,
        "p": pair.gain.p,
    }


def _more(share: float) -> str:
    return f"{abs(100 * share):.1f} points {'more' if share >= 0 else 'less'}"
