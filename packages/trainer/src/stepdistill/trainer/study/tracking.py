"""The tracking file: every run of interest as a row of one SQLite table, wherever it was made."""

import sqlite3
from collections.abc import Generator, Iterable
from contextlib import AbstractContextManager, contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from stepdistill.common.errors import ConfigError
from stepdistill.trainer.settings.study import RunFilterSettings

Source = Literal["own", "original"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One training run. None and "" where a thing is not known or was not used."""

    source: Source  # own, or the original's file
    key: str  # the same run has the same key
    study: str  # which sweep or group it belongs to
    task: str
    data: str  # what it was trained and judged on, by content
    model: str
    mode: str
    labels: str
    teacher: str  # who gave labels or rationales that were learnt from
    mix: str  # the prompts that rationales come from
    templates: str  # the same without regard to shares
    subsample: float  # 0..1
    alpha: float
    max_input_tokens: int
    batch_size: int
    optimizer: str
    lr: float
    settings: str  # all others that decide the result and are not the default, as JSON
    seed: int
    seconds: float  # of training, on each of `ranks` devices
    ranks: int
    steps: int
    test_accuracy: float
    valid_accuracy: float
    test_rows: int | None = None
    train_rows: int | None = None
    rationale_rate: float | None = None  # share of the rows, 0..1
    rationale_words: float | None = None  # mean of those learnt from
    teacher_accuracy: float | None = None
    teacher_cost_usd: float | None = None
    hand_entered: bool = False  # typed in by the original's author from another paper, never run
    folder: str = ""
    measures: str = ""  # of sets: F1 and the like; of numbers: errors and correlations; as JSON


_NAMES = tuple(field.name for field in fields(Run))


class Tracking(AbstractContextManager["Tracking"]):
    """The file, open; made when it is not there. Raises ConfigError when it cannot be used."""

    def __init__(self, path: Path, *, make: bool = True) -> None:
        if not make and not path.exists():
            raise ConfigError(
                f"--tracking {path}: no such file: `stepdistill track add FOLDER` makes it"
            )
        self.path = path
        with self._usable():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = sqlite3.connect(path)
            # Without types: sqlite then gives every value back as it came.
            columns = f"{', '.join(_NAMES)}, PRIMARY KEY (source, key)"
            self._file.execute(f"CREATE TABLE IF NOT EXISTS runs ({columns})")
            known = {column for _, column, *_ in self._file.execute("PRAGMA table_info(runs)")}
            for name in (
                each for each in _NAMES if each not in known
            ):  # a file of an older version
                self._file.execute(f"ALTER TABLE runs ADD COLUMN {name} DEFAULT ''")

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, runs: Iterable[Run]) -> int:
        """Keep some runs, in place of the same ones from before; how many are new."""
        before = self._count()
        places = ", ".join("?" * len(_NAMES))
        command = f"INSERT OR REPLACE INTO runs ({', '.join(_NAMES)}) VALUES ({places})"
        with self._usable(), self._file:
            self._file.executemany(command, [astuple(run) for run in runs])
        return self._count() - before

    def runs(self, *, hand_entered: bool = False) -> list[Run]:
        """All runs in the order they came. hand_entered: those too."""
        with self._usable():
            rows = self._file.execute(f"SELECT {', '.join(_NAMES)} FROM runs ORDER BY rowid")
            found = [_run(dict(zip(_NAMES, row, strict=True))) for row in rows]
        return [run for run in found if hand_entered or not run.hand_entered]

    def _count(self) -> int:
        with self._usable():
            [(count,)] = self._file.execute("SELECT count(*) FROM runs")
        return int(count)

    @contextmanager
    def _usable(self) -> Generator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(
                f"--tracking {self.path}: cannot be used ({error}); name another file"
            ) from None


def _run(row: dict[str, Any]) -> Run:
    # sqlite keeps a truth as 0 or 1; everything else comes back as it went in.
    row["hand_entered"] = bool(row["hand_entered"])
    return Run(**row)


def filtered_runs(settings: RunFilterSettings) -> tuple[list[Run], str]:
    """The runs, and a line that says which. Raises ConfigError."""
    sources = (settings.source,) if settings.source else ()
    asked = {"source": sources, "study": settings.study, "task": settings.task}
    with Tracking(settings.tracking, make=False) as file:
        found = [
            run
            for run in file.runs(hand_entered=True)
            if all(not names or getattr(run, name) in names for name, names in asked.items())
        ]
    kept = [run for run in found if settings.hand_entered or not run.hand_entered]
    text = f"{len(kept)} runs of {settings.tracking}"
    if typed := sum(run.hand_entered for run in found):
        place = "are among them" if settings.hand_entered else "are left out (--hand-entered)"
        text += f"; {typed} rows of the original that were typed in by hand {place}"
    return kept, text
