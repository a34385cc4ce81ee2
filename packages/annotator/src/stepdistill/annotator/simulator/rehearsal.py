"""A rehearsal: what the simulated teacher has to know to play the teacher of a real task.

Its book is filled from the rows that will be asked about, with their gold labels where they have
such and made-up ones where not, so the whole way can be tried, without a key and without cost, on
any dataset. A made-up label goes by the row's first word: a student can learn it.
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
from stepdistill.common.uniform import uniform_of

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
        n_facts = _n_facts(plan)
        for planned in plan.rows():
            known = _known(plan.task, planned.row)
            for request in planned.requests:
                name = _template(planned, request)
                facts = facts_of(_longest(planned.row), n_facts[name])
                answer = replace(known, accuracy=accuracies.get(name), facts=facts)
                book.add(request.messages, answer)
    return SimulatedTeacher(book=book, accuracy=accuracy, seed=seed, style=style)


def rehearse_templates(
    plans: Iterable[Plan], teacher: SimulatedTeacher, by_template: Mapping[str, float]
) -> SimulatedTeacher:
    """The teacher, who then knows the rows of these plans in the words of all their templates."""
    for plan in plans:
        n_facts, makers = _n_facts(plan), plan.request_makers()
        for row in read_rows(plan.task, plan.source, plan.split, plan.samples):
            known = _known(plan.task, row)
            # Most templates ask alike: what is known is held once for those.
            alike: dict[tuple[float | None, int], KnownAnswer] = {}
            for name, make in makers.items():
                asked = by_template.get(name), n_facts[name]
                if asked not in alike:
                    facts = facts_of(_longest(row), n_facts[name])
                    alike[asked] = replace(known, accuracy=asked[0], facts=facts)
                teacher.book.add(make(row).messages, alike[asked])
    return teacher


def _n_facts(plan: Plan) -> dict[str, int]:
    return {
        name: facts_asked_for(f"{each.system} {each.user}") for name, each in plan.templates.items()
    }


def rehearse_search(
    plans: Iterable[Plan], taste: Taste, seed: int = 1, style: Style = "label-first"
) -> TasteTeacher:
    """A teacher who knows the rows of these plans in whatever words they are asked, and who
    proposes templates. seed: of what it errs on, and of its ideas."""
    rows, gold = RowBook(), "label"
    for plan in plans:
        gold = plan.task.gold or gold
        for row in read_rows(plan.task, plan.source, plan.split, plan.samples):
            # All facts: how many are wanted is known once a prompt comes.
            rows.add(row.fields, replace(_known(plan.task, row), facts=facts_of(_longest(row))))
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


def _known(task: TaskSpec, row: Row) -> KnownAnswer:
    """The truth about a row; without a gold label, one that goes by how its text begins."""
    kind, gold = kind_of(task.label), row.gold
    if gold is None:
        first = _longest(row).casefold().split()[:1]
        gold = kind.invented(row.fields, uniform_of(0, b"invented", *map(str.encode, first)))
    label, others = kind.spoken(gold), kind.slips(gold, row.fields)
    if kind.is_prose:
        others = (f"not {label}", " ".join(label.split()[:-1]) or "nothing")
    options = tuple(row.fields[name] for name in task.label.options)
    rationale = row.gold_rationale or _made_up(row, label)
    return KnownAnswer(label=label, rationale=rationale, alternatives=others, options=options)


def _longest(row: Row) -> str:
    return max(row.fields.values(), key=len)


def _made_up(row: Row, label: str) -> str:
    opening = " ".join(_longest(row).split()[:8])
    return f"The text begins with {opening}, and all of it taken together leads to {label}."
