"""Shards, checked against their manifests, and files without one, as the splits of a run.

    --train runs/esnli/train more.jsonl     lines of {"id": "7", "input": {...}, "gold": "neutral"}
    --train rows.jsonl --cot train_CoT.json lines of {"label": ..., "explanation": ...}, row by row

What the labels are and how a row is put to the student, a file takes from the first folder of
shards of the same run. An explanation or a label that is missing or blank stays missing.
"""

import codecs
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from math import nextafter
from pathlib import Path
from typing import TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from stepdistill.common.errors import ShardError
from stepdistill.common.kinds.kind import Kind, named_in
from stepdistill.common.kinds.registry import kind_of
from stepdistill.common.manifest import Counts, Manifest, ShardEntry
from stepdistill.common.record import PartRef, Record
from stepdistill.common.shard_copies import local_shards
from stepdistill.common.shards import read_manifest, read_records, verify
from stepdistill.common.uniform import uniform_of_text
from stepdistill.common.urls import Place, Url
from stepdistill.trainer.errors import first_problem, refused
from stepdistill.trainer.settings.train import TrainSettings

_SHOWN = 8  # labels in a message
_NOBODY = PartRef(label=None, rationale=None)
_Line = TypeVar("_Line", bound=BaseModel)


class _Row(BaseModel):
    """A line of a file of rows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str | int | None = None  # None: its place in the file, from 0
    input: dict[str, str]
    gold: str | None = None
    label: str | None = None
    rationale: str | None = None


class _CotLine(BaseModel):
    """A line of the original's file; other fields of it are not looked at."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    label: str | None = None
    explanation: str | None = None


def _read_file(path: Path, split: str, like: Manifest) -> tuple[Manifest, tuple[Record, ...]]:
    """The rows of a file as records, with a manifest made for it."""
    kind = kind_of(like.label)
    records = tuple(
        Record(
            id=str(place if row.id is None else row.id),
            split=split,
            index=place,
            input=row.input,
            label=_label(row, "label", kind, f"{path} line {number}"),
            rationale=row.rationale,
            gold=_label(row, "gold", kind, f"{path} line {number}"),
            templates=_NOBODY,
            keys=_NOBODY,
            confidence=None,
        )
        for place, (number, row) in enumerate(_lines(path, _Row))
    )
    entry = entry_of(path, len(records))
    counts = Counts(rows=len(records), records=len(records), rejected={})
    changes = {"split": split, "counts": counts, "shards": [entry], "fingerprint": entry.sha256}
    return like.model_copy(update=changes), records


def _label(row: _Row, name: str, kind: Kind, where: str) -> str | None:
    """A label of a row in the task's own words. Raises ShardError where it is none of the task's:
    nobody could learn it, or be right on it."""
    text = (getattr(row, name) or "").strip()
    if not text:
        return None
    choices, label = kind.choices(row.input), kind.gold(text)
    if label is not None and choices:
        label = named_in(choices, label)
    if label is None:
        shown = ", ".join(choices[:_SHOWN]) + ", ..." * (len(choices) > _SHOWN)
        known = f" ({shown})" if choices else ""
        raise ShardError(
            f"{where}: {name} {text!r} is no label of the task{known}: mend it, or leave it out"
        )
    return label


def _lines(path: Path, kind: type[_Line]) -> Iterator[tuple[int, _Line]]:
    """Each line that has something in it, with its number from 1."""
    with refused(path, "read", ShardError):
        content = path.read_bytes().removeprefix(codecs.BOM_UTF8).splitlines()
    for number, line in enumerate(content, start=1):
        if not line.strip():
            continue
        try:
            yield number, kind.model_validate_json(line)
        except ValidationError as error:
            raise ShardError(f"{path} line {number}: {first_problem(error, 'row')}") from None


