"""Templates in order of accuracy, each compared with the leader on the rows that both answered.

The leader is chosen by the very rows it is compared on, so its lead is flattered a little; the
intervals say how much of it may be luck.
"""

from collections.abc import Collection
from dataclasses import dataclass

from stepdistill.annotator.study.score import Scored
from stepdistill.annotator.study.statistics import PairedComparison, holm


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    """One template's place in a ranking; the leader is compared with nobody."""

    rank: int  # 1 is the leader
    scored: Scored
    against_leader: PairedComparison | None  # this template is the `one`, the leader the `other`
    p_holm: float | None  # McNemar's p, corrected for the number of templates


def rank(scored: list[Scored], stopped: Collection[str] = ()) -> list[Rank]:
    """Best accuracy first; among equals the cheaper one. Those that a race stopped come last."""
    if not scored:
        return []
    ordered = sorted(sorted(scored, key=_best_first), key=lambda each: each.template in stopped)
    leader = ordered[0].correct
    against = [PairedComparison.of(each.correct, leader) for each in ordered[1:]]
    corrected = holm([each.p for each in against])
    return [
        Rank(rank=number, scored=each, against_leader=comparison, p_holm=p_holm)
        for number, (each, comparison, p_holm) in enumerate(
            zip(ordered, [None, *against], [None, *corrected], strict=True), start=1
        )
    ]


def _best_first(scored: Scored) -> tuple[float, float, str]:
    # An unknown price counts as none: it must not keep a template from the first place.
    return -scored.score.accuracy, scored.score.cost_per_row_usd or 0.0, scored.template
