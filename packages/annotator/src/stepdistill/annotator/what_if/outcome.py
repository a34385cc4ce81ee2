"""What choices come to, by the answers that the store has: nobody is asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate

import numpy as np

from stepdistill.annotator.what_if.answered import Answered, Bools
from stepdistill.annotator.what_if.choices import RunChoice
from stepdistill.annotator.what_if.estimates import (
    Interval,
    RowMean,
    RowValues,
    WeightedPart,
    amount_interval,
    difference_interval,
    mean_of,
    predicted_count,
    predicted_total,
    ratio_interval,
    share_interval,
)
from stepdistill.annotator.what_if.known import KnownRows, known_of, of_known
from stepdistill.annotator.what_if.more_votes import (
    RIGHT,
    UNREAD,
    Bounded,
    Seen,
    more_votes,
)

FEWEST = 10  # rows that something is told from
ONE_VOTE = "one vote is stored"
_MARGIN = 1.05  # of a further round of asking for reasons, as a run has it
_FEWEST_COSTS = 2  # rows that a mean cost and its interval are told from
_Means = tuple[RowMean, RowMean, RowMean]  # at the least, likely, at the most
_Bounds = tuple[RowValues, RowValues, RowValues]  # likewise


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a choice comes to. Shares are 0 to 1 and of rows like those that were answered; USD as
    the answers were priced on their day.

    predicted: more votes than are stored, by how the stored ones agree. known: rows of the choice
    whose answers are all stored; judged: rows that its accuracy is from, those with gold, or that
    its agreement is from. agreement: how often one more answer to the row says the same, where the
    store has one. reasons: share of its records that have reasons. right, usd: of all `rows`, with
    those that are known as they are. against: its accuracy less that of the run, on rows that both
    have. requests: still to be asked; to_pay: what these would cost today.
    """

    choice: RunChoice
    predicted: bool
    rows: int
    known: int
    judged: int
    accuracy: Interval | None
    agreement: Interval | None
    kept: Interval
    reasons: float
    right: Interval | None
    usd_a_row: Interval | None
    usd: Interval | None
    usd_per_right: Interval | None
    tokens_a_row: float | None
    against: Interval | None
    requests: int
    to_pay: Interval | None
    efficient: bool = False

    @property
    def score(self) -> Interval | None:
        """What it is judged by: accuracy, without gold agreement."""
        return self.accuracy or self.agreement


@dataclass(frozen=True, slots=True, kw_only=True)
class Untold:
    """A choice that the store's answers tell nothing of, and why; template: that lacks them."""

    choice: RunChoice
    template: str
    why: str


