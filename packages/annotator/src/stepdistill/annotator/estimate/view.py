"""An estimate as people and programs read it: tables, lines, and one JSON object."""

from dataclasses import asdict, dataclass
from datetime import date

from rich.table import Table

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.estimate.estimate import Estimate
from stepdistill.annotator.estimate.few_shot import FewShotComparison
from stepdistill.annotator.estimate.span import Span
from stepdistill.annotator.money.prices import Price
from stepdistill.annotator.money.tokens import has_encoding

_USD = "{:,.4f}"
_HOUR_S, _MINUTE_S = 3600, 60
CLAIM = 0.85


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """All that `annotate estimate` was asked for. variants: heading -> estimates by name."""

    day: date
    run: Estimate
    variants: dict[str, list[tuple[str, Estimate]]]
    few_shot: FewShotComparison | None = None


def facts_of(answered: Answered) -> dict[str, object]:
    """The object of `--json`."""
    few = answered.few_shot
    return {
        "price_date": answered.day.isoformat(),
        **_facts(answered.run),
        "variants": {
            heading: [{"name": name, **_facts(each)} for name, each in found]
            for heading, found in answered.variants.items()
        },
        "few_shot": few
        and {
            "shots": few.shots,
            "zero_shot": _facts(few.zero),
            "few_shot": _facts(few.few),
            "few_shot_with_zero_shot_answers": _facts(few.alike),
            "saved": few.saved,
            "saved_with_equal_answers": few.saved_alike,
        },
    }


def show_estimate(answered: Answered, screen: ConsoleOutput) -> None:
    """For people."""
    run = answered.run
    screen.show(
        f"{run.rows:,} rows: {run.to_ask:,} requests to ask, {run.stored:,} answered by the store "
        "(free)"
    )
    screen.table(_lines_table(run))
    for mode, price, usd in (
        ("online", run.online, run.online_usd),
        ("batch", run.batch, run.batch_usd),
    ):
        screen.show(f"{mode:7} {usd.stated(_USD)} USD at {price.stated}, as of {answered.day}")
    screen.show(
        f"at most {run.most_usd:,.4f} USD online, if every answer were cut off at its limit"
    )
    screen.show(_time(run))
    screen.show(_counting(run))
    for basis, names in _bases(run).items():
        screen.show(f"length of answers {basis} ({', '.join(names)})")
    for heading, found in answered.variants.items():
        screen.show("")
        screen.table(_variants_table(heading, found))
    if answered.few_shot is not None:
        screen.show("")
        _show_few_shot(answered.few_shot, screen)


def _bases(run: Estimate) -> dict[str, list[str]]:
    """Where the length of answers is known from -> of which templates."""
    found: dict[str, dict[str, None]] = {}
    for line in run.lines:
        if line.to_ask:
            found.setdefault(line.basis, {})[line.template] = None
    return {basis: list(names) for basis, names in found.items()}


def _lines_table(run: Estimate) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("template", "for"):
        table.add_column(name, no_wrap=True)
    for name in ("stored", "to ask", "prompt tokens", "answer tokens", "online USD"):
        table.add_column(name, justify="right", no_wrap=True)
    for line in run.lines:
        tokens = (_likely(line.prompt), _likely(line.answer))
        counts = (f"{line.stored:,}", f"{line.to_ask:,}")
        table.add_row(line.template, line.part, *counts, *tokens, line.online_usd.stated(_USD))
    return table


