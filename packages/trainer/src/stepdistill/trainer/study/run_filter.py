"""Which runs of a tracking file a table or a figure is made of."""

from stepdistill.trainer.settings.study import RunFilterSettings
from stepdistill.trainer.study.tracking import Run, Tracking


def chosen_runs(settings: RunFilterSettings) -> tuple[list[Run], str]:
    """The runs, and a line that says which. Raises ConfigError."""
    with Tracking(settings.tracking, make=False) as file:
        found = [run for run in file.runs(hand_entered=True) if _is_asked(run, settings)]
    kept = [run for run in found if settings.hand_entered or not run.hand_entered]
    typed = sum(run.hand_entered for run in found)
    return kept, f"{len(kept)} runs of {settings.tracking}{_typed_in(typed, settings.hand_entered)}"


def _is_asked(run: Run, settings: RunFilterSettings) -> bool:
    asked = (
        ((settings.source,) if settings.source else (), run.source),
        (settings.study, run.study),
        (settings.task, run.task),
    )
    return all(not names or one in names for names, one in asked)


def _typed_in(count: int, kept: bool) -> str:
    if not count:
        return ""
    rows = f"{count} rows of the original that were typed in by hand"
    return f"; {rows} are among them" if kept else f"; {rows} are left out (--hand-entered)"