@dataclass(frozen=True)
class Weighing:
    """One choice, weighed. basis: by template how many stored votes of a row it is told from; only:
    the rows that it is told from, None for all."""

    answered: Answered
    choice: RunChoice
    basis: dict[str, int]
    only: Bools | None = None
    _columns: dict[tuple[str, str], _Bounds] = field(
        default_factory=dict[tuple[str, str], _Bounds], init=False, repr=False, compare=False
    )

    @property
    def predicted(self) -> bool:
        """Whether some template lacks votes."""
        return any(stored < self.choice.votes for stored in self.basis.values())

    def _of(self, column: RowValues) -> RowValues:
        return column if self.only is None else column.where(self.only[column.rows])

    def column(self, template: str, name: str) -> _Bounds:
        """A share of rows of one template, at the least, likely, and at the most."""
        if (template, name) not in self._columns:
            self._columns[template, name] = self._column(template, name)
        return self._columns[template, name]

    def _column(self, template: str, name: str) -> _Bounds:
        asked, stored = self.answered.asked[template], self.basis[template]
        column = self._of(asked.column(name, stored))
        is_right = name == "right"
        if is_right:
            column = column.where(self.answered.has_gold[column.rows])
        if stored >= self.choice.votes or name not in ("right", "kept") or not len(column.rows):
            return column, column, column
        seen = asked.seen[np.isin(asked.rows, column.rows)][:, :stored]
        if not is_right and (seen != UNREAD).all():
            return column, column, column  # whatever is read elects a label
        low, likely, high = self._more_votes(seen, right=is_right)
        # Filters reject some of what votes elect: as many as of the stored votes.
        elected = float(np.mean([_elects(row, right=is_right) for row in seen.tolist()]))
        kept = min(1.0, float(column.values.mean()) / elected) if elected else 1.0
        rows = column.rows
        return (
            RowValues(rows, low * kept),
            RowValues(rows, likely * kept),
            RowValues(rows, high * kept),
        )

    def _more_votes(self, seen: Seen, *, right: bool) -> Bounded:
        return more_votes(seen, self.choice.votes, self.answered.n_labels, right=right)

    def means(self, name: str, shares: Mapping[str, float] | None = None) -> _Means | None:
        """A share of rows; None where too few tell it. shares: of the templates, where these are
        not as the mix has them."""
        parts: tuple[list[WeightedPart], list[WeightedPart], list[WeightedPart]] = [], [], []
        for template, share in (shares or self.choice.labels).items():
            columns = self.column(template, name)
            if len(columns[0].rows) < (FEWEST if self.only is None else 1):
                return None
            for each, column in zip(parts, columns, strict=True):
                each.append(WeightedPart(share, column))
        low, likely, high = (mean_of(each, self.answered.n_rows) for each in parts)
        return low, likely, high

    def cost(self, name: str, shares: Mapping[str, float] | None = None) -> RowMean | None:
        """USD or tokens of a row's votes; None where they are not known. shares: as above."""
        parts: list[WeightedPart] = []
        for template, share in (shares or self.choice.labels).items():
            stored = self.basis[template]
            rows, values = self._of(self.answered.asked[template].cost(name, stored))
            parts.append(WeightedPart(share, RowValues(rows, values * self.choice.votes / stored)))
        return _amount(parts, self.answered.n_rows)

    def cost_of_reasons(self, name: str, shares: Mapping[str, float]) -> RowMean | None:
        """The same of what is asked for reasons alone. shares: of the rows that are asked, by
        template."""
        parts = [
            WeightedPart(share, self._of(self.answered.explained[template].column(name)))
            for template, share in shares.items()
        ]
        return _amount(parts, self.answered.n_rows)

    def cost_of_row(self, name: str) -> RowMean | None:
        """Both, of a row in the mean."""
        labels, reasons = self.cost(name), None
        if self.choice.reasons and self.below > 0:
            shares = {name: share * self.below for name, share in self.choice.reasons.items()}
            reasons = self.cost_of_reasons(name, shares)
            return labels and reasons and labels.plus(reasons)
        return labels

    @cached_property
    def kept(self) -> _Means:
        """The share of rows that become records."""
        found = self.means("kept")
        assert found is not None  # a basis has rows
        return found

    @cached_property
    def below(self) -> float:
        """Up to which of the rows' numbers reasons alone are asked for, as a run's rounds do."""
        rate = below = self.choice.rate
        if not self.choice.reasons or rate >= 1:
            return 1.0
        wanted = rate * self.kept[1].value
        while 0 < below < 1 and (found := self._with_reasons(below)) < wanted:
            below = min(1.0, below * max(1.0, wanted / max(found, 1e-9)) * _MARGIN)
        return below

    def _with_reasons(self, below: float) -> float:
        """The share of rows whose record has reasons."""
        found = 0.0
        for pair, share in self.choice.pairs.items():
            asked, stored = self.answered.asked[pair.label], self.basis[pair.label]
            if pair.rationale == pair.label:
                found += share * float(asked.column("with_reasons", stored).values.mean())
            elif pair.rationale is not None:
                has = self.answered.explained[pair.rationale].has.mean()
                found += share * below * float(has * asked.column("kept", stored).values.mean())
        return found

    @property
    def reasons(self) -> float:
        """The share of records that have reasons."""
        kept = self.kept[1].value
        most = min(1.0, self._with_reasons(self.below) / kept) if kept else 0.0
        return min(most, self.choice.rate)


