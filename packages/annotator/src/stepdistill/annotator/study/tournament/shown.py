"""A tournament as people see it: a table, sentences, CSV, Markdown, and a page with a picture."""

import csv
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from io import StringIO
from pathlib import Path

from stepdistill.annotator.study.tournament.offer_table import Offer
from stepdistill.annotator.study.tournament.report import TournamentReport
from stepdistill.common.figures import write_picture
from stepdistill.common.page import rendered

_TEMPLATES = Path(__file__).parents[1] / "templates"
_UNKNOWN = "-"
_XML = re.compile(r"^.*?(?=<svg)", re.DOTALL)  # <?xml ...?><!DOCTYPE svg ...>
LEGEND = "> what to buy, * on the efficient frontier, . left out early, of fewer rows"


@dataclass(frozen=True, slots=True)
class OfferColumn:
    """One column of the table."""

    heading: str  # with a line break where it is broken on a terminal
    shown: Callable[[Offer], str]
    is_text: bool = False


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _usd(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{value:.4f}" if value < 10 else f"{value:,.2f}"


def mark(offer: Offer) -> str:
    """What an offer is, in one character."""
    if offer.is_buy:
        return ">"
    return "*" if offer.on_frontier else "." if offer.left_out else ""


COLUMNS = (
    OfferColumn("", mark),
    OfferColumn("#", lambda o: str(o.rank)),
    OfferColumn("teacher", lambda o: o.teacher, is_text=True),
    OfferColumn("template", lambda o: o.template, is_text=True),
    OfferColumn("right\n%", lambda o: _percent(o.accuracy)),
    OfferColumn("from\n%", lambda o: _percent(o.accuracy_low)),
    OfferColumn("to\n%", lambda o: _percent(o.accuracy_high)),
    OfferColumn("rows", lambda o: f"{o.rows:,}"),
    OfferColumn("USD a\n1,000", lambda o: _usd(o.usd_per_1000_rows)),
    OfferColumn("USD a\n1,000\nright", lambda o: _usd(o.usd_per_1000_correct)),
    OfferColumn("#\nUSD", lambda o: str(o.price_rank or _UNKNOWN)),
)


def sentences(report: TournamentReport) -> list[str]:
    """What to buy and why, how sure that is, and what it took to find out."""
    return [_advice(report), _certainty(report), _left_out(report)]


def _advice(report: TournamentReport) -> str:
    buy, best = report.buy, max(report.offers, key=lambda o: (not o.left_out, o.accuracy))
    costs = (
        "at a price that is not known"
        if buy.usd_per_1000_correct is None
        else f"{_usd(buy.usd_per_1000_correct)} USD for 1,000 right ones"
    )
    why = (
        f"leaves most of {report.worth_usd:g} USD for each right label"
        if report.worth_usd is not None
        else "is the most accurate"
        if best is buy
        else f"costs least of all that are within {100 * report.margin:g} points of the most "
        f"accurate ({best.name}: {_percent(best.accuracy)} %)"
    )
    return f"Buy {buy.name}: {_percent(buy.accuracy)} % of its labels are right, {costs}; it {why}."


def _certainty(report: TournamentReport) -> str:
    chance = f"The chance that another purchase would be right is put at {report.doubt:.1%}"
    if report.is_settled:
        return f"{chance}."
    if report.share >= 0.9 * report.share_limit and report.share < 1:
        return (
            f"{chance}: not settled, and --race-share {report.share_limit:g} of the whole cost is "
            "used up. A larger one goes on from here."
        )
    return f"{chance}: not settled by these rows. A larger --test-size asks the new ones alone."


def _left_out(report: TournamentReport) -> str:
    left_out = sum(each.left_out for each in report.offers)
    asked = f"{report.share:.0%} of what asking everybody everything costs"
    if not left_out:
        return f"Race: nothing was left out early, {asked}."
    return (
        f"Race: {left_out} of {len(report.offers)} offers were left out early, {asked}. The chance "
        f"that one of them is over {100 * report.slack:g} points more accurate than all that cost "
        f"no more is put at {report.left_out_risk:.1%}."
    )


def as_csv(report: TournamentReport) -> str:
    """A line for each offer, under a line of names."""
    out = StringIO()
    rows = [asdict(each) for each in report.offers]
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def as_markdown(report: TournamentReport) -> str:
    """A page with the table."""
    return rendered(_TEMPLATES / "tournament.md.jinja", **_words(report))


def as_html(report: TournamentReport) -> str:
    """A page that needs nothing else: the picture and styles inside, no script."""
    return rendered(_TEMPLATES / "tournament.html.jinja", **_words(report), picture=_svg(report))


def _words(report: TournamentReport) -> dict[str, object]:
    return {
        "report": report,
        "columns": COLUMNS,
        "sentences": sentences(report),
        "legend": LEGEND,
        "first": _first_of(report.offers),
    }


def _first_of(offers: Sequence[Offer]) -> str:
    return offers[0].name


def _svg(report: TournamentReport) -> str:
    """The picture as part of a page; empty where no price is known."""
    # matplotlib takes half a second.
    from stepdistill.annotator.study.plots.frontier import frontier_picture

    picture = frontier_picture(report.table)
    if picture is None:
        return ""
    with tempfile.TemporaryDirectory() as folder:
        _, svg = write_picture(picture, Path(folder))
        return _XML.sub("", svg.read_text(encoding="utf-8"))
