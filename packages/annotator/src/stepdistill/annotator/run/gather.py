"""Gather: the shards of several runs, each of a part of the rows, become those of one run.

What is written is what one machine would have written: the same records in the same order, cut into
the same files. Nothing is read again but lines: of a part every byte is checked by its manifest.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import orjson

from stepdistill.annotator.errors import RowsUnanswered
from stepdistill.annotator.money.bill import cut_off_of
from stepdistill.annotator.reading.record import UNREACHED
from stepdistill.annotator.run.conclusions import OVER_THE_RATE
from stepdistill.annotator.run.rationale_rate import Explained, out_of_reach
from stepdistill.annotator.run.summary import summed
from stepdistill.annotator.shard.elsewhere import shard_writer
from stepdistill.annotator.shard.jsonl import JsonlWriter, line_of
from stepdistill.common.errors import ConfigError, ShardError
from stepdistill.common.manifest import (
    MANIFEST_NAME,
    REJECTS_NAME,
    CostEntry,
    Counts,
    JudgementsEntry,
    Manifest,
    Rationales,
    RowShardEntry,
    ShardEntry,
    TokenTotals,
)
from stepdistill.common.record import read_record
from stepdistill.common.shard_copies import local_shards, split_folders
from stepdistill.common.shards import read_lines, read_manifest, verify
from stepdistill.common.uniform import uniform_of_text
from stepdistill.common.urls import Place, Url

Tell = Callable[[str], Callable[[int], None]]
_TELL_EVERY = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One shard of the rows of a split."""

    place: Place
    folder: Path  # the same, or a copy of what is elsewhere
    manifest: Manifest
    shard: RowShardEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """What came of it. error: what is missing in it, though it is written."""

    manifests: dict[str, Manifest]  # by split
    warnings: tuple[str, ...]
    error: RowsUnanswered | None


def gather(folders: Sequence[Place], out: Place, tell: Tell) -> Gathered:
    """Join the shards that runs with --shard have written to these folders. Raises ShardError,
    ConfigError: they do not make up one run; then nothing is written."""
    if _whole_place(out) in map(_whole_place, folders):
        raise ConfigError(f"--out {out}: this is one of the parts: name another folder")
    splits = _splits_of(folders)
    parts = {split: _parts_of([folder / split for folder in folders]) for split in splits}
    manifests, warnings = dict[str, Manifest](), list[str]()
    with ExitStack() as stack:  # all splits or none
        for split, found in parts.items():
            joined = _Joined(found)
            rows_per_shard = found[0].shard.rows_per_shard
            writer = stack.enter_context(shard_writer(out / split, rows_per_shard))
            manifests[split] = joined.write(writer, tell(f"rows of {split} joined"))
            warnings += joined.warnings
            joined.publish(writer, manifests[split])
    return Gathered(
        manifests=manifests,
        warnings=tuple(warnings),
        error=_unanswered(list(parts.values())),
    )


def _splits_of(folders: Sequence[Place]) -> list[str]:
    """The splits that all folders have. Raises ShardError: they have not the same, or none."""
    found = {folder: _splits_in(folder) for folder in folders}
    first = found[folders[0]]
    for folder, splits in found.items():
        if not splits:
            raise ShardError(
                f"{folder}: no split with a {MANIFEST_NAME} in it: name what --out of "
                "`annotate run --shard` was, once that run is complete"
            )
        if splits != first:
            raise ShardError(
                f"{folder} has {', '.join(splits)}, and {folders[0]} {', '.join(first)}: the parts "
                "of one run have the same splits"
            )
    return first


def _whole_place(place: Place) -> Place:
    return place.resolve() if isinstance(place, Path) else place


def _splits_in(folder: Place) -> list[str]:
    if isinstance(folder, Url):
        return sorted(each.name for each in split_folders(folder) if each != folder)
    try:
        return sorted(path.parent.name for path in folder.glob(f"*/{MANIFEST_NAME}"))
    except OSError as error:
        raise ShardError(f"{folder}: cannot be read ({error.strerror})") from None


