"""`annotate run` on the task of the benchmarks, as a person would start it, and what it cost."""

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from made_task import MAX_TOKENS, MODEL, MadeTask
from measuring import Spent, run_measured

# By module and not by script: PYTHONPATH can then name another tree to measure.
_ANNOTATE = (sys.executable, "-c", "from stepdistill.annotator.cli import main; main()")


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotate:
    """A task, a place for store and shards (by name), and the teacher. options: whatever else, such
    as --processes, of which one is measured otherwise."""

    task: MadeTask
    base_url: str
    concurrency: int | str = 256
    name: str = ""
    options: tuple[str, ...] = ()

    @property
    def store(self) -> Path:
        """The folder of the response store."""
        return self.task.folder / self.name / "store"

    @property
    def log(self) -> Path:
        """The log of events."""
        return self.task.folder / self.name / "log.jsonl"

    @property
    def out(self) -> Path:
        """The folder of the shards."""
        return self.task.folder / self.name / "out"

    def run(
        self, *, rows: int | None = None, offline: bool = False, watch_memory: bool = False
    ) -> Spent:
        """Annotate (the first) rows into a fresh folder; every row has to become a record."""
        shutil.rmtree(self.out, ignore_errors=True)
        self.log.unlink(missing_ok=True)
        command = self.command()
        command += ["--samples", str(rows)] if rows else []
        command += ["--offline"] if offline else []
        spent = run_measured(command, cwd=self.task.folder, watch_memory=watch_memory)
        said = json.loads(spent.output)
        if not said["records"] == said["rows"] == (rows or self.task.n):
            raise RuntimeError(f"not every row became a record: {spent.output}")
        return spent

    def forget(self) -> None:
        """Remove the store, so that everything is asked again."""
        shutil.rmtree(self.store, ignore_errors=True)

    def asking_s(self) -> float:
        """How long the last run asked, in seconds, by its own log."""
        events = map(json.loads, self.log.read_bytes().splitlines())
        at = {event["event"]: event["at"] for event in events}
        return at["asked"] - at["asking"]

    def command(self) -> list[str | Path]:
        """The command line."""
        task = self.task
        return [
            *_ANNOTATE, "run", "bench", "--data", task.rows, "--prompts", task.prompts,
            "--store", self.store, "--out", self.out, "--teacher", MODEL,
            "--base-url", self.base_url, "--concurrency", str(self.concurrency),
            "--max-tokens", str(MAX_TOKENS), "--log", self.log, "--json",
            "--processes", "1", *self.options,
        ]  # fmt: skip


def show_help() -> Spent:
    """`annotate --help`."""
    return run_measured([*_ANNOTATE, "--help"])