def entry_of(path: Path, rows: int) -> ShardEntry:
    """A file as a manifest lists it."""
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return ShardEntry(file=path.name, rows=rows, bytes=len(content), sha256=digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitPart:
    """One folder of shards, read whole."""

    folder: Place
    manifest: Manifest
    records: tuple[Record, ...]


@dataclass(slots=True)
class Corrections:
    """What people's judgements changed of a split's records, in rows."""

    path: Path  # of the judgements
    learns: bool  # whether they change what is learnt
    golds: int = 0  # whose gold label is a person's
    confirmed: int = 0  # that are learnt as the teacher labelled them, as a person says so, too
    changed: int = 0  # that are learnt with a person's label
    left_out: int = 0  # whose label is wrong, and nobody said which is right
    reasons_left_out: int = 0  # whose reasons are bad

    def facts(self) -> dict[str, object]:
        """For results."""
        return {**asdict(self), "path": str(self.path)}


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSplit:
    """All folders given for one use."""

    name: str  # train, valid or test, whatever the folders say
    parts: tuple[SplitPart, ...]
    corrections: Corrections | None = None  # None: no judgements were asked for

    def records(self) -> Iterator[Record]:
        """Every record, folder by folder, in row order."""
        return (record for part in self.parts for record in part.records)


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """What a run learns from, is selected by and is judged on; one label kind throughout."""

    train: DataSplit
    valid: DataSplit
    test: DataSplit
    kind: Kind


def read_data(config: TrainSettings) -> Data:
    """Read and check every shard. Raises ShardError: missing, damaged, or kinds that differ.

    Without --valid a share of the training rows is put aside, chosen by their ids alone.
    """
    like = _first_manifest([*config.train, *config.valid, *config.test])
    train, test = read_split("train", config.train, like), read_split("test", config.test, like)
    if config.cot is not None:
        train = _with_cot(train, config.cot)
    if config.valid:
        valid = read_split("valid", config.valid, like)
    else:
        train, valid = _put_aside(train, config.valid_share)
    return Data(train=train, valid=valid, test=test, kind=_one_kind((train, valid, test)))


def data_fingerprint(data: Data) -> str:
    """sha256 over every shard's sha256, the student's templates and the labels' kinds."""
    parts = [
        [
            split.name,
            [shard.sha256 for shard in part.manifest.shards],
            part.manifest.student.input,
            part.manifest.label.kind,
        ]
        for split in (data.train, data.valid, data.test)
        for part in split.parts
    ]
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()


def held_out(split: DataSplit, share: float) -> DataSplit:
    """The rows that a run without --valid puts aside of its training rows. Raises ShardError."""
    return _put_aside(split, share)[1]


def _put_aside(split: DataSplit, share: float) -> tuple[DataSplit, DataSplit]:
    """(the rows that stay, those put aside). A row's own id decides: no other choice moves it.
    Where none would be put aside, the first by that order is. Raises ShardError: one row alone."""
    ranks = sorted(uniform_of_text(f"valid/{r.id}") for r in split.records() if r.gold is not None)
    if len(ranks) < 2:
        have = "1 row has" if ranks else "no row has"
        raise ShardError(
            f"--train: {have} a gold label, too few to put some aside to select by: give --valid, "
            "or more rows"
        )
    share = max(share, nextafter(ranks[0], 1.0))

    def take(part: SplitPart, *, aside: bool) -> SplitPart:
        chosen = (r for r in part.records if (uniform_of_text(f"valid/{r.id}") < share) is aside)
        return replace(part, records=tuple(chosen))

    stay = tuple(take(part, aside=False) for part in split.parts)
    aside = tuple(take(part, aside=True) for part in split.parts)
    return DataSplit(name="train", parts=stay), DataSplit(name="valid", parts=aside)


def read_split(name: str, folders: Sequence[Place], like: Manifest | None = None) -> DataSplit:
    """Read and check some folders, or files, as one split. Raises ShardError.

    like: what files take their labels' kind and the student's template from.
    """
    return DataSplit(name=name, parts=tuple(_part(folder, name, like) for folder in folders))


def _first_manifest(paths: Sequence[Place]) -> Manifest:
    for path in paths:
        if isinstance(path, Url) or not path.is_file():
            return read_manifest(path)
    raise ShardError(
        f"{paths[0]}: a file says nothing of labels and template: name a folder of shards beside it"
    )


def _with_cot(split: DataSplit, cot: Path) -> DataSplit:
    """The split with label and rationale from the original's file, line by line."""
    if len(split.parts) != 1:
        raise ShardError(f"--cot {cot}: goes with one --train, the rows that it was made for")
    [part] = split.parts
    lines = [line for _, line in _lines(cot, _CotLine)]
    if len(lines) != len(part.records):
        raise ShardError(
            f"--cot {cot}: {len(lines)} lines for {len(part.records)} rows: it goes by the order "
            "of the rows, so name the very file of rows that it was made for"
        )
    records = tuple(
        replace(record, label=line.label, rationale=line.explanation, other_rationales=None)
        for record, line in zip(part.records, lines, strict=True)
    )
    # Listed as a shard, so that other explanations make another run.
    shards = [*part.manifest.shards, entry_of(cot, len(records))]
    manifest = part.manifest.model_copy(update={"shards": shards})
    return replace(split, parts=(replace(part, manifest=manifest, records=records),))


def _part(folder: Place, name: str, like: Manifest | None) -> SplitPart:
    if isinstance(folder, Path) and folder.is_file() and like is not None:
        manifest, records = _read_file(folder, name, like)
    else:
        here = local_shards(folder)  # one copy for all ranks of this machine
        manifest = read_manifest(here)
        if isinstance(folder, Path):  # a copy was looked through as it was made
            verify(here, manifest)
        records = tuple(read_records(here, manifest))
    # Labels and rationales are joined by id: one that stands twice joins the wrong rows.
    [(most, times)] = Counter(record.id for record in records).most_common(1) or [("", 0)]
    if times > 1:
        raise ShardError(
            f"{folder}: row id {most} stands twice: make the ids of the dataset unique or "
            "leave `id` out of task.yaml, and annotate again (nothing is paid for twice)"
        )
    return SplitPart(folder=folder, manifest=manifest, records=records)


def _one_kind(splits: Sequence[DataSplit]) -> Kind:
    first, *others = (part for split in splits for part in split.parts)
    for part in others:
        if part.manifest.label.kind != first.manifest.label.kind:
            raise ShardError(
                f"{part.folder}: labels are of kind {part.manifest.label.kind}, those of "
                f"{first.folder} of kind {first.manifest.label.kind}: train them apart"
            )
    return kind_of(first.manifest.label)
