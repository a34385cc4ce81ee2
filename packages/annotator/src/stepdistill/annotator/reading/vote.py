"""The label that most of several answers name, and how sure that makes it."""

from collections.abc import Sequence
from typing import NamedTuple

from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.reading.reading import Reading
from stepdistill.common.kinds.kind import Kind


class Vote(NamedTuple):
    """What one answer of a row says."""

    request: Request
    reading: Reading


class Majority(NamedTuple):
    """The answer that a row's label is taken from, and the one that its reasons are taken from.

    votes: label -> answers that name it, and confidence: the winner's share of all answers; both
    None where the teacher was asked once.
    """

    label: Vote
    reasons: Vote
    votes: dict[str, int] | None = None
    confidence: float | None = None


def elect(kind: Kind, said: Sequence[Vote], n_asked: int) -> Majority:
    """said: the answers that name a label, at least one, of the n_asked in the order of asking.

    Most votes win, the earlier of two labels with as many. Reasons are those of the first answer
    that names the winner and has some: never those of an answer that decided otherwise.
    """
    parties: list[list[Vote]] = []
    for each in said:
        party = next((p for p in parties if _agree(kind, p[0].reading, each.reading)), None)
        if party is None:
            parties.append([each])
        else:
            party.append(each)
    winners = max(parties, key=len)
    return Majority(
        label=winners[0],
        reasons=next((each for each in winners if each.reading.rationale), winners[0]),
        votes={str(party[0].reading.label): len(party) for party in parties},
        confidence=round(len(winners) / n_asked, 4),
    )


def _agree(kind: Kind, one: Reading, other: Reading) -> bool:
    return kind.same(str(one.label), str(other.label))
