"""`stepdistill tables`: what the runs of a tracking file say, as tables."""

import sys

from stepdistill.trainer.settings.study import TablesSettings
from stepdistill.trainer.study.accuracy_sheets import accuracy_sheet, paired_sheet
from stepdistill.trainer.study.frame import frame_of
from stepdistill.trainer.study.reach_sheets import cost_sheet, data_sheet
from stepdistill.trainer.study.run_filter import chosen_runs
from stepdistill.trainer.study.table import markdown, write_sheet


def tables(settings: TablesSettings) -> None:
    """The command. Raises DistillError."""
    runs, said = chosen_runs(settings)
    frame = frame_of(runs, settings.pool)
    sheets = (
        accuracy_sheet(frame),
        paired_sheet(frame, all_pairs=settings.all_pairs),
        data_sheet(frame),
        cost_sheet(frame, settings.accuracy, settings.gpu_hour_usd),
    )
    if settings.pool:
        said += f"; those that differ in {', '.join(settings.pool)} alone count as one kind"
    sys.stdout.write(f"{said}\n\n" + "\n".join(map(markdown, sheets)))
    if settings.out is not None:
        for sheet in sheets:
            write_sheet(sheet, settings.out)
        names = ", ".join(sheet.name for sheet in sheets)
        sys.stdout.write(f"\n{settings.out}: {names}, each as .md, .csv and .tex\n")
