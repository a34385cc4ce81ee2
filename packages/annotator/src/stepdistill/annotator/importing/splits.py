"""The rows of a file in three splits: which row goes where, and how sure one may be by it.

A row's split depends on its texts alone, and rows that say the same share the first one's, so that
none is trained on and tested on, and rows that are added later move hardly any others. How many
rows a split has is that chance's; where it is unfair to a label, as it is to rare ones, the next
rows in its order take others' places until it is within what chance usually does.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from math import ceil, floor, sqrt
from pathlib import Path
from typing import NamedTuple

from stepdistill.annotator.importing.columns import Columns
from stepdistill.annotator.importing.label_column import LabelColumn
from stepdistill.annotator.importing.row_origin import write_origin
from stepdistill.annotator.importing.survey import Survey
from stepdistill.common.errors import DatasetError
from stepdistill.common.files.json_file import RawRow, json_line
from stepdistill.common.intervals import wilson
from stepdistill.common.kinds.multi import list_text
from stepdistill.common.uniform import uniform_of
from stepdistill.common.whole_file import made_anew, whole_file

SPLITS = ("train", "valid", "test")
_SEED = 1  # of the splits; fixed, so that the same file always makes the same splits
# Rows with a label that valid and test want each, where a file has few of them: an accuracy is
# known to about 6 percent points either way by so many.
_WANTED = 250
_ALL = 0.99  # of the rows with a label, but for rounding
_USUALLY_RIGHT = 0.8  # of a student's answers, to say what interval a split allows


class _SameText(NamedTuple):
    """What rows that say the same have in common."""

    uniform: float
    label: str  # of the first that has one; "": of none


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """Which row of a file goes to which split."""

    rows: list[str]  # the split of each row, in the file's order
    repeated: int  # rows that say what an earlier one says


def divide(
    survey: Survey, columns: Columns, labels: LabelColumn, shares: Mapping[str, float]
) -> Division:
    """One pass over the file, to see all its texts. shares: of the rows in valid and test.

    Rows without a label go to train, where the teacher labels them, as long as others have one.
    """
    texts: dict[bytes, _SameText] = {}
    of_rows: list[bytes] = []
    n_labelled = 0
    for row in survey.read():
        digest, label = _digest(columns.text_of(row)), label_text(columns, row)
        n_labelled += bool(label)
        of_rows.append(digest)
        known = texts.get(digest)
        if known is None or (label and not known.label):
            texts[digest] = _SameText(uniform_of(_SEED, columns.drawn_by(row).encode()), label)
    wide = _shares_of_labelled(shares, n_labelled, survey.rows) if n_labelled else shares
    drawn = {key: text for key, text in texts.items() if text.label or not n_labelled}
    split_of = {**dict.fromkeys(texts, SPLITS[0]), **_splits_of(drawn, labels, wide)}
    rows = [split_of[digest] for digest in of_rows]
    return Division(rows=rows, repeated=len(rows) - len(texts))


def _splits_of(
    texts: Mapping[bytes, _SameText], labels: LabelColumn, shares: Mapping[str, float]
) -> dict[bytes, str]:
    """The split of each text that may go to any."""
    stratum = cache(labels.stratum)
    groups = defaultdict[str, list[tuple[float, bytes]]](list)
    for digest, text in texts.items():
        groups[stratum(text.label)].append((text.uniform, digest))
    left = {label: sorted(group) for label, group in groups.items()}
    # So many texts make one for each split; train needs none where valid and test get all.
    enough = len(SPLITS) - (sum(shares.values()) > _ALL)
    able = sum(len(group) >= enough for group in groups.values())
    split_of, above = dict.fromkeys(texts, SPLITS[0]), 0.0
    for split in SPLITS[1:]:
        share, below = shares[split], above + shares[split]
        drawn = {
            label: sum(above <= uniform < below for uniform, _ in group)
            for label, group in groups.items()
        }
        strata = {
            label: _Stratum(
                size=len(group),
                left=len(left[label]) - (len(group) >= enough == len(SPLITS)),  # one for train
                # One of each is too much where there are nearly as many labels as rows.
                least=int(len(group) >= enough and able <= share * len(texts)),
            )
            for label, group in groups.items()
        }
        for label, n in _stratified(drawn, strata, share).items():
            split_of |= dict.fromkeys((digest for _, digest in left[label][:n]), split)
            del left[label][:n]
        above = below
    return split_of


class _Stratum(NamedTuple):
    """The texts of one label. left: how many a split may still get. least: that it wants."""

    size: int
    left: int
    least: int


def _stratified(
    drawn: Mapping[str, int], strata: Mapping[str, _Stratum], share: float
) -> dict[str, int]:
    """How many texts of each label a split gets: as drawn, within a standard deviation; and as many
    of all labels together as were drawn, at least one."""
    taken: dict[str, int] = {}
    for label, of in strata.items():
        due, spread = share * of.size, sqrt(of.size * share * (1 - share))
        least = max(floor(due - spread), int(of.least and share > 0))
        taken[label] = max(0, min(max(drawn[label], least), ceil(due + spread), of.left))
    room = sum(max(0, of.left) for of in strata.values())
    total = min(max(sum(drawn.values()), int(share > 0)), room)
    # One more or less where a label is the furthest from its share.
    while (more := total - sum(taken.values())) > 0:
        label = min(
            (label for label, of in strata.items() if taken[label] < of.left),
            key=lambda label: taken[label] - share * strata[label].size,
        )
        taken[label] += 1
    for _ in range(-more):
        over = {label: n - share * strata[label].size for label, n in taken.items() if n}
        above_least = {
            label: by for label, by in over.items() if taken[label] > strata[label].least
        }
        taken[max(above_least or over, key=over.__getitem__)] -= 1
    return taken


def _shares_of_labelled(
    shares: Mapping[str, float], n_labelled: int, n_rows: int
) -> dict[str, float]:
    """Shares of the rows with a label. Where these are few, valid and test get them first: train
    needs none, as its labels are the teacher's."""
    wanted = {
        split: max(share * n_labelled, min(share * n_rows, _WANTED))
        for split, share in shares.items()
    }
    too_many = max(1.0, sum(wanted.values()) / n_labelled)
    # As they were given where nothing is missing: a share is not to change by rounding.
    return {
        split: shares[split] if n_labelled == n_rows else n / n_labelled / too_many
        for split, n in wanted.items()
    }


