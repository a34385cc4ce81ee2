"""Where rows stood in the file that a task was made of, and whether it still is that file."""

from pathlib import Path

import orjson
import pytest

from stepdistill.annotator.importing.row_origin import Origin, note_of, read_origin
from stepdistill.annotator.importing.splits import SPLITS
from stepdistill.common.errors import DatasetError
from stepdistill.common.files.row_file import read_file
from tests.annotator.importing.made import split_file


def made(folder: Path) -> tuple[Path, Origin]:
    file = folder / "rows.csv"
    lines = [f"words of {n},{['a', 'b', ''][n % 3]}\n" for n in range(90)]
    file.write_text("text,kind\n" + "".join(lines))
    split_file(file, folder / "data", {"valid": 0.2, "test": 0.2})
    origin = read_origin(folder / "data")
    assert origin is not None
    return file, origin


def test_the_splits_put_together_are_the_file(tmp_path: Path) -> None:
    file, origin = made(tmp_path)
    splits = {split: read_file(tmp_path / "data" / f"{split}.jsonl") for split in SPLITS}
    assert [next(splits[split]) for split in origin.rows] == list(read_file(file))
    assert all(next(rows, None) is None for rows in splits.values())


def test_a_file_that_changed_or_went_is_known(tmp_path: Path) -> None:
    file, origin = made(tmp_path)
    assert origin.is_of(file)
    file.write_text("text,kind\nother,a\n")
    assert not origin.is_of(file)
    file.unlink()
    assert not origin.is_of(file)


def test_a_folder_without_a_note_and_one_with_another(tmp_path: Path) -> None:
    assert read_origin(tmp_path) is None and not note_of(tmp_path).exists()
    note_of(tmp_path).write_bytes(orjson.dumps({"file": 1}))
    with pytest.raises(DatasetError, match="not a note of where rows stood"):
        read_origin(tmp_path)
