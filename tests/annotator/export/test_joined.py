"""Every row has what became of it beside it, by its place in the split and not by its id."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from stepdistill.annotator.export.card import card_of, write_card
from stepdistill.annotator.export.joined import Joined, join
from stepdistill.annotator.export.run_rows import FinishedRun, FinishedSplit, RunRows, find_run
from stepdistill.annotator.reading.rejection import Rejection
from stepdistill.annotator.shard.jsonl import JsonlWriter, line_of, line_of_rejection
from stepdistill.common.errors import ShardError
from stepdistill.common.files.json_file import RawRow
from stepdistill.common.manifest import (
    REJECTS_NAME,
    CostEntry,
    Hashes,
    Manifest,
    ReaderEntry,
    TeacherEntry,
    TokenTotals,
)
from stepdistill.common.record import PartRef, Record
from stepdistill.common.task import TaskSpec

TASK = TaskSpec.model_validate(
    {
        "task": "mood",
        "title": "Moods | of <b>rows</b>: `x`",
        "fields": {"text": "text"},
        "label": {"kind": "classes", "classes": {"joy": {}, "an|ger": {}}},
        "student": {"input": "{text}"},
    }
)


def a_record(split: str, index: int, **changes: Any) -> Record:
    parts: dict[str, Any] = {
        "label": "joy",
        "rationale": f"since {split} {index}",
        "gold": None,
        "templates": PartRef(label="one", rationale="one"),
        "keys": PartRef(label=None, rationale=None),
        "confidence": 0.9,
    }
    return Record(id="same", split=split, index=index, input={}, **{**parts, **changes})


def write_run(folder: Path, split: str, outcomes: list[Record | Rejection]) -> FinishedSplit:
    with JsonlWriter(folder / split, 3) as writer:
        for each in outcomes:
            if isinstance(each, Record):
                writer.record_line(line_of(each))
            else:
                writer.reject_line(line_of_rejection(each), each.reason)
        counts, shards = writer.close_files()
        manifest = Manifest(
            task="mood",
            split=split,
            counts=counts,
            shards=shards,
            hashes=Hashes(task="", prompts="", data=""),
            fingerprint="f",
            teacher=TeacherEntry(model="m", endpoint="h"),
            reader=ReaderEntry(name="verdict", version=1),
            answers=0,
            tokens=TokenTotals(),
            cost=CostEntry(usd=None, price=""),
            label=TASK.label,
            student=TASK.student,
        )
        writer.publish(manifest)
    return FinishedSplit(folder=folder / split, manifest=manifest)


def a_rejection(split: str, index: int) -> Rejection:
    detail = 'no "label" in it'
    return Rejection(
        id="same", split=split, index=index, stage="response", reason="no_verdict", detail=detail
    )


def the_run(tmp_path: Path) -> FinishedRun:
    """Train: row 0 rejected, 1 and 2 labelled, 3 not asked; test: row 0 labelled."""
    voted = a_record(
        "train", 2, label_confidence=0.5, templates=PartRef(label="one", rationale="two")
    )
    splits = {
        "train": write_run(
            tmp_path, "train", [a_rejection("train", 0), a_record("train", 1), voted]
        ),
        "test": write_run(tmp_path, "test", [a_record("test", 0, label="an|ger")]),
    }
    return FinishedRun(folder=tmp_path, splits=splits)


def rows_in(*order: str, is_one_file: bool = True, columns: RawRow | None = None) -> RunRows:
    def rows() -> Iterator[tuple[str, RawRow]]:
        return ((split, {"text": f"t{n}", **(columns or {})}) for n, split in enumerate(order))

    return RunRows(task=TASK, rows=rows, files=(), is_one_file=is_one_file)


ORDER = ("train", "test", "valid", "train", "train", "train")


def table_of(tmp_path: Path, columns: RawRow | None = None) -> Joined:
    return join(the_run(tmp_path), rows_in(*ORDER, columns=columns))


def test_every_row_has_its_outcome_in_the_order_of_the_file(tmp_path: Path) -> None:
    table = table_of(tmp_path)
    rows = [row for _, row in table.rows()]
    assert [row["text"] for row in rows] == ["t0", "t1", "t2", "t3", "t4", "t5"]
    assert [row["label"] for row in rows] == [None, "an|ger", None, "joy", "joy", None]
    unasked = "not_asked"
    assert [row["rejected"] for row in rows] == ["no_verdict", None, unasked, None, None, unasked]
    assert rows[0]["why"] == 'no "label" in it'
    assert rows[2]["why"] == rows[5]["why"] == "the run left this row out"
    assert [row["confidence"] for row in rows] == [None, 0.9, None, 0.9, 0.5, None]
    assert [row["template"] for row in rows] == [None, "one", None, "one", "one + two", None]
    assert rows[3]["rationale"] == "since train 1"
    assert table.counts == {"labelled": 3, "not_asked": 2, "no_verdict": 1}
    assert table.columns == ["text", *table.own.values()]
    assert [row for _, row in table.rows()] == rows  # a second pass


def test_columns_of_ones_own_keep_their_names(tmp_path: Path) -> None:
    table = table_of(tmp_path, {"label": "mine", "label_2": "mine, too", "why": 1})
    assert table.own["label"] == "label_3"
    assert table.own["why"] == "why_2"
    assert table.own["rationale"] == "rationale"
    row = list(table.rows())[1][1]
    assert (row["label"], row["label_2"], row["why"]) == ("mine", "mine, too", 1)
    assert (row["label_3"], row["why_2"]) == ("an|ger", None)


def test_rows_of_several_files_say_their_split(tmp_path: Path) -> None:
    source = rows_in("train", "train", "train", "test", is_one_file=False)
    table = join(the_run(tmp_path), source)
    assert [row["split"] for _, row in table.rows()] == ["train", "train", "train", "test"]


def test_shards_that_were_changed_are_refused(tmp_path: Path) -> None:
    run = the_run(tmp_path)
    with pytest.raises(ShardError, match="of other rows than its manifests say"):
        list(join(run, rows_in("train", "test")).rows())
    rejects = tmp_path / "train" / REJECTS_NAME
    line = rejects.read_bytes()
    rejects.write_bytes(line + line)
    with pytest.raises(ShardError, match="row 0 twice"):
        list(join(run, rows_in(*ORDER)).rows())
    rejects.write_bytes(b"{}\n")
    with pytest.raises(ShardError, match="cannot be read"):
        list(join(run, rows_in(*ORDER)).rows())
    rejects.write_bytes(b"")
    with pytest.raises(ShardError, match="not the lines that the manifest counts"):
        list(join(run, rows_in(*ORDER)).rows())
    shard = tmp_path / "train" / "shard-00000.jsonl"
    shard.write_bytes(shard.read_bytes().replace(b"joy", b"fun"))
    with pytest.raises(ShardError, match="sha256 differs"):
        join(run, rows_in(*ORDER))


def test_a_run_is_found_by_its_folder_and_one_split_by_its_own(tmp_path: Path) -> None:
    the_run(tmp_path)
    assert list(find_run(str(tmp_path)).splits) == ["train", "test"]
    assert list(find_run(str(tmp_path / "test")).splits) == ["test"]
    with pytest.raises(ShardError, match="no finished run in"):
        find_run(str(tmp_path / "nowhere"))


def test_the_card_has_a_head_that_is_yaml_and_words_that_do_nothing(tmp_path: Path) -> None:
    table = table_of(tmp_path)
    list(table.rows())
    _, head, body = card_of(table, "a.csv").split("---\n", 2)
    said = yaml.safe_load(head)
    assert said["pretty_name"] == TASK.title
    assert (said["license"], said["size_categories"]) == ("unknown", ["n<1K"])
    assert said["configs"] == [{"config_name": "default", "data_files": "a.csv"}]
    assert "# Moods \\| of \\<b\\>rows\\</b\\>: \\`x\\`" in body
    for line in ("| joy | 2 |", "| an\\|ger | 1 |", "| no_verdict | 1 |", "| not_asked | 2 |"):
        assert line in body
    assert "6 rows, 3 of them labelled by `m` (h)" in body


def test_a_card_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    table = table_of(tmp_path / "run")
    list(table.rows())
    folder = tmp_path / "out"
    folder.mkdir()
    one, two = folder / "one.csv", folder / "two.csv.gz"
    readme = folder / "README.md"
    readme.write_text("# Mine\n")
    assert write_card(table, one) == str(folder / "one.README.md")
    assert readme.read_text() == "# Mine\n"
    readme.unlink()
    one.touch()
    assert write_card(table, one) == write_card(table, one) == str(readme)
    assert write_card(table, two) == str(folder / "two.README.md")
    one.unlink()
    assert write_card(table, two) == str(readme)
