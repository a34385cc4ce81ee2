"""What is done of a `distil`: each step's command, what it worked on, and what came of it."""

import hashlib
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from stepdistill.common.errors import ConfigError
from stepdistill.common.whole_file import write_whole
from stepdistill.trainer.errors import first_problem, refused
from stepdistill.trainer.locks import claim

JOURNAL_NAME = "distil.json"
_LOCK_NAME = ".distil.lock"


class Entry(BaseModel):
    """A step that was begun."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    words: list[str]  # its command
    inputs: str  # sha256 of the files that it works on
    seconds: float = 0.0
    replaced_s: float = 0.0  # that it took by other commands, or on other files: paid for, too
    bought_usd: float = 0.0  # of an experiment: that rows had cost before it, on the same account
    result: dict[str, Any] | None = None  # what it said at its end; None: it has not come to that


class _Content(BaseModel):
    model_config = ConfigDict(extra="forbid")

    steps: dict[str, Entry] = {}


class Journal:
    """The journal in a folder; every change is written at once."""

    def __init__(self, folder: Path) -> None:
        """Raises ConfigError: a file of this name is there and cannot be read."""
        self._path = folder / JOURNAL_NAME
        try:
            self._content = _Content.model_validate_json(self._path.read_bytes())
        except FileNotFoundError:
            self._content = _Content()
        except (OSError, ValidationError) as error:
            why = first_problem(error) if isinstance(error, ValidationError) else error
            raise ConfigError(
                f"{self._path}: not the journal of a distil ({why}): take another --out"
            ) from None

    def begun(self, name: str) -> Entry | None:
        """A step as it was begun, whether or not it has ended."""
        return self._content.steps.get(name)

    def finished(self, name: str, words: list[str], inputs: str) -> Entry | None:
        """A step that has ended, where it was the same command on the same files."""
        entry = self.begun(name)
        is_same = self.is_begun(name, words, inputs)
        return entry if entry is not None and is_same and entry.result is not None else None

    def is_begun(self, name: str, words: list[str], inputs: str) -> bool:
        """Whether a step was begun, by the same command on the same files."""
        entry = self.begun(name)
        return entry is not None and (entry.words, entry.inputs) == (words, inputs)

    def write(self, name: str, entry: Entry) -> None:
        """Note how far a step is."""
        self._content.steps[name] = entry
        self._save()

    def forget(self, name: str) -> None:
        """A step was not begun, after all."""
        if self._content.steps.pop(name, None) is not None:
            self._save()

    def _save(self) -> None:
        with refused(self._path):
            write_whole(self._path, f"{self._content.model_dump_json(indent=2)}\n".encode())


@contextmanager
def claimed(folder: Path) -> Generator[int]:
    """The folder's lock as a file descriptor, for whatever is started in it: a command that
    outlives a killed distil holds it still. Raises ConfigError: somebody else has it."""
    with claim(folder, _LOCK_NAME) as lock:
        if lock is None:
            raise ConfigError(
                f"--out {folder}: another distil, or a command that one has started, is at work "
                "there: wait for it"
            )
        yield lock


def digest_of(paths: Iterable[Path]) -> str:
    """sha256 of files, and of all files in folders, by name and content; what is not there is
    nothing. Raises ConfigError."""
    digest = hashlib.sha256()
    for path in paths:
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if file.is_file():
                with refused(file, "read"), file.open("rb") as content:
                    inner = hashlib.file_digest(content, "sha256").hexdigest()
                digest.update(f"{file.relative_to(path.parent)}\0{inner}\n".encode())
    return digest.hexdigest()
