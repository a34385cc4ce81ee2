"""Choices as people and programs read them: tables of 80 columns, and one JSON object."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import NormalDist

from rich.table import Table

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.console.tables import plain_table
from stepdistill.annotator.what_if.estimates import Interval
from stepdistill.annotator.what_if.outcome import ONE_VOTE, Outcome, Untold
from stepdistill.annotator.what_if.weighed import WhatIf
from stepdistill.common.intervals import Z_95
from stepdistill.common.page import usd

_NAME = 25  # characters of a choice's name in a table
_SHOWN = 20  # choices in a table
_NAMED = 4  # of choices that cannot be told
_FEW = 200  # rows that tell what more votes bring
_EQUAL = 0.01  # of the accuracy: what is not surely worse by more is as good


def facts_of(found: WhatIf) -> dict[str, object]:
    """The object of `--json`."""
    config, answered = found.run.config, found.answered
    chosen = next_step(found)
    return {
        "task": config.task,
        "teacher": config.teacher,
        "store": str(config.store),
        "out": str(config.out),
        "run": found.run.name,
        "splits": answered.splits,
        "rows": answered.n_rows,
        "rows_with_gold": int(answered.has_gold.sum()),
        "asked": 0,
        "base": found.base and found.base.choice.title,
        "choices": [_facts(each, found) for each in found.choices],
        "rates": [_facts(each, found) for each in found.rates],
        "sizes": [_facts(each, found) for each in found.sizes],
        "untold": [{**_choice_facts(each), "why": each.why} for each in found.untold],
        "next": None if chosen is None else {"why": chosen[0], **_facts(chosen[1], found)},
        "remarks": found.remarks,
    }


def _choice_facts(each: Outcome | Untold) -> dict[str, object]:
    choice = each.choice
    return {
        "name": choice.title,
        "label": choice.mix.label,
        "rationale": choice.mix.rationale,
        "votes": choice.votes,
        "rationale_rate": choice.rate,
    }


def _facts(each: Outcome, found: WhatIf) -> dict[str, object]:
    shares = ("accuracy", "agreement", "kept", "right_labels", "against_base")
    money = ("usd_a_row", "usd", "usd_per_right_label", "to_pay_usd")
    intervals = (
        *(each.accuracy, each.agreement, each.kept, each.right, each.against),
        *(each.usd_a_row, each.usd, each.usd_per_right, each.to_pay),
    )
    return {
        **_choice_facts(each),
        "rows": each.rows,
        "known_rows": each.known,
        "judged_rows": each.judged,
        "predicted": each.predicted,
        "efficient": each.efficient,
        **{
            name: None if interval is None else interval._asdict()
            for name, interval in zip((*shares, *money), intervals, strict=True)
        },
        "rationales": each.reasons,
        "tokens_a_row": each.tokens_a_row,
        "requests": each.requests,
        "command": each.choice.lines(found.run.config, batch=found.run.batch),
    }


def show(found: WhatIf, output: ConsoleOutput) -> None:
    """For people."""
    config, answered = found.run.config, found.answered
    n_gold = int(answered.has_gold.sum())
    output.show(
        f"{config.task} by {config.teacher}, {', '.join(answered.splits)}: {answered.n_rows:,} "
        f"rows, {n_gold:,} with gold; nobody was asked"
    )
    for line in found.remarks:
        output.show(line)
    shown = _shown(found.choices) + found.rates
    if shown:
        output.show("")
        output.table(_accuracy_table(shown, has_gold=bool(n_gold)))
        output.show("* no other is as cheap and as good; ~ predicted from how fewer votes agree")
        output.show(f"more: than {shown[0].choice.title}, on the rows that both have")
        output.show("")
        output.table(_cost_table(shown))
    if len(found.choices) > _SHOWN:
        output.show(f"{len(found.choices) - _SHOWN:,} more: --json has them all")
    if found.sizes:
        output.show("")
        output.table(_size_table(found.sizes))
    for line in _untold_lines(found):
        output.show(line)
    chosen = next_step(found)
    if chosen is not None:
        output.show("")
        output.show(f"next: {chosen[0]}")
        output.show(f"  {_price(chosen[1])}:")
        for line in chosen[1].choice.lines(config, batch=found.run.batch):
            output.show(f"  {line}")


def _shown(choices: Sequence[Outcome]) -> list[Outcome]:
    """As many as a screen has room for, in their order: the run's own, the efficient, the best."""

    def last(each: Outcome) -> tuple[bool, bool, float]:
        own = each.choice.mix == choices[0].choice.mix
        return not own, not each.efficient, -(each.score.value if each.score else 0.0)

    taken = [id(each) for each in sorted(choices, key=last)[:_SHOWN]]
    return [each for each in choices if id(each) in taken]


def _accuracy_table(shown: Sequence[Outcome], *, has_gold: bool) -> Table:
    name = "right %" if has_gold else "agree %"
    numbers = (name, "from", "to", "kept %", "more", "from", "to")
    table = plain_table(("choice", ""), numbers, min_width=_NAME)
    for each in shown:
        against = each.against if each is not shown[0] else None
        cells = (*_points(each.score), _point(each.kept.value), *_points(against, signed=True))
        table.add_row(_name(each), _marks(each), *cells)
    return table


