"""A rehearsal: what the simulated teacher has to know to play the teacher of a real task.

Its book is filled from the gold labels of the rows that will be asked about, so the whole way can
be tried, without a key and without cost, on any dataset that has gold labels.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from stepdistill.annotator.dataset.rows import Row, read_rows
from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.plan.plan import Plan, PlannedRow
from stepdistill.annotator.simulator.answers import AnswerBook, KnownAnswer, SimulatedTeacher
from stepdistill.annotator.simulator.phrasing import Style, facts_asked_for, facts_of
from stepdistill.annotator.simulator.search_teacher import Proposer, RowBook, Taste, TasteTeacher
from stepdistill.common.kinds.registry import kind_of
from stepdistill.common.task import TaskSpec

ACCURACY = 0.9


def rehearse(
    plans: Iterable[Plan],
    accuracy: float = ACCURACY,
    seed: int = 1,
    style: Style = "label-first",
    by_template: Mapping[str, float] | None = None,
) -> SimulatedTeacher:
    """A teacher who knows the rows of these plans, and errs on a share of 1 - accuracy of them.

    by_template: template -> accuracy, for templates that do better or worse.
    """
    accuracies = by_template or {}
    book = AnswerBook()
    for plan in plans:
        n_facts = {
            name: facts_asked_for(f"{each.system} {each.user}")
            for name, each in plan.templates.items()
        }
        for planned in plan.rows():
            known = _known(plan.task, planned.row)
            if known is None:
                continue
            for request in planned.requests:
                name = _template(planned, request)
                facts = facts_of(_longest(planned.row), n_facts[name])
                answer = replace(known, accuracy=accuracies.get(name), facts=facts)
                book.add(request.messages, answer)
    return SimulatedTeacher(book=book, accuracy=accuracy, seed=seed, style=style)


def rehearse_search(
    plans: Iterable[Plan], taste: Taste, seed: int = 1, style: Style = "label-first"
) -> TasteTeacher:
    """A teacher who knows the rows of these plans in whatever words they are asked, and who
    proposes templates. seed: of what it errs on, and of its ideas."""
    rows, gold = RowBook(), "label"
    for plan in plans:
        gold = plan.task.gold or gold
        for row in read_rows(plan.task, plan.source, plan.split, plan.samples):
            known = _known(plan.task, row)
            if known is not None:
                # All facts: how many are wanted is known once a prompt comes.
                rows.add(row.fields, replace(known, facts=facts_of(_longest(row))))
    return TasteTeacher(
        rows=rows,
        taste=taste,
        proposer=Proposer(seed=seed, gold=gold),
        voice=SimulatedTeacher(seed=seed, style=style),
    )


def _template(planned: PlannedRow, request: Request) -> str:
    """The template that a request of this row was made with."""
    assigned = planned.assignment
    of_rationale = request is planned.rationale and request is not planned.label
    return assigned.rationale or "" if of_rationale else assigned.label


def _known(task: TaskSpec, row: Row) -> KnownAnswer | None:
    """The truth about a row; None without a gold label: then the teacher knows nothing."""
    if row.gold is None:
        return None
    kind = kind_of(task.label)
    label, others = kind.spoken(row.gold), kind.slips(row.gold, row.fields)
    options = tuple(row.fields[name] for name in task.label.options)
    rationale = row.gold_rationale or _made_up(row, label)
    return KnownAnswer(label=label, rationale=rationale, alternatives=others, options=options)


def _longest(row: Row) -> str:
    return max(row.fields.values(), key=len)


def _made_up(row: Row, label: str) -> str:
    opening = " ".join(_longest(row).split()[:8])
    return f"The text begins with {opening}, and all of it taken together leads to {label}."
