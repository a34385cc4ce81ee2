"""One file of rows into train, valid and test, by what the rows say.

A row's split depends on its text alone: rows that say the same share a split, so that none is
learnt from and judged on, and rows that are added later move no others.
"""

from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import orjson

from stepdistill.annotator.dataset.files import reader_of
from stepdistill.annotator.dataset.selection import lot
from stepdistill.annotator.importing.new_task import Columns, text_of
from stepdistill.common.errors import DatasetError

SPLITS = ("train", "valid", "test")
_SEED = 1


def write_splits(
    file: Path, columns: Columns, folder: Path, shares: Mapping[str, float]
) -> dict[str, Counter[str]]:
    """Write `SPLIT.jsonl` of each split, which must not be there; how often each label is in it.

    Rows without a label go to train, where the teacher labels them. Raises DatasetError.
    """
    paths = {split: folder / f"{split}.jsonl" for split in SPLITS}
    there = [str(path) for path in paths.values() if path.exists()]
    if there:
        raise DatasetError(f"{', '.join(there)}: there already: take another --data-out")
    folder.mkdir(parents=True, exist_ok=True)
    counts = {split: Counter[str]() for split in SPLITS}
    temporary = {split: path.with_suffix(".part") for split, path in paths.items()}
    with ExitStack() as stack:
        files = {split: stack.enter_context(part.open("wb")) for split, part in temporary.items()}
        for row in reader_of(file)(file):
            label = str(row.get(columns.label) or "").strip()
            split = _split(text_of(row, columns), shares) if label else "train"
            counts[split][label] += 1
            files[split].write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE, default=str))
    for split, part in temporary.items():
        part.replace(paths[split])
    return counts


def _split(text: str, shares: Mapping[str, float]) -> str:
    drawn = lot(_SEED, text)
    for split in SPLITS[1:]:
        if drawn < shares[split]:
            return split
        drawn -= shares[split]
    return SPLITS[0]