def _variants_table(heading: str, found: list[tuple[str, Estimate]]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(heading, no_wrap=True)
    for name in ("to ask", "prompt tokens", "answer tokens", "online USD", "batch USD"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, each in found:
        counts = (f"{each.to_ask:,}", _likely(each.prompt), _likely(each.answer))
        batch = _USD.format(each.batch_usd.likely)
        table.add_row(name, *counts, each.online_usd.stated(_USD), batch)
    return table


def _show_few_shot(few: FewShotComparison, screen: ConsoleOutput) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("the same rows", no_wrap=True)
    for name in ("prompt tokens a row", "of an answer", "online USD", "for 1,000 rows"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, each in (
        ("zero-shot", few.zero),
        (f"{few.shots}-shot", few.few),
        (f"{few.shots}-shot, equal answers", few.alike),
    ):
        rows = max(1, each.rows)
        tokens = (each.prompt.times(1 / rows), each.answer.times(1 / rows))
        usd = each.online_usd
        cells = (usd.stated(_USD), _USD.format(usd.times(1000 / rows).likely))
        table.add_row(name, *(f"{each.likely:,.1f}" for each in tokens), *cells)
    screen.table(table)
    for saved, how in (
        (few.saved, "where few-shot answers are as long as those of the examples"),
        (few.saved_alike, "where all answers are equally long"),
    ):
        if saved is not None:
            verdict = "at least the" if saved >= CLAIM else "less than the"
            screen.show(
                f"zero-shot costs {_percent(saved)} less {how}: {verdict} {_percent(CLAIM)} claimed"
            )


def _percent(share: float) -> str:
    return f"{100 * share:.1f}".removesuffix(".0") + " %"


def _likely(span: Span) -> str:
    return f"{span.likely:,.0f}"


def _time(run: Estimate) -> str:
    batches = f"{run.batches} batch{'' if run.batches == 1 else 'es'}, each within 24 h or expired"
    if run.online_s is None:
        limits = "give --requests-per-minute or --tokens-per-minute to know it online"
        return f"time    {limits}; {batches}"
    return f"time    online at least {_span(run.online_s)} at these limits; {batches}"


def _span(seconds: float) -> str:
    if seconds < 2 * _MINUTE_S:
        return f"{seconds:,.0f} s"
    if seconds < 2 * _HOUR_S:
        return f"{seconds / _MINUTE_S:,.0f} min"
    return f"{seconds / _HOUR_S:,.1f} h"


def _counting(run: Estimate) -> str:
    low, likely, high = run.prompt
    error = (high - low) / 2 / likely if likely else 0.0
    exact = f"within {_percent(error)} for the sample of prompts" if error else "every prompt"
    said = f"tokens  counted with {run.encoding}, {exact}"
    if run.prompt_factor != 1:
        return f"{said}, and x {run.prompt_factor:.3f}: so the teacher counted the stored ones"
    if not has_encoding(run.model):
        return f"{said}, which is not {run.model}'s own: expect 10 to 20 % more or less"
    return said


def _facts(run: Estimate) -> dict[str, object]:
    return {
        "model": run.model,
        "rows": run.rows,
        "stored": run.stored,
        "to_ask": run.to_ask,
        "prompt_tokens": _span_facts(run.prompt),
        "answer_tokens": _span_facts(run.answer),
        "online_usd": _span_facts(run.online_usd),
        "batch_usd": _span_facts(run.batch_usd),
        "most_usd": run.most_usd,
        "online_s": run.online_s,
        "batches": run.batches,
        "encoding": run.encoding,
        "prompt_factor": run.prompt_factor,
        "prices": {"online": _price_facts(run.online), "batch": _price_facts(run.batch)},
        "lines": [_line_facts(asdict(line)) for line in run.lines],
    }


def _line_facts(fields: dict[str, object]) -> dict[str, object]:
    return {
        name: _span_facts(value) if isinstance(value, Span) else value
        for name, value in fields.items()
    }


def _span_facts(span: Span) -> dict[str, float]:
    return {"low": span.low, "likely": span.likely, "high": span.high}


def _price_facts(price: Price) -> dict[str, object]:
    return {
        "input_usd_per_million": float(price.prompt * 1_000_000),
        "output_usd_per_million": float(price.completion * 1_000_000),
        "source": price.source,
        "since": price.since and price.since.isoformat(),
    }
