"""What the judged rows say: how many labels are right, where the errors are, and whether judges
agree."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

from stepdistill.annotator.audit.estimate import JudgedStratum, ShareEstimate, estimate
from stepdistill.annotator.audit.rows import Chosen, ChosenRow
from stepdistill.common.judgements import Judgement, Judgements

_CONFUSIONS = 10  # that are shown


class JudgedRow(NamedTuple):
    """A chosen row with what counts of its judgements."""

    row: ChosenRow
    judgement: Judgement

    @property
    def right(self) -> bool | None:
        """Whether its label is right; None where nobody can tell."""
        verdict = self.judgement.verdict
        return None if verdict == "cannot_tell" else verdict == "right"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupErrors:
    """JudgedStratum rows of one label, template or stratum. share: of its rows, that are right."""

    name: str
    judged: int
    wrong: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How two judges agree about the rows that both have judged. kappa: Cohen's, 1 at most; None
    where chance alone would have them agree always."""

    judges: tuple[str, str]
    rows: int
    same: int
    kappa: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All that is known by the judgements.

    student: None without predictions; unknown: judged rows that say nothing of the student, since
    nobody said what is right; elsewhere: judgements that are of none of the chosen rows and labels.
    """

    judged: tuple[JudgedRow, ...]
    cannot_tell: int
    teacher: ShareEstimate | None
    student: ShareEstimate | None
    unknown: int
    reasons: ShareEstimate | None  # rationales that are good
    by_label: tuple[GroupErrors, ...]
    by_template: tuple[GroupErrors, ...]
    by_stratum: tuple[GroupErrors, ...]
    confusions: tuple[tuple[str, str, int], ...]  # (the label, the right one, rows)
    judges: Mapping[str, int]  # name -> rows
    agreements: tuple[Agreement, ...]
    elsewhere: int


def find_out(chosen: Chosen, judgements: Judgements) -> Findings:
    """What follows from the judgements."""
    found = ((row, judgements.agreed(row.answer)) for row in chosen.rows)
    judged = tuple(JudgedRow(row, said) for row, said in found if said is not None)
    told = [each for each in judged if each.right is not None]
    counts = [stratum.rows for stratum in chosen.design.strata]
    # Each judged row stands for so many of its stratum.
    per_stratum = Counter(each.row.stratum for each in told)
    weights = {number: counts[number] / n for number, n in per_stratum.items()}
    students = [(each, _student_right(each, chosen)) for each in told if each.row.has_student]
    is_one_class = chosen.kind.is_one_class  # of others hardly two rows share a label
    is_of = {row.answer for row in chosen.rows}
    return Findings(
        judged=judged,
        cannot_tell=len(judged) - len(told),
        teacher=_estimate(counts, ((each.row.stratum, bool(each.right)) for each in told)),
        student=_estimate(
            chosen.with_student,
            ((each.row.stratum, right) for each, right in students if right is not None),
        ),
        unknown=sum(right is None for _, right in students),
        reasons=_estimate(counts, _reasons(judged)),
        by_label=_groups(told, weights, lambda row: row.label) if is_one_class else (),
        by_template=_groups(told, weights, lambda row: row.template),
        by_stratum=_groups(told, weights, lambda row: str(row.stratum)),
        confusions=_confusions(told),
        judges=Counter(s.judge for row in chosen.rows for s in judgements.of(row.answer)),
        agreements=tuple(_agreements(chosen.rows, judgements)),
        elsewhere=sum(each.answer not in is_of for each in judgements.each),
    )


def _estimate(rows: Sequence[int], outcomes: Iterable[tuple[int, bool]]) -> ShareEstimate | None:
    """rows: of each stratum; outcomes: (stratum, whether it is right)."""
    judged, right = Counter[int](), Counter[int]()
    for stratum, is_right in outcomes:
        judged[stratum] += 1
        right[stratum] += is_right
    each = (
        JudgedStratum(rows=n, judged=judged[number], right=right[number])
        for number, n in enumerate(rows)
    )
    return estimate([stratum for stratum in each if stratum.rows])


def _student_right(each: JudgedRow, chosen: Chosen) -> bool | None:
    """Whether the student is right on a row; None where nobody said what would be."""
    row, told = each.row, each.judgement.told
    if row.student is None:
        return False
    if told is not None:
        return chosen.kind.same(row.student, told, row.choices)
    return False if chosen.kind.same(row.student, row.label, row.choices) else None


def _reasons(judged: Iterable[JudgedRow]) -> Iterable[tuple[int, bool]]:
    """Of rationales as they are now: what was said of another one does not count."""
    for row, said in judged:
        if said.reasons is not None and said.rationale == row.rationale:
            yield row.stratum, said.reasons == "good"


def _groups(
    told: Sequence[JudgedRow], weights: Mapping[int, float], name_of: Callable[[ChosenRow], str]
) -> tuple[GroupErrors, ...]:
    """Those with the most errors first."""
    groups: defaultdict[str, list[JudgedRow]] = defaultdict(list)
    for each in told:
        groups[name_of(each.row)].append(each)
    found = [
        GroupErrors(
            name=name,
            judged=len(rows),
            wrong=sum(each.right is False for each in rows),
            share=sum(weights[each.row.stratum] for each in rows if each.right)
            / sum(weights[each.row.stratum] for each in rows),
        )
        for name, rows in groups.items()
    ]
    return tuple(sorted(found, key=lambda group: (-group.wrong, group.name)))


def _confusions(told: Iterable[JudgedRow]) -> tuple[tuple[str, str, int], ...]:
    pairs = Counter(
        (each.row.label, each.judgement.right)
        for each in told
        if each.right is False and each.judgement.right is not None
    )
    ranked = sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0]))
    return tuple((label, right, n) for (label, right), n in ranked[:_CONFUSIONS])


def _agreements(rows: Sequence[ChosenRow], judgements: Judgements) -> Iterable[Agreement]:
    by_judge: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for row in rows:
        for each in judgements.of(row.answer):
            by_judge[each.judge][row.answer] = each.verdict
    for one, other in combinations(sorted(by_judge), 2):
        both = sorted(by_judge[one].keys() & by_judge[other].keys())
        if both:
            pairs = [(by_judge[one][answer], by_judge[other][answer]) for answer in both]
            yield Agreement(
                judges=(one, other),
                rows=len(pairs),
                same=sum(first == second for first, second in pairs),
                kappa=cohens_kappa(pairs),
            )


def cohens_kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Cohen's kappa (1960) of what two judges said of the same things; None where it is 0 / 0."""
    n = len(pairs)
    firsts, seconds = Counter(one for one, _ in pairs), Counter(other for _, other in pairs)
    by_chance = sum(firsts[name] * seconds[name] for name in firsts) / n**2
    same = sum(one == other for one, other in pairs) / n
    return None if by_chance == 1 else (same - by_chance) / (1 - by_chance)
