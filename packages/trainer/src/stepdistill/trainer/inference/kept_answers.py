"""Answers that a killed `predict` left behind, and whether they are those of this very command.

    labels.csv                    the finished file
    labels.csv.answers.part       a line for each row that is answered, until all are
    .labels.csv.predict.json      what both are of: model, rows, options

Only the same model, rows and options go on where they stopped, or find that there is nothing to do.
"""

import hashlib
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from stepdistill.common.errors import ConfigError
from stepdistill.common.whole_file import write_whole
from stepdistill.trainer.errors import refused
from stepdistill.trainer.locks import take
from stepdistill.trainer.settings.cascade import CASCADE_NAME

# Of a model: words that it is not asked with, and when its teacher is asked.
_BESIDE = ("README.md", CASCADE_NAME)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What answers are of."""

    model: str  # sha256 of its files
    rows: str  # sha256 of their file
    explain: bool
    abstain_below: float
    columns: tuple[str, ...]  # as given to --column
    escape_formulas: bool
    whole_rows: bool  # whether rows are written with them
    cascade: str | None = None  # sha256 of the rule by which the teacher is asked; None: it is not

    def differences(self, noted: dict[str, Any]) -> list[str]:
        """How what is noted differs from this, in words."""
        own = self.note()
        words = {
            "model": "of another model, or of this one before it was trained again",
            "rows": "to other rows",
            "explain": "without --explain" if self.explain else "with --explain",
            "abstain_below": f"with --abstain-below {noted.get('abstain_below')}",
            "columns": "with other --column",
            "escape_formulas": "with another --escape-formulas",
            "whole_rows": "by --output" if self.whole_rows else "by --to",
            "cascade": "without --defer, or by another cascade",
        }
        found = [words[name] for name, value in own.items() if noted.get(name) != value]
        return [*found, "with --defer"] if "cascade" in noted.keys() - own.keys() else found

    def note(self) -> dict[str, Any]:
        """What is noted of it: no cascade where there is none, as in notes of earlier versions."""
        told = {name: value for name, value in asdict(self).items() if name != "cascade"}
        told |= {} if self.cascade is None else {"cascade": self.cascade}
        return orjson.loads(orjson.dumps(told))


def digest_of_model(folder: Path) -> str:
    """sha256 of all files of a model: trained again, it is another."""
    digest = hashlib.sha256()
    with refused(folder, "read"):
        for file in sorted(folder.iterdir()):
            if file.is_file() and file.name not in _BESIDE:
                digest.update(f"{file.name} {_sha256(file)}\n".encode())
    return digest.hexdigest()


class KeptAnswers:
    """The answers to the rows of one command, on their way to a file. option: for messages."""

    def __init__(self, target: Path, identity: Identity, option: str) -> None:
        self.target, self._identity, self._name = target, identity, f"{option} {target}"
        self.part = target.with_name(f"{target.name}.answers.part")
        self._note = target.with_name(f".{target.name}.predict.json")

    def is_done(self) -> bool:
        """Whether the target holds these very answers. Raises ConfigError: it holds others, or
        nobody knows which."""
        with refused(self._name, "read"):
            answered = self.part.stat().st_size if self.part.exists() else 0
            return self._is_done(is_begun=answered > 0)

    def _is_done(self, *, is_begun: bool) -> bool:
        if not self.target.exists() and not is_begun:
            return False
        noted, advice = self._noted(), "name another file, or add --force to replace it"
        if noted is None:
            raise ConfigError(f"{self._name}: is there, and not of a predict known here: {advice}")
        differences = self._identity.differences(noted)
        if differences:
            raise ConfigError(f"{self._name}: holds answers {' and '.join(differences)}: {advice}")
        if not self.target.exists() or noted.get("sha256") is None:
            return False  # a killed one was not through, or not through with its note
        if _sha256(self.target) != noted["sha256"]:
            raise ConfigError(f"{self._name}: was changed since it was written: {advice}")
        return True

    @contextmanager
    def lines(self, *, force: bool) -> Generator[tuple[BinaryIO, int]]:
        """(where lines of answers go, how many are there already), for this process alone. With
        force there are none. Raises ConfigError."""
        with refused(self._name):
            self.target.parent.mkdir(parents=True, exist_ok=True)
            with self.part.open("a+b") as file:
                if not take(file.fileno()) or not self._is_part(file):
                    raise ConfigError(f"{self._name}: another predict is writing it")
                if force:
                    file.truncate(0)
                # Again, behind the lock: another may have come to its end since that was asked.
                elif self._is_done(is_begun=os.fstat(file.fileno()).st_size > 0):
                    raise ConfigError(f"{self._name}: another predict has just written it")
                self._write_note(None)
                file.seek(0)
                whole = [len(line) for line in file if line.endswith(b"\n")]
                file.truncate(sum(whole))  # a torn last line is answered again
                yield file, len(whole)

    def _is_part(self, file: BinaryIO) -> bool:
        """Whether an open file is still the one of that name, and not renamed meanwhile."""
        try:
            return os.path.samestat(os.fstat(file.fileno()), self.part.stat())
        except FileNotFoundError:
            return False

    def through(self, file: BinaryIO) -> None:
        """All rows are answered: put the lines on the disk, and in their place where they are what
        was asked for."""
        with refused(self._name):
            file.flush()
            os.fsync(file.fileno())
            if not self._identity.whole_rows:
                self.part.replace(self.target)

    def done(self) -> None:
        """The target is written: note what it holds."""
        with refused(self._name):
            self._write_note(_sha256(self.target))
            self.part.unlink(missing_ok=True)

    def _noted(self) -> dict[str, Any] | None:
        try:
            noted = orjson.loads(self._note.read_bytes())
        except (OSError, orjson.JSONDecodeError):
            return None
        return noted if isinstance(noted, dict) else None

    def _write_note(self, sha256: str | None) -> None:
        note = {**self._identity.note(), "sha256": sha256}
        write_whole(self._note, orjson.dumps(note, option=orjson.OPT_INDENT_2))


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