def _cost_table(shown: Sequence[Outcome]) -> Table:
    numbers = ("1,000 rows", "from", "to", "1,000 right", "from", "to")
    table = plain_table(("USD of",), numbers, min_width=_NAME)
    for each in shown:
        thousand = (each.usd_a_row, each.usd_per_right)
        table.add_row(_name(each), *(cell for one in thousand for cell in _amounts(one, 1000)))
    return table


def _size_table(sizes: Sequence[Outcome]) -> Table:
    numbers = ("rows", "known", "right", "from", "to", "USD", "from", "to", "to ask", "USD more")
    table = plain_table((), numbers)
    for each in sizes:
        right = ("-",) * 3 if each.right is None else tuple(f"{n:,.0f}" for n in each.right)
        more = (f"{each.requests:,}", usd(each.to_pay.value if each.to_pay else None))
        rows = (f"{each.rows:,}", f"{each.known:,}")
        table.add_row(*rows, *right, *_amounts(each.usd, 1), *more)
    return table


def _name(each: Outcome) -> str:
    title = each.choice.title
    if len(title) <= _NAME:
        return title
    tail = title[len(each.choice.name) :]
    return f"{each.choice.name[: _NAME - len(tail) - 1]}…{tail}"


def _marks(each: Outcome) -> str:
    return ("*" if each.efficient else "") + ("~" if each.predicted else "")


def _points(interval: Interval | None, *, signed: bool = False) -> tuple[str, str, str]:
    if interval is None:
        return "-", "-", "-"
    # + 0.0: what rounds to nothing is not below it.
    rounded = (round(100 * each, 1) + 0.0 for each in interval)
    value, low, high = (f"{each:{'+' if signed else ''}.1f}" for each in rounded)
    return value, low, high


def _point(share: float) -> str:
    return f"{100 * share:.1f}"


def _amounts(interval: Interval | None, times: int) -> tuple[str, str, str]:
    if interval is None:
        return "-", "-", "-"
    value, low, high = (_short(times * each) for each in interval)
    return value, low, high


def _short(amount: float) -> str:
    """Three digits that count."""
    if not amount:
        return "0"
    return f"{amount:,.2f}" if amount >= 100 else f"{amount:.3g}" if amount >= 1e-4 else usd(amount)


def _price(each: Outcome) -> str:
    if not each.requests:
        return "all its answers are stored: it costs nothing"
    if each.to_pay is None:
        return f"{each.requests:,} requests, at a price that is not known"
    value, low, high = (usd(amount) for amount in each.to_pay)
    return f"{each.requests:,} requests, about {value} USD ({low} to {high}) at today's price"


def _untold_lines(found: WhatIf) -> Iterator[str]:
    """One for each reason; and what would tell it."""
    by_reason: defaultdict[str, defaultdict[str, list[str]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for each in found.untold:
        votes = by_reason[each.why][each.choice.name]
        if str(each.choice.votes) not in votes:
            votes.append(str(each.choice.votes))
    for why, names in by_reason.items():
        parts = [
            f"{name} with {', '.join(votes)} votes" if why == ONE_VOTE else name
            for name, votes in names.items()
        ]
        more = f" and {len(parts) - _NAMED:,} more" if len(parts) > _NAMED else ""
        yield f"cannot be told, as {why}: {', '.join(parts[:_NAMED])}{more}"
    base = found.base
    if base is not None and base.choice.name in by_reason.get(ONE_VOTE, ()):
        few = replace(base.choice, votes=2, rows=min(_FEW, base.rows))
        yield f"two votes on {few.rows} rows would tell what more votes bring:"
        yield from (f"  {line}" for line in few.lines(found.run.config, batch=found.run.batch))


def next_step(found: WhatIf) -> tuple[str, Outcome] | None:
    """What to do, why, and what it comes to: the most accurate of what is surely better than the
    run itself; else the cheapest of what is surely as good; else the run's other rows."""
    base = found.base
    if base is None or base.score is None:
        return None
    compared = max(1, len(found.choices) - 1)
    better = [each for each in found.choices if _is_above(each, 0.0, compared)]
    if better:
        best = max(better, key=lambda each: each.against.value if each.against else 0.0)
        more = best.against and f"{100 * best.against.value:.1f} points"
        return f"{best.choice.title} is surely better, by {more}", best
    as_good = [each for each in found.choices if _is_above(each, -_EQUAL, compared)]
    cheaper = [each for each in as_good if _is_cheaper(each, base)]
    if cheaper:
        least = min(cheaper, key=lambda each: each.usd_a_row.value if each.usd_a_row else 0.0)
        return f"{least.choice.title} is as good within a point, and cheaper", least
    return f"nothing here is surely better than {base.choice.title}, or as good for less", base


def _is_above(each: Outcome, least: float, compared: int) -> bool:
    """Whether its accuracy less the run's is surely above this: of so many that are compared, the
    best looks better than it is, so each has to be surer (Bonferroni)."""
    if each.against is None:
        return False
    wider = NormalDist().inv_cdf(1 - 0.025 / compared) / Z_95
    return each.against.value - wider * (each.against.value - each.against.low) > least


def _is_cheaper(each: Outcome, base: Outcome) -> bool:
    both = each.usd_a_row, base.usd_a_row
    return both[0] is not None and both[1] is not None and both[0].high < both[1].low
