"""`annotate gather`."""

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.run.gather import Gathered, gather
from stepdistill.annotator.run.next_commands import train_command
from stepdistill.annotator.run.summary import counts_table
from stepdistill.annotator.settings.console import CONSOLE, ConsoleSettings
from stepdistill.annotator.settings.gather import GatherSettings


def gather_command(settings: GatherSettings, console: ConsoleSettings = CONSOLE) -> None:
    """Join what `annotate run --shard` made on several machines: one run's shards.

    The files are those that one machine would have written, byte for byte. Parts
    are checked by their manifests before anything is written.

    Example:

        annotate gather runs/part-0 runs/part-1 runs/part-2 --out runs/esnli
    """
    output = ConsoleOutput(quiet=console.is_quiet)
    done = gather(settings.parts, settings.out, output.progress_line)
    for line in done.warnings:
        output.warn(line)
    if console.as_json:
        output.json(_facts(settings, done))
    else:
        output.table(counts_table(done.manifests))
        output.show(f"{len(settings.parts)} parts joined in {settings.out}")
        command = train_command(settings.out, done.manifests)
        if command is not None and done.error is None:
            output.show(f"Next: {command}")
    if done.error is not None:
        raise done.error


def _facts(settings: GatherSettings, done: Gathered) -> dict[str, object]:
    counts = {split: manifest.counts for split, manifest in done.manifests.items()}
    return {
        "parts": len(settings.parts),
        "rows": sum(each.rows for each in counts.values()),
        "records": sum(each.records for each in counts.values()),
        "out": str(settings.out),
        "splits": {split: each.model_dump() for split, each in counts.items()},
    }
