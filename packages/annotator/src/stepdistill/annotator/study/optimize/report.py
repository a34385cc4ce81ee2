"""A search's outcome in sentences, as one object for programs, and as one HTML page."""

from pathlib import Path

from stepdistill.annotator.page import percent, rendered
from stepdistill.annotator.prompt.appending import as_yaml
from stepdistill.annotator.study.optimize.confirmation import Confirmation, Pair
from stepdistill.annotator.study.optimize.outcome import SearchOutcome, Spent
from stepdistill.annotator.study.report import COLUMNS, as_row

_PAGE = Path(__file__).parent.parent / "templates" / "search.html.jinja"
_SHOWN = 20


def sentences(outcome: SearchOutcome) -> list[str]:
    """What happened, what it is worth, and what it cost."""
    said = [_way(outcome)]
    if outcome.stopped:
        said.append(f"Stopped early. {outcome.stopped}.")
    if outcome.confirmation:
        said += [_confirmed(outcome.confirmation), _bias(outcome.confirmation)]
    else:
        said.append(f"Not confirmed: {outcome.unconfirmed}.")
    return [*said, _cost(outcome.spent)]


def facts(outcome: SearchOutcome) -> dict[str, object]:
    """The object of `--json`."""
    spent, winner = outcome.spent, outcome.winner
    return {
        "task": outcome.task,
        "setting": outcome.setting.model_dump(),
        "optimizer": outcome.optimizer,
        "rows": outcome.n_searched,
        "held_out": outcome.n_held_out,
        "iterations": outcome.iterations,
        "stopped": outcome.stopped,
        "proposals": outcome.counts(),
        "start": outcome.start,
        "winner": {"id": winner.id, "text": winner.user, "found": outcome.found_better},
        "confirmation": _confirmation_facts(outcome.confirmation) if outcome.confirmation else None,
        "unconfirmed": outcome.unconfirmed,
        "asked": spent.asked,
        "cached": spent.cached,
        "cost_usd": spent.run_usd,
        "search_usd": spent.search_usd,
        "proposals_usd": spent.proposals_usd,
        "answers_usd": spent.answers_usd,
        "remarks": outcome.remarks,
        "history": str(outcome.history),
        "metadata": str(outcome.metadata),
        "written": str(outcome.written) if outcome.written else None,
        "ranking": [as_row(place) for place in outcome.places],
    }


def as_html(outcome: SearchOutcome) -> str:
    """A page that needs nothing else: styles inside, no script, every text escaped."""
    return rendered(
        _PAGE,
        outcome=outcome,
        sentences=sentences(outcome),
        winner=as_yaml(outcome.winner),
        columns=COLUMNS,
        places=outcome.places[:_SHOWN],
    )


def _way(outcome: SearchOutcome) -> str:
    right = {place.scored.template: place.scored.score.accuracy for place in outcome.places}
    counts = outcome.counts()
    scored, stopped = counts.pop("scored", 0), counts.pop("stopped", 0)
    refused = ", ".join(f"{n} {reason.replace('_', ' ')}" for reason, n in counts.items())
    tried = (
        f"{outcome.iterations} iterations, {scored + stopped + sum(counts.values())} proposals: "
        f"{scored} asked every row, {stopped} stopped by the race, {sum(counts.values())} refused "
        f"without being asked{f' ({refused})' if refused else ''}."
    )
    start = f"{outcome.start} ({percent(right[outcome.start])} of {outcome.n_searched} rows)"
    if not outcome.found_better:
        return f"Nothing better was found than {start}. {tried}"
    winner = outcome.winner.id
    return f"From {start} to {winner} ({percent(right[winner])}). {tried}"


def _confirmed(confirmation: Confirmation) -> str:
    pair, verdict = (
        confirmation.held_out,
        "confirmed" if confirmation.confirmed else ("not confirmed, as that may be luck"),
    )
    gain, low, high = (_points(each) for each in (pair.gain.difference, *pair.gain.interval))
    return (
        f"On {pair.gain.rows} rows held out from the search: {percent(pair.winner.score.accuracy)} "
        f"against {percent(pair.start.score.accuracy)}, a gain of {gain} points "
        f"(95 % interval {low} to {high}, p {_p(pair.gain.p)}): {verdict}."
    )


def _bias(confirmation: Confirmation) -> str:
    searched = confirmation.searched
    return (
        f"The search's own rows had said {percent(searched.winner.score.accuracy)} "
        f"({_more(confirmation.bias)}) and a gain of {_points(searched.gain.difference)} "
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


def _points(share: float) -> str:
    return f"{100 * share:+.1f}"


def _more(share: float) -> str:
    return f"{abs(100 * share):.1f} points {'more' if share >= 0 else 'less'}"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"
