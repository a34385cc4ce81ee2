"""The rows of a search, in three parts that share none: to search by, to show, to confirm with."""

from dataclasses import dataclass

from stepdistill.annotator.dataset.rows import Row, read_rows
from stepdistill.annotator.dataset.selection import stretch
from stepdistill.annotator.dataset.sources import Source
from stepdistill.annotator.plan.plan import Plan
from stepdistill.common.errors import DatasetError


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRows:
    """searched: all templates are scored on these. held_out: nobody is asked these before the
    search has ended. problems: shown to the optimiser with their gold labels."""

    searched: Source
    n_searched: int
    held_out: Source
    n_held_out: int
    problems: tuple[Row, ...]


def share_out(plan: Plan, n_rows: int, *, searched: int, problems: int) -> SearchRows:
    """The rows of a plan over n_rows chosen ones; held out is what the others leave.

    Raises DatasetError where that is too little to search by.
    """
    searched = min(searched, n_rows - problems)
    if searched < 2:
        raise DatasetError(
            f"{plan.source.name}: {n_rows} rows with a gold label are too few to search by: "
            f"{problems} are shown as problems, and 2 at least are asked"
        )
    shown = stretch(plan.source, searched, searched + problems)
    return SearchRows(
        searched=stretch(plan.source, 0, searched),
        n_searched=searched,
        held_out=stretch(plan.source, searched + problems, n_rows),
        n_held_out=n_rows - searched - problems,
        problems=tuple(read_rows(plan.task, shown, plan.split, None)),
    )
