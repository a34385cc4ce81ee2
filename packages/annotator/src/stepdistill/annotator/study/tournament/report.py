"""What a tournament found: every offer with accuracy and price, the frontier, and what to buy."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from shlex import join

import numpy as np

from stepdistill.annotator.errors import RowsUnanswered
from stepdistill.annotator.run.next_commands import run_command
from stepdistill.annotator.settings.rows import known_tasks
from stepdistill.annotator.settings.run import STORE
from stepdistill.annotator.settings.study import ExperimentSettings
from stepdistill.annotator.settings.teacher import addresses_in
from stepdistill.annotator.study.ranking import PairedComparison
from stepdistill.annotator.study.score import total_usd
from stepdistill.annotator.study.tournament.draws import RowResults, usd_per_correct
from stepdistill.annotator.study.tournament.offer_table import Offer, OfferTable
from stepdistill.annotator.study.tournament.offers import PricedTeacher, Rival
from stepdistill.annotator.study.tournament.run import Tournament, usd_of
from stepdistill.common.errors import DistillError
from stepdistill.common.intervals import wilson

_THOUSAND = 1000
_INTERVAL = (0.025, 0.975)
Range = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherBill:
    """What asking one teacher came to."""

    teacher: str
    asked: int
    cached: int
    usd: float | None  # None: no price is known
    dropped_out: str | None  # why, in words


@dataclass(frozen=True, slots=True, kw_only=True)
class TournamentReport:
    """What a tournament found."""

    task: str
    split: str
    seed: int | None
    n_rows: int
    remarks: list[str]
    offers: list[Offer]  # the most accurate first, those left out behind
    margin: float
    worth_usd: float | None
    doubt: float  # chance that another purchase would be right
    is_settled: bool
    left_out_risk: float  # chance that a left out one belonged to the frontier
    slack: float  # by which it would have to be more accurate than those who cost no more
    share: float  # of what asking everybody everything would cost
    share_limit: float
    bills: list[TeacherBill]
    command: str  # all rows, asked of the one to buy
    metadata: Path
    right_is: str = ""
    error: DistillError | None = None  # why it is not whole, though it is shown

    @property
    def buy(self) -> Offer:
        """What to buy."""
        return next(each for each in self.offers if each.is_buy)

    @property
    def table(self) -> OfferTable:
        """All offers, as they are kept and drawn."""
        return OfferTable(
            task=self.task, split=self.split, seed=self.seed, offers=tuple(self.offers)
        )

    @property
    def spent_usd(self) -> float | None:
        """By this run; None: some price is not known."""
        return total_usd(each.usd for each in self.bills)


def report_of(settings: ExperimentSettings, tournament: Tournament) -> TournamentReport:
    """The report. The race has asked something."""
    race, rivals = tournament.race, tournament.entered.rivals
    first = rivals[0].trial
    offers = _with_comparisons(_ranked(_offers(tournament)), tournament)
    place = next(n for n, each in enumerate(offers) if each.is_buy)
    contender = tournament.contenders[race.buy]
    way = next(each for each in contender.rival.ways if each.name == offers[place].teacher)
    return TournamentReport(
        task=settings.task,
        split=first.setting.split,
        seed=first.setting.seed,
        n_rows=race.n_rows,
        remarks=list(tournament.entered.remarks),
        offers=offers,
        margin=race.rules.buy.margin,
        worth_usd=race.rules.buy.worth_usd,
        doubt=race.doubt,
        is_settled=race.is_settled,
        left_out_risk=race.left_out_risk,
        slack=race.rules.buy.slack,
        share=race.share,
        share_limit=race.rules.share,
        bills=[_bill(tournament, rival) for rival in rivals],
        command=_command(settings, way, contender.template),
        metadata=settings.metadata,
        right_is=first.right_is,
        error=_error(tournament),
    )


def facts(report: TournamentReport) -> dict[str, object]:
    """The object of `--json`."""
    return {
        "task": report.task,
        "split": report.split,
        "seed": report.seed,
        "rows": report.n_rows,
        "remarks": report.remarks,
        **({"right_is": report.right_is} if report.right_is else {}),
        "rule": {"margin": report.margin, "worth_usd": report.worth_usd},
        "buy": asdict(report.buy),
        "settled": report.is_settled,
        "chance_of_another_buy": report.doubt,
        "chance_of_a_dropped_frontier_offer": report.left_out_risk,
        "slack": report.slack,
        "share": report.share,
        "frontier": [each.name for each in report.table.frontier],
        "offers": [asdict(each) for each in report.offers],
        "teachers": [asdict(each) for each in report.bills],
        "asked": sum(each.asked for each in report.bills),
        "cached": sum(each.cached for each in report.bills),
        "cost_usd": report.spent_usd,
        "incomplete": None if report.error is None else str(report.error),
        "metadata": str(report.metadata),
        "command": report.command,
    }


def _offers(tournament: Tournament) -> list[Offer]:
    race, found = tournament.race, list[Offer]()
    for name, results in race.results.items():
        contender = tournament.contenders[name]
        cheapest = _cheapest(tournament, name)
        for way in contender.rival.ways:
            usd = usd_of(tournament.usages[name], way.price)
            each = _offer(tournament, name, way, RowResults(correct=results.correct, usd=usd))
            found.append(replace(each, is_buy=name == race.buy and way is cheapest))
    return found


def _cheapest(tournament: Tournament, name: str) -> PricedTeacher:
    """The way in which a contender costs least; the first of equals."""
    usages = tournament.usages[name]

    def cost(way: PricedTeacher) -> float:
        usd = usd_of(usages, way.price)
        return float("inf") if usd is None else sum(usd)

    return min(tournament.contenders[name].rival.ways, key=cost)


def _offer(tournament: Tournament, name: str, way: PricedTeacher, results: RowResults) -> Offer:
    contender, scored = tournament.contenders[name], tournament.scored[name]
    score, rows, right = scored.score, results.rows, sum(results.correct)
    low, high = wilson(right, rows)
    mean, seed = results.mean_usd, tournament.race.rules.seed
    span: tuple[float | None, float | None] = (None, None)
    if mean is not None:
        drawn = usd_per_correct([results], seed)
        of_one = [float(each) for each in np.quantile(drawn, _INTERVAL)]
        span = (_THOUSAND * of_one[0], _THOUSAND * of_one[1])
    return Offer(
        teacher=way.name,
        model=way.spec.model,
        server=contender.rival.trial.setting.server,
        effort=way.config.effort,
        service=way.named.service or way.config.tier,
        template=contender.template,
        rows=rows,
        unanswered=rows - score.rows,
        correct=right,
        accuracy=right / rows,
        accuracy_low=low,
        accuracy_high=high,
        parse_rate=score.parse_rate,
        usd_per_1000_rows=None if mean is None else _THOUSAND * mean,
        usd_per_1000_correct=None if mean is None or not right else _THOUSAND * mean * rows / right,
        usd_per_1000_correct_low=span[0],
        usd_per_1000_correct_high=span[1],
        left_out=name in tournament.race.left_out,
    )


def _ranked(offers: Sequence[Offer]) -> list[Offer]:
    """In order, with ranks, and with who is on the frontier."""
    ordered = sorted(offers, key=lambda o: (o.left_out, -o.accuracy, o.usd_or_inf, o.name))
    by_price = sorted(
        (o for o in ordered if o.usd_per_1000_correct is not None),
        key=lambda o: o.usd_per_1000_correct or 0.0,
    )
    places = {each.name: place for place, each in enumerate(by_price, 1)}
    whole = [each for each in ordered if not each.left_out and each.usd_per_1000_rows is not None]
    found = list[Offer]()
    for rank, each in enumerate(ordered, 1):
        beaten = next((o for o in whole if _beats(o, each)), None)
        found.append(
            replace(
                each,
                rank=rank,
                price_rank=places.get(each.name),
                on_frontier=each in whole and beaten is None,
                beaten_by=beaten.name if beaten else None,
            )
        )
    return found


def _beats(one: Offer, other: Offer) -> bool:
    """Whether the one costs no more and is as accurate, and better in either."""
    if one is other or other.usd_per_1000_rows is None:
        return False
    if one.accuracy < other.accuracy or one.usd_or_inf > other.usd_or_inf:
        return False
    return (one.accuracy, -one.usd_or_inf, other.name) > (
        other.accuracy,
        -other.usd_or_inf,
        one.name,
    )


def _with_comparisons(offers: Sequence[Offer], tournament: Tournament) -> list[Offer]:
    """Each against the one to buy, on the rows that both answered."""
    leader = tournament.scored[tournament.race.buy].correct
    found = list[Offer]()
    for each in offers:
        name = _contender(tournament, each)
        if name == tournament.race.buy:
            found.append(each)
            continue
        pair = PairedComparison.of(tournament.scored[name].correct, leader)
        low, high = pair.interval
        found.append(
            replace(each, difference=pair.difference, difference_low=low, difference_high=high)
        )
    return found


def _contender(tournament: Tournament, offer: Offer) -> str:
    return next(
        name
        for name, each in tournament.contenders.items()
        if each.template == offer.template
        and any(way.name == offer.teacher for way in each.rival.ways)
    )


def _bill(tournament: Tournament, rival: Rival) -> TeacherBill:
    each, why = tournament.progress.get(rival.name, []), tournament.dropped_out.get(rival.name)
    return TeacherBill(
        teacher=rival.name,
        asked=sum(progress.asked for progress in each),
        cached=sum(progress.cached for progress in each),
        usd=tournament.spent_usd(rival),
        dropped_out=None if why is None else str(why),
    )


def _command(settings: ExperimentSettings, way: PricedTeacher, template: str) -> str:
    config = way.config
    given = [
        ("--effort", config.effort),
        ("--tier", None if way.named.is_batch else config.tier),
        ("--split", None if config.splits == ("train",) else config.splits[0]),
        ("--store", None if settings.store == STORE.store else str(settings.store)),
        ("--prompts", None if settings.prompts == known_tasks() else str(settings.prompts)),
        ("--providers", None if settings.providers is None else str(settings.providers)),
    ]
    more = [word for name, value in given if value for word in (name, value)]
    batch = ["--batch-api"] if way.named.is_batch else []
    addresses = addresses_in(config.base_url)
    start = run_command(settings.task, config.teacher, template, config.data, addresses)
    return " ".join([start, *([join([*more, *batch])] if more or batch else [])])


def _error(tournament: Tournament) -> DistillError | None:
    if tournament.ceiling is not None:
        return tournament.ceiling
    if not tournament.dropped_out:
        return None
    n, names = len(tournament.entered.rivals), list(tournament.dropped_out)
    first = tournament.dropped_out[names[0]]
    return RowsUnanswered(
        f"{len(names)} of {n} teachers dropped out, and the others were judged without: "
        f"{names[0]}: {first}{_and_others(names[1:])}; the same command asks again"
    )


def _and_others(names: Iterable[str]) -> str:
    more = ", ".join(names)
    return f" (so did {more})" if more else ""