def _amount(parts: Sequence[WeightedPart], n_rows: int) -> RowMean | None:
    if any(len(part.column.rows) < _FEWEST_COSTS for part in parts):
        return None
    return mean_of(parts, n_rows, is_share=False)


def _elects(row: list[int], *, right: bool) -> bool:
    """Whether the stored votes by themselves elect the right label, or any."""
    said = [label for label in row if label != UNREAD]
    return bool(said) and (not right or max(dict.fromkeys(said), key=said.count) == RIGHT)


def weigh(answered: Answered, choice: RunChoice) -> Weighing | Untold:
    """A choice made ready, or why it cannot be told."""
    basis: dict[str, int] = {}
    for template in choice.labels:
        asked = answered.asked.get(template)
        if asked is None:
            return Untold(choice=choice, template=template, why="no answer is stored")
        has_gold = answered.has_gold[asked.rows]
        counts = asked.stored[has_gold] if has_gold.any() else asked.stored
        enough = [n for n in range(1, choice.votes + 1) if (counts >= n).sum() >= FEWEST]
        if not enough:
            few = f"fewer than {FEWEST} rows have an answer to judge by"
            return Untold(choice=choice, template=template, why=few)
        most = enough[-1]
        if most < choice.votes and (most == 1 or not has_gold.any()):
            why = ONE_VOTE if most == 1 else f"only {most} votes are stored, and no row has gold"
            return Untold(choice=choice, template=template, why=why)
        basis[template] = most
    for template in choice.reasons:
        explained = answered.explained.get(template)
        if explained is None or len(explained.rows) < FEWEST:
            why = "no answer with reasons alone is stored"
            return Untold(choice=choice, template=template, why=why)
    return Weighing(answered, choice, basis)


def outcome_of(weighing: Weighing, base: Weighing | None = None) -> Outcome:
    """What a choice comes to. base: the run that it is held against."""
    answered, choice = weighing.answered, weighing.choice
    known = known_of(answered, choice, weighing.below)
    if choice.rows is not None and FEWEST <= known.answered == known.rows:
        # What a run of so many rows would have known itself.
        weighing = replace(weighing, only=known.taken)
    right = weighing.means("right") if answered.has_gold.any() else None
    agrees = None if weighing.predicted else weighing.means("agrees")
    usd, tokens = weighing.cost_of_row("usd"), weighing.cost_of_row("tokens")
    judged = right or agrees
    return Outcome(
        choice=choice,
        predicted=weighing.predicted,
        rows=known.rows,
        known=known.answered,
        judged=judged[1].rows if judged else 0,
        accuracy=right and _share(right),
        agreement=agrees and _share(agrees),
        kept=_share(weighing.kept),
        reasons=weighing.reasons,
        right=right and _right(weighing, known),
        usd_a_row=usd and amount_interval(usd),
        usd=usd and _total(weighing, known),
        usd_per_right=usd and right and _per_right(usd, right),
        tokens_a_row=tokens and tokens.value,
        against=None if base is None else _against(weighing, base),
        requests=round(known.to_ask),
        to_pay=_to_pay(weighing, known, usd),
    )


def _share(means: _Means) -> Interval:
    low, likely, high = (share_interval(each) for each in means)
    return Interval(likely.value, min(low.low, likely.value), max(high.high, likely.value))


def _right(weighing: Weighing, known: KnownRows) -> Interval | None:
    """Right labels among all rows; whether a row without gold is right is not known."""
    answered = weighing.answered
    is_told = known.is_known & answered.has_gold
    right = int(of_known(answered, known, "right", weighing.choice.votes)[is_told].sum())
    rest, shares = known.rest(is_told, weighing.choice.labels)
    means = weighing.means("right", shares)
    return means and predicted_count(right, round(rest), means)


