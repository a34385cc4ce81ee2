"""Each odd file all the way: a task, its prompts, its price, a run, and the file with labels."""

import csv
import json
from pathlib import Path

import pytest

from stepdistill.common.files.row_file import read_file
from stepdistill.common.paths import RawRow
from tests.files.odd_files import ODD_FILES
from tests.warm import WarmProcess

SPLITS = ("train", "valid", "test")
_QUICK = ("Messages 2024.xlsx", "nested.jsonl", "flags.zip", "few.csv", "odd.csv")
_OF_ALL = [
    pytest.param(name, marks=() if name in _QUICK else pytest.mark.slow) for name in ODD_FILES
]
ALL = ("--split", ",".join(SPLITS))


@pytest.mark.parametrize("name", _OF_ALL)
def test_every_row_of_a_file_comes_out_beside_its_label(
    name: str, tmp_path: Path, warm_annotate: WarmProcess
) -> None:
    odd = ODD_FILES[name]
    (tmp_path / name).write_bytes(odd.make())
    # Few labels are in test; a file without any has nothing to judge templates by.
    judged = ("experiment", "mine", "--split", "test", "--test-size", "9")
    new, found, _, _, run, *_ = warm_annotate.finish(
        tmp_path,
        ("new", "mine", name, *odd.words),
        ("new", "again", name, *odd.words, "--json"),
        ("prompts", "check", "mine"),
        ("estimate", "mine", "--teacher", "gpt-6-luna", "--json"),
        ("run", "mine", "--teacher", "simulated", *ALL, "--json"),
        ("export", "mine", "--to", "out.csv"),
        *([(*judged, "--teacher", "simulated")] if odd.gold else []),
    )
    assert odd.says in new.stderr
    assert new.stdout.splitlines()[-3].startswith("Next     annotate prompts check mine")
    known = json.loads(found.stdout)
    assert (known["rows"], known["kind"]) == (odd.rows, odd.kind)
    assert known["rows"] - known["unlabelled"] == odd.gold
    assert json.loads(run.stdout)["rows"] == odd.rows

    rows = list(read_file(tmp_path / name))
    with (tmp_path / "out.csv").open(encoding="utf-8-sig", newline="") as file:
        exported = list(csv.DictReader(file))
    assert len(exported) == len(rows) == odd.rows
    assert all(comes_out(row, out) for row, out in zip(rows, exported, strict=True))

    template = (tmp_path / "prompts" / "mine" / "templates.yaml").read_text(encoding="utf-8")
    assert all(f"{{{field}}}" in template for field in odd.fields)
    placed = {
        split: (tmp_path / "data" / "mine" / f"{split}.jsonl").read_bytes().splitlines()
        for split in SPLITS
    }
    assert all(placed.values())
    assert sum(map(len, placed.values())) == odd.rows


def comes_out(row: RawRow, out: dict[str, str]) -> int:
    """How many of a row's texts and trees come out as they went in; 0 where one does not."""
    same = [
        json.loads(out[column]) == value if isinstance(value, dict | list) else out[column] == value
        for column, value in row.items()
        if isinstance(value, dict | list | str)
    ]
    return len(same) if all(same) else 0