def _parts_of(folders: Sequence[Place]) -> list[Part]:
    """The parts in these folders, in the order of their rows. Raises ShardError: they are not all
    parts of one run, and each of them once."""
    parts = sorted(map(_part_in, folders), key=lambda part: part.shard.number)
    first = parts[0]
    for part in parts[1:]:
        if part.shard.of != first.shard.of or part.shard.whole != first.shard.whole:
            raise ShardError(
                f"{part.place} and {first.place} are not of one run: {_difference(first, part)}"
            )
    numbers = Counter(part.shard.number for part in parts)
    twice = [str(number) for number, n in numbers.items() if n > 1]
    missing = [str(number) for number in range(first.shard.of) if number not in numbers]
    if twice or missing:
        which = [f"shard {', '.join(twice)} is there twice"] if twice else []
        which += [f"shard {', '.join(missing[:9])} is missing"] if missing else []
        raise ShardError(f"{first.place.name}: of {first.shard.of} shards {' and '.join(which)}")
    return parts


def _part_in(place: Place) -> Part:
    folder = local_shards(place, with_rejects=True)
    manifest = read_manifest(folder)
    if manifest.row_shard is None:
        raise ShardError(
            f"{place}: these are all rows of their split, not a shard of them (annotate run "
            "--shard i/N)"
        )
    if isinstance(place, Path):  # a copy was looked through as it was made
        verify(folder, manifest)
    return Part(place=place, folder=folder, manifest=manifest, shard=manifest.row_shard)


def _difference(one: Part, other: Part) -> str:
    """In which way two parts are of different runs."""
    if one.shard.of != other.shard.of:
        return f"one is of {one.shard.of} shards, the other of {other.shard.of}"
    mine, its = one.manifest, other.manifest
    for what, a, b in (
        ("task.yaml differs", mine.hashes.task, its.hashes.task),
        ("prompts, mix or the model's options differ", mine.hashes.prompts, its.hashes.prompts),
        ("the rows come from other data", mine.hashes.data, its.hashes.data),
        ("the teacher differs", mine.teacher, its.teacher),
        ("the reader differs", mine.reader, its.reader),
        ("people's judgements differ", _judged(mine), _judged(its)),
    ):
        if a != b:
            return what
    return "an option of theirs differs (--samples, --votes, --rows-per-shard, --filter, ...)"


def _judged(manifest: Manifest) -> str | None:
    return manifest.judgements and manifest.judgements.sha256


