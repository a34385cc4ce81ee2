"""What people say of a run's labels: `judgements.jsonl`, a line for each judgement, only added to.

    {"at": 1790000000.0, "judge": "ann", "split": "train", "id": "7", "row": "<sha256>",
     "answer": "<sha256>", "label": "addition", "verdict": "wrong", "right": "subtraction",
     "reasons": "bad", "rationale": "<sha256>"}

A judgement is of an answer: of a row, as it was then, and the label that it had. `answer` is the
digest of both, so a judgement is never taken for one of another label, nor of a row that has
changed. To take one back is a line, too (`"verdict": "undone"`). Each line is on the disk before
`add` returns; a last line that a crash has torn is left out, and the next line takes its place.
"""

import fcntl
import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stepdistill.common.errors import ConfigError
from stepdistill.common.record import Record

JUDGEMENTS_NAME = "judgements.jsonl"
Verdict = Literal["right", "wrong", "cannot_tell"]
_DIGEST = r"^[0-9a-f]{64}$"
_BOUND = 1 << 20  # bytes of a line: a label may be long, but not that long


class Judgement(BaseModel):
    """A line of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at: float  # seconds since 1970
    judge: str = Field(min_length=1, max_length=200)  # who says so
    split: str
    id: str  # the row's
    row: str = Field(pattern=_DIGEST)  # `row_digest`
    answer: str = Field(pattern=_DIGEST)  # `answer_digest`
    label: str  # that was judged
    verdict: Verdict | Literal["undone"]
    right: str | None = None  # the right label, of a wrong one; None: not said
    reasons: Literal["good", "bad"] | None = None  # how the rationale is; None: not said
    rationale: str | None = Field(default=None, pattern=_DIGEST)  # sha256 of the one that was shown

    @property
    def told(self) -> str | None:
        """The label that the row should have; None where nobody said."""
        return self.label if self.verdict == "right" else self.right


def row_digest(row_id: str, fields: Mapping[str, str]) -> str:
    """What a row is known by: its id and its texts."""
    return _sha256([row_id, dict(sorted(fields.items()))])


def answer_digest(row: str, label: str) -> str:
    """What is judged: a row of this digest, and its label."""
    return _sha256([row, label])


def text_digest(text: str | None) -> str | None:
    """Of a rationale."""
    return None if text is None else _sha256(text)


def _sha256(content: object) -> str:
    return hashlib.sha256(orjson.dumps(content)).hexdigest()


@dataclass(frozen=True)
class Judgements:
    """The judgements of a file that stand: of each judge the last one of an answer."""

    path: Path
    each: tuple[Judgement, ...]  # in the order in which they were made
    sha256: str  # of the file

    @cached_property
    def _by_answer(self) -> Mapping[str, list[Judgement]]:
        return _grouped(self.each, "answer")

    @cached_property
    def _by_row(self) -> Mapping[str, list[Judgement]]:
        return _grouped(self.each, "row")

    def of(self, answer: str) -> list[Judgement]:
        """All judges' of this answer."""
        return self._by_answer.get(answer, [])

    def agreed(self, answer: str) -> Judgement | None:
        """What counts of an answer: most judges' verdict, of two with as many the earlier."""
        return _elected(self.of(answer))

    def right_label(self, row: str) -> str | None:
        """The label that a row should have, as most judges say; None where nobody says."""
        said = [each.told for each in self._by_row.get(row, []) if each.told is not None]
        return Counter(said).most_common(1)[0][0] if said else None

    def correction(self, record: Record) -> "Correction | None":
        """What becomes of a record: its label as judged, or that it is known to be wrong. None
        where nobody has judged it, or could tell."""
        row = row_digest(record.id, record.input)
        if (label := self.right_label(row)) is not None:
            return Correction(label)
        found = self.agreed(answer_digest(row, record.label)) if record.label is not None else None
        return Correction(None) if found is not None and found.verdict == "wrong" else None


@dataclass(frozen=True, slots=True)
class Correction:
    """What is known of a record's label by judgements.

    label: the right one; None: its own is wrong, and nobody said which is right.
    """

    label: str | None


def _grouped(judgements: Iterable[Judgement], name: str) -> dict[str, list[Judgement]]:
    found: defaultdict[str, list[Judgement]] = defaultdict(list)
    for each in judgements:
        found[getattr(each, name)].append(each)
    return dict(found)


def _elected(judgements: list[Judgement]) -> Judgement | None:
    if not judgements:
        return None
    votes = Counter(each.verdict for each in judgements)
    return max(judgements, key=lambda each: votes[each.verdict])


def read_judgements(path: Path) -> Judgements:
    """The judgements that stand in a file; none where there is no file. Raises ConfigError: it
    cannot be read, or a line of it is broken."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        content = b""
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    lines = content.split(b"\n")
    # Whatever stands after the last line feed was never acknowledged: a crash tore it.
    torn = lines.pop()
    found = [_read(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if torn.strip() and (last := _whole(torn)) is not None:
        found.append(last)
    standing: dict[tuple[str, str], Judgement] = {}
    for each in found:
        standing.pop((each.judge, each.answer), None)
        if each.verdict != "undone":
            standing[each.judge, each.answer] = each
    return Judgements(path, tuple(standing.values()), hashlib.sha256(content).hexdigest())


def _read(path: Path, number: int, line: bytes) -> Judgement:
    try:
        return Judgement.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        what = ".".join(map(str, first["loc"])) or "the line"
        raise ConfigError(
            f"{path} line {number}: not a judgement ({what}: {first['msg']}): mend the line, or "
            "take it out"
        ) from None


def _whole(line: bytes) -> Judgement | None:
    try:
        return Judgement.model_validate_json(line)
    except ValidationError:
        return None


def add_judgement(path: Path, judgement: Judgement) -> None:
    """Add a line, and return once it is on the disk. Others may add lines at the same time: they
    wait. Raises ConfigError."""
    line = orjson.dumps(judgement.model_dump(exclude_none=True)) + b"\n"
    if len(line) > _BOUND:
        raise ConfigError(f"{path}: a judgement of {len(line):,} bytes is too long to be kept")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists()
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            _end_line(handle)
            left = memoryview(line)
            while left:  # a file may take less than it is given
                left = left[os.write(handle, left) :]
            os.fsync(handle)
        finally:
            os.close(handle)  # and with it the lock
        if is_new:
            _sync_folder(path.parent)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror})") from None


def _end_line(handle: int) -> None:
    """Go to where the next line begins. What a crash left of a line is cut off, but for a line that
    lacks its line feed alone."""
    size = os.lseek(handle, 0, os.SEEK_END)
    start = max(0, size - _BOUND)
    tail = os.pread(handle, size - start, start)
    torn = tail[tail.rfind(b"\n") + 1 :]
    if not torn:
        return
    if _whole(torn) is not None:
        os.write(handle, b"\n")
    elif len(torn) < len(tail) or start == 0:
        os.ftruncate(handle, size - len(torn))
        os.lseek(handle, 0, os.SEEK_END)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
