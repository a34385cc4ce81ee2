"""An audit as people read it on a terminal, and as programs do: one JSON object."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from rich.table import Table

from stepdistill.annotator.audit.estimate import ShareEstimate
from stepdistill.annotator.audit.findings import Findings, GroupErrors
from stepdistill.annotator.audit.rows import Chosen, ChosenRow
from stepdistill.annotator.audit.sampling import Stratum
from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.console.tables import plain_table
from stepdistill.common.judgements import Judgements
from stepdistill.common.terminal import one_line

_NAME = 32  # characters of a label in a table
_GROUPS = 6  # rows of a table of errors
_MUCH, _SOME = 0.35, 0.2  # doubt from which it is called so


def facts_of(
    chosen: Chosen, found: Findings, judgements: Judgements, command: str
) -> dict[str, object]:
    """command: what is to be done next."""
    return {
        "rows": chosen.n_rows,
        "chosen": len(chosen.rows),
        "judged": len(found.judged),
        "cannot_tell": found.cannot_tell,
        "elsewhere": found.elsewhere,
        "judgements": str(judgements.path),
        "next": command,
        "known": list(chosen.known),
        "remarks": [*chosen.warnings, *chosen.remarks],
        "teacher": _estimate_facts(found.teacher),
        "student": _estimate_facts(found.student),
        "student_unknown": found.unknown,
        "rationales_good": _estimate_facts(found.reasons),
        "strata": _strata_facts(chosen, found),
        "by_label": [_group_facts(each) for each in found.by_label],
        "by_template": [_group_facts(each) for each in found.by_template],
        "confusions": [
            {"label": label, "right": right, "rows": n} for label, right, n in found.confusions
        ],
        "judges": dict(found.judges),
        "agreements": [asdict(each) for each in found.agreements],
        "choice": [_row_facts(row) for row in chosen.rows],
    }


def _strata_facts(chosen: Chosen, found: Findings) -> list[dict[str, object]]:
    groups = _by_number(found, chosen)
    return [
        {
            "label": stratum.label,
            "doubt": [round(end, 4) for end in stratum.doubt],
            "rows": stratum.rows,
            "chosen": taken,
            "judged": group.judged if group else 0,
            "wrong": group.wrong if group else 0,
        }
        for stratum, taken, group in zip(
            chosen.design.strata, chosen.design.taken(), groups, strict=True
        )
    ]


def _row_facts(row: ChosenRow) -> dict[str, object]:
    """What a line of judgements takes over."""
    names = ("row", "answer", "label", "rationale", "stratum")
    return {
        **{name: row.line[name] for name in ("split", "id")},
        **{name: getattr(row, name) for name in names},
    }


def _estimate_facts(found: ShareEstimate | None) -> dict[str, object] | None:
    if found is None:
        return None
    return {
        "accuracy": found.share,
        "low": found.low,
        "high": found.high,
        "judged": found.judged,
        "more_to_halve": found.halving,
    }


def _group_facts(group: GroupErrors) -> dict[str, object]:
    names = ("name", "judged", "wrong")
    return {**{name: getattr(group, name) for name in names}, "accuracy": group.share}


def show(chosen: Chosen, found: Findings, output: ConsoleOutput, command: str) -> None:
    """Which rows are chosen, or what those that are judged say; and what is to be done next."""
    for line in chosen.warnings:
        output.warn(line)
    for line in chosen.remarks:
        output.say(line)
    if found.judged:
        _show_findings(chosen, found, output)
    else:
        known = ", ".join(chosen.known) or "nothing but the labels"
        n = len(chosen.rows)
        output.show(f"{n:,} of {chosen.n_rows:,} labelled rows to be judged, by {known}:")
        output.table(_strata_table(chosen, found))
    left = len(chosen.rows) - len(found.judged)
    if left:
        output.show(
            f"\n{left:,} {'row is' if left == 1 else 'rows are'} left to judge:\n  {command}"
        )
    if found.elsewhere:
        output.show(
            f"\n{found.elsewhere:,} judgements are of other rows, or of labels that have changed: "
            "they are not counted here"
        )


def _show_findings(chosen: Chosen, found: Findings, output: ConsoleOutput) -> None:
    of = f"{len(found.judged):,} of {len(chosen.rows):,} chosen rows judged"
    names = ", ".join(f"{one_line(name)} {n:,}" for name, n in found.judges.items())
    output.show(f"{of} ({names}), out of {chosen.n_rows:,} labelled rows\n")
    table = plain_table(("right, as judged",), ("share", "95 % interval", "judged", "to halve it"))
    each = (("teacher's labels", found.teacher), ("student's labels", found.student))
    for name, estimate in (*each, ("rationales: good", found.reasons)):
        if estimate is not None:
            table.add_row(name, *_cells(estimate))
    output.table(table)
    for line in _remarks(found):
        output.show(line)
    for title, groups in (("label", found.by_label), ("template", found.by_template)):
        if len(groups) > 1 and any(group.wrong for group in groups):
            output.show("")
            output.table(_groups_table(title, groups))
    if len(chosen.design.strata) > 1:
        output.show("")
        output.table(_strata_table(chosen, found))
    if found.confusions:
        output.show("")
        pairs = ((_cut(label), _cut(right), f"{n:,}") for label, right, n in found.confusions)
        output.table(plain_table(("labelled as", "but is"), ("rows",), pairs))


def _cells(found: ShareEstimate) -> tuple[str, ...]:
    more = "" if found.halving is None else f"{found.halving:,} more"
    interval = f"{100 * found.low:.1f} to {100 * found.high:.1f} %"
    return f"{100 * found.share:.1f} %", interval, f"{found.judged:,}", more


def _remarks(found: Findings) -> Iterator[str]:
    if found.cannot_tell:
        yield f"{found.cannot_tell:,} that nobody could tell are left out"
    if found.unknown:
        yield (
            f"of the student {found.unknown:,} more are left out: their label is wrong, and nobody "
            "said which is right"
        )
    for each in found.agreements:
        kappa = "not defined" if each.kappa is None else f"{each.kappa:.2f}"
        judges = " and ".join(one_line(name) for name in each.judges)
        yield f"{judges} agree on {each.same:,} of {each.rows:,} rows: Cohen's kappa {kappa}"


def _groups_table(title: str, groups: Sequence[GroupErrors]) -> Table:
    table = plain_table((title,), ("judged", "wrong", "right, of its rows"))
    for each in groups[:_GROUPS]:
        share = f"{100 * each.share:.0f} %"
        table.add_row(_cut(each.name), f"{each.judged:,}", f"{each.wrong:,}", share)
    return table


def _strata_table(chosen: Chosen, found: Findings) -> Table:
    has_labels = any(stratum.label is not None for stratum in chosen.design.strata)
    numbers = ("rows", "chosen", *(("judged", "wrong") if found.judged else ()))
    table = plain_table((*(("label",) if has_labels else ()), "doubt"), numbers)
    groups = _by_number(found, chosen)
    for stratum, taken, group in zip(
        chosen.design.strata, chosen.design.taken(), groups, strict=True
    ):
        label = (_cut(stratum.label or "other labels"),) if has_labels else ()
        judged = (f"{group.judged:,}", f"{group.wrong:,}") if group else ("0", "0")
        counts = (f"{stratum.rows:,}", f"{taken:,}", *(judged if found.judged else ()))
        table.add_row(*label, _doubt(stratum), *counts)
    return table


def _by_number(found: Findings, chosen: Chosen) -> list[GroupErrors | None]:
    groups = {group.name: group for group in found.by_stratum}
    return [groups.get(str(number)) for number in range(len(chosen.design.strata))]


def _doubt(stratum: Stratum) -> str:
    low, high = stratum.doubt
    word = "much" if high >= _MUCH else "some" if high >= _SOME else "little"
    ends = f"{low:.2f}" if high - low < 0.005 else f"{low:.2f} to {high:.2f}"
    return f"{word} ({ends})"


def _cut(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= _NAME else f"{line[: _NAME - 1]}…"