class _Joined:
    """The parts of one split as one."""

    def __init__(self, parts: list[Part]) -> None:
        self._parts, self._first = parts, parts[0].manifest
        self.warnings: list[str] = []
        self._rate = self._first.rationales.asked_rate if self._first.rationales else 1.0
        self._over = 0  # records that lost their reasons to the rate
        self._shards: list[ShardEntry] = []

    def write(self, writer: JsonlWriter, tell: Callable[[int], None]) -> Manifest:
        """All lines; the manifest that goes with them."""
        below = 1.0 if self._rate >= 1 else self._below()
        for n, (part, line) in enumerate(self._lines(), start=1):
            writer.record_line(line if below >= 1 else self._rationed(part, line, below))
            if n % _TELL_EVERY == 0:
                tell(n)
        for part in self._parts:
            with (part.folder / REJECTS_NAME).open("rb") as file:
                for line in file:
                    writer.reject_line(line, str(orjson.loads(line)["reason"]))
        counts, self._shards = writer.close_files()
        return self._manifest(counts)

    def publish(self, writer: JsonlWriter, manifest: Manifest) -> None:
        """Everything takes its place. Raises ShardError: rejects were changed."""
        rows = sum(part.manifest.counts.rows for part in self._parts)
        if manifest.counts.rows != rows:
            raise ShardError(
                f"{self._parts[0].place.parent}: {REJECTS_NAME} has other rows than its manifest "
                "says: run that shard again"
            )
        writer.publish(manifest)

    def _lines(self) -> Iterator[tuple[Part, bytes]]:
        return (
            (part, line) for part in self._parts for line in read_lines(part.folder, part.manifest)
        )

    def _below(self) -> float:
        """Records with a number below this keep their reasons. Raises ShardError: some rows that
        should have reasons were not asked for them."""
        numbers, records = array("d"), 0
        for part, line in self._lines():
            records += 1
            record = read_record(line)
            if record.rationale is not None:
                numbers.append(_uniform(part, record.id))
        found = Explained(records=records, uniform=array("d", sorted(numbers)))
        below, asked = found.below(self._rate), min(p.shard.asked_below for p in self._parts)
        if asked < (1.0 if below is None else below):
            raise ShardError(
                f"--rationale-rate {self._rate:g}: which rows should have reasons is known now "
                "that all are together, and some were not asked for theirs: join the stores with "
                "`annotate store merge`, and run the same without --shard: it asks these, and "
                "nothing else"
            )
        if below is None:
            self.warnings.append(out_of_reach(self._first.split, self._rate, found))
        return 1.0 if below is None else below

    def _rationed(self, part: Part, line: bytes, below: float) -> bytes:
        record = read_record(line)
        if record.rationale is None or _uniform(part, record.id) < below:
            return line
        self._over += 1
        return line_of(record.without_rationale())

    def _manifest(self, counts: Counts) -> Manifest:
        manifests = [part.manifest for part in self._parts]
        golds = [each.judgements.golds for each in manifests if each.judgements]
        judged = self._first.judgements
        return self._first.model_copy(
            update={
                "counts": counts,
                "shards": self._shards,
                "fingerprint": self._parts[0].shard.whole,
                "rationales": self._rationales(manifests),
                "answers": sum(each.answers for each in manifests),
                "tokens": TokenTotals(**summed(each.tokens.model_dump() for each in manifests)),
                "cut_off": cut_off_of(each.cut_off for each in manifests),
                "cost": self._cost(manifests),
                "judgements": judged and JudgementsEntry(sha256=judged.sha256, golds=sum(golds)),
                "row_shard": None,
            }
        )

    def _rationales(self, manifests: list[Manifest]) -> Rationales:
        found = [each.rationales for each in manifests if each.rationales]
        over = {OVER_THE_RATE: self._over} if self._over else {}
        dropped = summed([*(each.dropped for each in found), over])
        return Rationales(
            records=sum(each.records for each in found) - self._over,
            asked_rate=self._rate,
            dropped=dropped,
        )

    def _cost(self, manifests: list[Manifest]) -> CostEntry:
        """As one bill of all answers says it."""
        billed = [each for each in manifests if each.answers] or manifests[:1]
        shards = [part.shard for part in self._parts]
        answers, reported = sum(m.answers for m in manifests), sum(s.reported for s in shards)
        said = round(sum(s.reported_usd for s in shards), 6) if answers == reported else None
        said = said if answers else None
        unpriced = next((each.cost for each in billed if each.cost.usd is None), None)
        exact = [shard.usd for shard in shards]
        if unpriced is not None or None in exact:
            price = next(each.cost.price for each in billed if unpriced in (None, each.cost))
            return CostEntry(usd=said, price=price, reported_usd=said)
        usd = sum(map(Decimal, filter(None, exact)), Decimal(0))
        prices = {name for each in billed for name in each.cost.price.split(", ")}
        return CostEntry(
            usd=float(round(usd, 6)), price=", ".join(sorted(prices)), reported_usd=said
        )


def _uniform(part: Part, row_id: str) -> float:
    return uniform_of_text(f"{part.shard.seed} {row_id}")


def _unanswered(splits: list[list[Part]]) -> RowsUnanswered | None:
    """What is to be said of rows that were not answered, and of whose they are."""
    n, where = 0, list[str]()
    for part in (part for parts in splits for part in parts):
        rejected = part.manifest.counts.rejected
        if missing := sum(rejected.get(reason, 0) for reason in UNREACHED):
            n += missing
            where.append(str(part.place.parent))
    if not n:
        return None
    rows = "1 row was" if n == 1 else f"{n:,} rows were"
    return RowsUnanswered(
        f"{rows} not answered (in {', '.join(dict.fromkeys(where))}): run these shards again, then "
        "gather again"
    )
