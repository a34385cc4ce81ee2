"""An estimate as people and programs read it: tables, lines, and one JSON object."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from rich.table import Table

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.console.rates import duration
from stepdistill.annotator.console.tables import plain_table
from stepdistill.annotator.estimate.estimate import Estimate
from stepdistill.annotator.estimate.few_shot import FewShotComparison
from stepdistill.annotator.estimate.run_estimate import NamedEstimate
from stepdistill.annotator.estimate.three_points import ThreePoints
from stepdistill.annotator.money.prices import MILLION, Price
from stepdistill.annotator.money.tokens import has_encoding

_CLAIM = 0.85  # what zero-shot prompts are said to save


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimates:
    """All that `annotate estimate` was asked for."""

    day: date  # whose prices hold
    run: Estimate
    variants: dict[str, list[NamedEstimate]]  # by heading
    few_shot: FewShotComparison | None = None


def facts_of(estimates: Estimates) -> dict[str, object]:
    """The object of `--json`."""
    few = estimates.few_shot
    return {
        "price_date": estimates.day.isoformat(),
        **_facts(estimates.run),
        "variants": {
            heading: [{"name": name, **_facts(each)} for name, each in found]
            for heading, found in estimates.variants.items()
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


def _facts(run: Estimate) -> dict[str, object]:
    work, terms = run.work, run.terms
    return {
        "model": terms.model,
        "rows": work.rows,
        "stored": work.stored,
        "to_ask": work.to_ask,
        "prompt_tokens": run.prompt._asdict(),
        "answer_tokens": run.answer._asdict(),
        "online_usd": run.online_usd._asdict(),
        "batch_usd": run.batch_usd._asdict(),
        "most_usd": run.most_usd,
        "online_s": run.online_s,
        "batches": run.batches,
        "encoding": work.encoding,
        "prompt_factor": work.prompt_factor,
        "prices": {"online": _price_facts(terms.online), "batch": _price_facts(terms.batch)},
        "lines": [
            {
                name: value._asdict() if isinstance(value, ThreePoints) else value
                for name, value in line._asdict().items()
            }
            for line in run.lines
        ],
    }


def _price_facts(price: Price) -> dict[str, object]:
    return {
        "input_usd_per_million": float(price.prompt * MILLION),
        "output_usd_per_million": float(price.completion * MILLION),
        "source": price.source,
        "since": price.since and price.since.isoformat(),
    }


def show_estimate(estimates: Estimates, output: ConsoleOutput) -> None:
    """For people."""
    run, work, terms = estimates.run, estimates.run.work, estimates.run.terms
    output.show(
        f"{work.rows:,} rows: {work.to_ask:,} requests to ask, {work.stored:,} answered by the "
        "store (free)"
    )
    output.table(_lines_table(run))
    of_day = f"as of {estimates.day}"
    output.show(f"online  {run.online_usd.usd} USD at {terms.online.stated}, {of_day}")
    output.show(f"batch   {run.batch_usd.usd} USD at {terms.batch.stated}, {of_day}")
    output.show(
        f"at most {run.most_usd:,.4f} USD online, if every answer were cut off at its limit"
    )
    output.show(f"time    {_time(run)}")
    output.show(f"tokens  {_counting(run)}")
    for line in _bases(run):
        output.show(line)
    for heading, found in estimates.variants.items():
        output.show("")
        output.table(_variants_table(heading, found))
    if estimates.few_shot is not None:
        output.show("")
        _show_few_shot(estimates.few_shot, output)


def _lines_table(run: Estimate) -> Table:
    numbers = ("stored", "to ask", "prompt tokens", "answer tokens", "online USD")
    rows = (
        (
            *(line.template, line.part, f"{line.stored:,}", f"{line.to_ask:,}"),
            *(_likely(line.prompt), _likely(line.answer), line.online_usd.usd),
        )
        for line in run.lines
    )
    return plain_table(("template", "for"), numbers, rows)


def _variants_table(heading: str, found: list[NamedEstimate]) -> Table:
    numbers = ("to ask", "prompt tokens", "answer tokens", "online USD", "batch USD")
    rows = (
        (
            *(name, f"{each.work.to_ask:,}", _likely(each.prompt), _likely(each.answer)),
            *(each.online_usd.usd, f"{each.batch_usd.likely:,.4f}"),
        )
        for name, each in found
    )
    return plain_table((heading,), numbers, rows)


def _bases(run: Estimate) -> Iterator[str]:
    """Where the length of answers is known from, and of which templates."""
    templates: dict[str, dict[str, None]] = {}
    for line in run.lines:
        if line.to_ask:
            templates.setdefault(line.basis, {})[line.template] = None
    for basis, names in templates.items():
        yield f"length of answers {basis} ({', '.join(names)})"


def _show_few_shot(few: FewShotComparison, output: ConsoleOutput) -> None:
    compared = {
        "zero-shot": few.zero,
        f"{few.shots}-shot": few.few,
        f"{few.shots}-shot, equal answers": few.alike,
    }
    numbers = ("prompt tokens a row", "of an answer", "online USD", "for 1,000 rows")
    rows = ((name, *_costs_of_rows(each)) for name, each in compared.items())
    output.table(plain_table(("the same rows",), numbers, rows))
    for saved, how in (
        (few.saved, "where few-shot answers are as long as those of the examples"),
        (few.saved_alike, "where all answers are equally long"),
    ):
        if saved is not None:
            held = "at least the" if saved >= _CLAIM else "less than the"
            claim = f"{held} {_percent(_CLAIM)} claimed"
            output.show(f"zero-shot costs {_percent(saved)} less {how}: {claim}")


def _costs_of_rows(run: Estimate) -> tuple[str, ...]:
    """Tokens of a row's prompt and answer; USD for all rows, and for a thousand."""
    rows = max(1, run.work.rows)
    tokens = (f"{each.times(1 / rows).likely:,.1f}" for each in (run.prompt, run.answer))
    a_thousand = run.online_usd.times(1000 / rows).likely
    return (*tokens, run.online_usd.usd, f"{a_thousand:,.4f}")


def _percent(share: float) -> str:
    return f"{100 * share:.1f}".removesuffix(".0") + " %"


def _likely(span: ThreePoints) -> str:
    return f"{span.likely:,.0f}"


def _time(run: Estimate) -> str:
    batches = f"{run.batches} batch{'' if run.batches == 1 else 'es'}, each within 24 h or expired"
    if run.online_s is None:
        limits = "give --requests-per-minute or --tokens-per-minute to know it online"
        return f"{limits}; {batches}"
    return f"online at least {duration(run.online_s)} at these limits; {batches}"


def _counting(run: Estimate) -> str:
    """How tokens were counted, and how far that may be off."""
    low, likely, high = run.prompt
    error = (high - low) / 2 / likely if likely else 0.0
    exact = f"within {_percent(error)} for the sample of prompts" if error else "every prompt"
    counted = f"counted with {run.work.encoding}, {exact}"
    model, factor = run.terms.model, run.work.prompt_factor
    if factor != 1:
        return f"{counted}, and x {factor:.3f}: so the teacher counted the stored ones"
    if not has_encoding(model):
        return f"{counted}, which is not {model}'s own: expect 10 to 20 % more or less"
    return counted
