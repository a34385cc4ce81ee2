"""The tracking file: every run of interest as a row of one SQLite table, wherever it was made."""

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Literal

from stepdistill.common.errors import ConfigError
from stepdistill.trainer.settings.study import RunFilterSettings

Source = Literal["own", "original"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One training run. None and "" where a thing is not known or was not used.

    source: own, or the original's file.
    key: the same run has the same key.
    study: which sweep or group it belongs to.
    data: what it was trained and judged on, by content.
    teacher: who gave labels or rationales that were learnt from.
    mix: the prompts that rationales come from; templates: the same without regard to shares.
    settings: all others that decide the result and are not the default, as JSON.
    subsample, rationale_rate: shares, 0..1.
    rationale_words: mean of those learnt from.
    seconds: of training, on each of `ranks` devices.
    hand_entered: typed in by the original's author from another paper, not the outcome of a run.
    """

    source: Source
    key: str
    study: str
    task: str
    data: str
    model: str
    mode: str
    labels: str
    teacher: str
    mix: str
    templates: str
    subsample: float
    alpha: float
    max_input_tokens: int
    batch_size: int
    optimizer: str
    lr: float
    settings: str
    seed: int
    seconds: float
    ranks: int
    steps: int
    test_accuracy: float
    valid_accuracy: float
    test_rows: int | None = None
    train_rows: int | None = None
    rationale_rate: float | None = None
    rationale_words: float | None = None
    teacher_accuracy: float | None = None
    teacher_cost_usd: float | None = None
    hand_entered: bool = False
    folder: str = ""


_NAMES = tuple(field.name for field in fields(Run))


class Tracking(AbstractContextManager["Tracking"]):
    """The file, open; made when it is not there. Raises ConfigError when it cannot be used."""

    def __init__(self, path: Path, *, make: bool = True) -> None:
        if not make and not path.exists():
            raise ConfigError(
                f"--tracking {path}: no such file: `stepdistill track add FOLDER` makes it"
            )
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = sqlite3.connect(path)
            columns = ", ".join(_NAMES)
            self._file.execute(
                f"CREATE TABLE IF NOT EXISTS runs ({columns}, PRIMARY KEY (source, key))"
            )
        except (OSError, sqlite3.Error) as error:
            raise self._wrong(error) from None

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, runs: Iterable[Run]) -> int:
        """Keep some runs, in place of the same ones from before; how many are new."""
        marks = ", ".join("?" * len(_NAMES))
        before = self._count()
        try:
            with self._file:
                self._file.executemany(
                    f"INSERT OR REPLACE INTO runs ({', '.join(_NAMES)}) VALUES ({marks})",
                    [astuple(run) for run in runs],
                )
        except sqlite3.Error as error:
            raise self._wrong(error) from None
        return self._count() - before

    def runs(self, *, hand_entered: bool = False) -> list[Run]:
        """All runs in the order they came. hand_entered: those too."""
        try:
            rows = self._file.execute(f"SELECT {', '.join(_NAMES)} FROM runs ORDER BY rowid")
            found = [_run(dict(zip(_NAMES, row, strict=True))) for row in rows]
        except sqlite3.Error as error:
            raise self._wrong(error) from None
        return [run for run in found if hand_entered or not run.hand_entered]

    def _count(self) -> int:
        try:
            [(count,)] = self._file.execute("SELECT count(*) FROM runs")
        except sqlite3.Error as error:
            raise self._wrong(error) from None
        return int(count)

    def _wrong(self, error: Exception) -> ConfigError:
        return ConfigError(f"--tracking {self.path}: cannot be used ({error}); name another file")


def _run(row: Mapping[str, object]) -> Run:
    # sqlite keeps a truth as 0 or 1; everything else comes back as it went in.
    return Run(**{**row, "hand_entered": bool(row["hand_entered"])})  # pyright: ignore[reportArgumentType]


def filtered_runs(settings: RunFilterSettings) -> tuple[list[Run], str]:
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