def _total(weighing: Weighing, known: KnownRows) -> Interval | None:
    """USD of all rows: labels, and reasons alone."""
    costs = of_known(weighing.answered, known, "usd", weighing.choice.votes)
    # Of a known row whose tokens nobody counted, the cost is as that of a row to be asked.
    is_counted = known.is_known & ~np.isnan(costs)
    rest, shares = known.rest(is_counted, weighing.choice.labels)
    usd = weighing.cost("usd", shares)
    found = usd and predicted_total(float(costs[is_counted].sum()), rest, usd)
    for template, (wanted, stored) in known.explained.items():
        rows, values = weighing.answered.explained[template].column("usd")
        each = weighing.cost_of_reasons("usd", {template: 1.0})
        if found is None or each is None:
            return None
        has = stored[rows]
        more = predicted_total(float(values[has].sum()), max(0.0, wanted - has.sum()), each)
        found = Interval(*(one + other for one, other in zip(found, more, strict=True)))
    return found


def _per_right(usd: RowMean, right: _Means) -> Interval | None:
    """USD of a right label: between the bounds of the share, where it is predicted."""
    found = [ratio_interval(usd, each) for each in right]
    low, likely, high = found
    if likely is None:
        return None
    most = likely.high if low is None else max(low.high, likely.high)
    return Interval(likely.value, min(likely.low, likely.low if high is None else high.low), most)


def _against(one: Weighing, other: Weighing) -> Interval | None:
    """The one's accuracy less the other's: on the rows that both have, where each is of one
    template and there are enough of them."""
    means = one.means("right"), other.means("right")
    if means[0] is None or means[1] is None:
        return None
    if len(one.basis) == len(other.basis) == 1:
        own, others = _rows_of(one), _rows_of(other)
        both = own & others
        if both.sum() >= FEWEST and (own ^ others).any():
            one, other = replace(one, only=both), replace(other, only=both)
            means = one.means("right"), other.means("right")
    if means[0] is None or means[1] is None:
        return None
    each = [difference_interval(mean.less(means[1][1])) for mean in means[0]]
    return Interval(each[1].value, min(one.low for one in each), max(one.high for one in each))


def _rows_of(weighing: Weighing) -> Bools:
    """The rows with gold that it is told from."""
    ((template, votes),) = weighing.basis.items()
    answered = weighing.answered
    is_asked = np.zeros(answered.n_rows, dtype=np.bool_)
    is_asked[answered.asked[template].column("right", votes).rows] = True
    return is_asked & answered.has_gold


def _to_pay(weighing: Weighing, known: KnownRows, usd: RowMean | None) -> Interval | None:
    """What is still to be asked, at today's price: as uncertain as the cost of a row."""
    answered, total = weighing.answered, 0.0
    pieces = [(answered.asked[name].spent, n) for name, n in known.missing.items()]
    pieces += [
        (answered.explained[name].spent, wanted - int(stored.sum()))
        for name, (wanted, stored) in known.explained.items()
    ]
    for spent, requests in pieces:
        each = spent.today_each
        if each is None and requests:
            return None
        total += (each or 0.0) * requests
    if usd is None or usd.value <= 0:
        return Interval(total, total, total)
    whole = amount_interval(usd)
    return Interval(total, total * whole.low / usd.value, total * whole.high / usd.value)


def with_frontier(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The same, with those marked than which no other is as cheap and as good."""
    told = [each for each in outcomes if each.score is not None and _price_of(each) is not None]
    told.sort(key=lambda each: (_price_of(each) or 0.0, -_value(each)))
    bests = accumulate((_value(each) for each in told), max, initial=-1.0)
    best = {id(each) for each, before in zip(told, bests, strict=False) if _value(each) > before}
    return [replace(each, efficient=id(each) in best) for each in outcomes]


def _value(outcome: Outcome) -> float:
    return outcome.score.value if outcome.score else 0.0


def _price_of(outcome: Outcome) -> float | None:
    """USD of a row; of what is free, or of no known price, its tokens."""
    usd = outcome.usd_a_row
    return usd.value if usd is not None and usd.value > 0 else outcome.tokens_a_row