def label_text(columns: Columns, row: RawRow) -> str:
    """A row's label as text; "" where it has none."""
    return list_text(columns.label_of(row)).strip()


def write_splits(
    survey: Survey, columns: Columns, division: Division, folder: Path
) -> dict[str, Counter[str]]:
    """Write `SPLIT.jsonl` of each split, which must not be there, and where its rows stood; how
    often each label is in it. Raises DatasetError.
    """
    paths = free_paths(folder)
    counts = {split: Counter[str]() for split in SPLITS}
    one_file = survey.files[0] if len(survey.files) == 1 else survey.files[0].parent
    with made_anew(*paths.values()):
        with ExitStack() as stack:
            files = {split: stack.enter_context(whole_file(each)) for split, each in paths.items()}
            rows = survey.read()
            for split, row in zip(division.rows, rows, strict=False):
                counts[split][label_text(columns, row)] += 1
                files[split].write(json_line(whole_row(columns, row)))
            if next(rows, None) is not None or len(division.rows) > _total(counts):
                raise DatasetError(f"{survey.file}: changed while it was read: run this again")
        write_origin(folder, one_file, paths, division.rows)
    return counts


def free_paths(folder: Path) -> dict[str, Path]:
    """The file of each split. Raises DatasetError: one is there already."""
    paths = {split: folder / f"{split}.jsonl" for split in SPLITS}
    existing = [str(path) for path in paths.values() if path.exists()]
    if existing:
        raise DatasetError(f"{', '.join(existing)}: there already: take another --data-out")
    return paths


def _total(counts: Mapping[str, Counter[str]]) -> int:
    return sum(each.total() for each in counts.values())


def whole_row(columns: Columns, row: RawRow) -> RawRow:
    """A row as it is in the splits: null for what it leaves out, and the set that columns make."""
    missing = dict.fromkeys(columns.missing(row))
    made = {columns.label: columns.label_of(row)} if len(columns.labels) > 1 else {}
    return {**row, **missing, **made} if missing or made else row


def _digest(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=16).digest()


def interval(n: int) -> tuple[float, float]:
    """Where the accuracy of a student lies that is right in four of five of n rows: 95 %."""
    return wilson(round(_USUALLY_RIGHT * n), n)
