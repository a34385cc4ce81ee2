"""`annotate check-original`."""

from collections.abc import Iterable

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.console.tables import plain_table
from stepdistill.annotator.importing.original import original_folder
from stepdistill.annotator.importing.original_check import Recorded, compare_recorded
from stepdistill.annotator.prompt.task import load_task
from stepdistill.annotator.settings.console import JSON, JsonSettings
from stepdistill.annotator.settings.importing import CheckOriginalSettings
from stepdistill.annotator.settings.rows import shipped_tasks
from stepdistill.common.errors import DatasetError

# What a template's line shows of its fields, besides how many of them are equal.
_SHOWN = {
    "accuracy": "performance.accuracy",
    "no label": "characteristics.n_parse_errors",
    "no rationale": "characteristics.n_none_responses",
    "words": "characteristics.total_number_of_words",
    "ease": "characteristics.flesch_reading_ease",
    "cost USD": "costs.total_accumulated_costs",
}


def check_original_command(settings: CheckOriginalSettings, console: JsonSettings = JSON) -> None:
    """Read the original's recorded answers as it did, and compare with the numbers it recorded.

    Every field of its prompt-metadata is computed anew; what differs is listed below the table.

    Examples:

        annotate check-original thesis --task cqa

        annotate check-original thesis --json
    """
    src = settings.src
    folder = original_folder(src, "prompt-metadata")
    names = settings.task or sorted(path.stem for path in folder.glob("*.yaml"))
    if not names:
        raise DatasetError(f"{src}: no prompt-metadata/*.yaml here: is it the original's folder?")
    output = ConsoleOutput(quiet=console.is_quiet)
    for name in names:
        found = list(compare_recorded(src, load_task(shipped_tasks(), name)))
        if console.as_json:
            for each in found:
                output.json(_fields(each))
        else:
            _show(name, found, output)


def _fields(found: Recorded) -> dict[str, object]:
    return {
        "task": found.task,
        "template": found.template,
        "recorded": dict(found.recorded),
        "reproduced": dict(found.recomputed),
        "differing": found.differing,
        "unknown": found.unknown,
    }


def _show(name: str, found: list[Recorded], output: ConsoleOutput) -> None:
    table = plain_table([name], ["equal", *_SHOWN])
    for each in found:
        equal = len(each.recorded) - len(each.differing) - len(each.unknown)
        cells = (_both(each, field) for field in _SHOWN.values())
        table.add_row(each.template, f"{equal}/{len(each.recorded)}", *cells)
    output.table(table)
    whole = sum(not each.differing and not each.unknown for each in found)
    output.show(f"{name}: {whole} of {len(found)} templates reproduced in every field")
    for line in _differences(found):
        output.show(f"  {line}")


def _both(found: Recorded, field: str) -> str:
    """One number where recorded and reproduced agree, else both of them."""
    if field not in found.recorded:
        return "-"
    recorded = f"{found.recorded[field]:.5g}"
    if field not in found.recomputed:
        return f"{recorded} / ?"
    recomputed = found.recomputed[field]
    return recorded if field not in found.differing else f"{recorded} / {recomputed:.5g}"


def _differences(found: Iterable[Recorded]) -> Iterable[str]:
    for each in found:
        for field in each.differing:
            numbers = each.recorded[field], each.recomputed[field]
            both = "recorded {:.7g}, reproduced {:.7g}".format(*numbers)
            yield f"template {each.template}: {field}: {both}"
        if each.unknown:
            unknown = ", ".join(each.unknown)
            yield f"template {each.template}: {unknown}: not all of its rows' gold labels are known"
