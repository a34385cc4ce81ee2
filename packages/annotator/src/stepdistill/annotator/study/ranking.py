"""Templates in order of accuracy, each compared with the leader on the rows that both answered.

The leader is chosen by the very rows it is compared on, so its lead is flattered a little; the
intervals say how much of it may be luck.
"""

from collections.abc import Collection
from dataclasses import dataclass

from stepdistill.annotator.study.score_template import Scored
from stepdistill.annotator.study.statistics import holm, mcnemar


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedComparison:
    """A template against the leader, on the rows that both answered.

    difference: of the accuracies, negative when the leader is better. p: McNemar's exact,
    p_holm: corrected for the number of templates.
    """

    rows: int
    difference: float
    only_leader_right: int
    only_this_right: int
    p: float
    p_holm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    """One template's place; the leader is compared with nobody."""

    rank: int
    scored: Scored
    against_leader: PairedComparison | None


def rank(scored: list[Scored], stopped: Collection[str] = ()) -> list[Rank]:
    """Best accuracy first; among equals the cheaper one. Those that a race stopped come last."""
    if not scored:
        return []
    best_first = sorted(scored, key=_best_first)
    leader, *others = sorted(best_first, key=lambda each: each.template in stopped)
    pairs = [_discordant(leader, other) for other in others]
    p_values = [mcnemar(lost, won) for _, lost, won in pairs]
    compared = [
        PairedComparison(
            rows=rows,
            difference=(won - lost) / rows if rows else 0.0,
            only_leader_right=lost,
            only_this_right=won,
            p=p,
            p_holm=corrected,
        )
        for (rows, lost, won), p, corrected in zip(pairs, p_values, holm(p_values), strict=True)
    ]
    return [
        Rank(rank=number, scored=each, against_leader=comparison)
        for number, (each, comparison) in enumerate(
            zip([leader, *others], [None, *compared], strict=True), start=1
        )
    ]


def _best_first(scored: Scored) -> tuple[float, float, str]:
    cost = scored.score.cost_per_row_usd
    return -scored.score.accuracy, cost if cost is not None else 0.0, scored.template


def _discordant(leader: Scored, other: Scored) -> tuple[int, int, int]:
    """Rows in common, those that only the leader got right, those that only the other did."""
    common = leader.right.keys() & other.right.keys()
    lost = sum(leader.right[row] and not other.right[row] for row in common)
    won = sum(other.right[row] and not leader.right[row] for row in common)
    return len(common), lost, won
