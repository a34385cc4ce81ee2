"""`annotate import-original`."""

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.console.tables import plain_table
from stepdistill.annotator.importing.original import Imported, import_original
from stepdistill.annotator.settings.console import JSON, JsonSettings
from stepdistill.annotator.settings.importing import ImportSettings
from stepdistill.annotator.settings.rows import shipped_tasks
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.study.original_scores import import_scores

_NAMED_LINES = 5


def import_original_command(settings: ImportSettings, console: JsonSettings = JSON) -> None:
    """Import the original's templates, mixes, recorded gpt-3.5-turbo answers and scores.

    The tasks of the project are copied to --prompts where they are missing there.

    Examples:

        annotate import-original thesis --prompts my-prompts --store runs/store

        annotate run svamp --data thesis/datasets/svamp --teacher gpt-3.5-turbo --offline
        --template 1 --prompts my-prompts --store runs/store
    """
    output = ConsoleOutput(quiet=console.is_quiet)
    with ResponseStore.open(settings.store, write=True) as opened:
        done = import_original(settings.src, settings.prompts, shipped_tasks(), opened)
    scores = import_scores(settings.src, settings.prompts)
    if console.as_json:
        output.json({**_summary(done), "scores": scores})
    else:
        _show(done, output)
        counts = ", ".join(f"{task} {n}" for task, n in scores.items()) or "none"
        output.show(f"Recorded scores of templates: {counts}")


def _summary(done: Imported) -> dict[str, object]:
    """The object of `import-original --json`."""
    return {
        "templates": done.templates,
        "mixes": done.mixes,
        "answers": {f"{task}/{split}": n for (task, split), n in sorted(done.answers.items())},
        "skipped": len(done.skipped),
    }


def _show(done: Imported, output: ConsoleOutput) -> None:
    """What an import brought in, by task and split."""
    rows = [
        (task, split, str(done.templates[task]), str(done.mixes[task]), str(n))
        for (task, split), n in sorted(done.answers.items())
    ]
    output.table(plain_table(["task", "split"], ["templates", "mixes", "answers"], rows))
    for line in done.skipped[:_NAMED_LINES]:
        output.show(f"skipped: {line}")
    if done.skipped:
        output.show(f"{len(done.skipped)} query results skipped")
