"""Rows from files: gold alone beside shards, and the original's own."""

import codecs
import json
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from stepdistill.common.errors import ShardError
from stepdistill.trainer.data.examples import train_set
from stepdistill.trainer.data.shards import data_fingerprint, read_data
from stepdistill.trainer.settings.train import TrainSettings, parse
from tests.trainer.made_rows import arguments, word_problems


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    lines = [
        json.dumps({"id": f"file-{i}", "input": row.input, "gold": row.gold})
        for i, row in enumerate(word_problems("file", 3))
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def _told(path: Path, *labels: str | None) -> Path:
    lines = [{"label": label, "explanation": f"Because of {label}.", "x": 1} for label in labels]
    path.write_text("\n".join(map(json.dumps, lines)) + "\n")
    return path


def _config(data: Path, train: list[Path], **options: object) -> TrainSettings:
    config = parse(arguments(data, Path("out"), **options))
    return replace(config, train=tuple(train))


def test_gold_rows_join_those_of_shards(data: Path, rows: Path) -> None:
    config = _config(data, [data / "train", rows], labels="gold")
    learn = train_set(read_data(config).train, config)
    assert [example.id for example in learn.examples[60:]] == ["file-0", "file-1", "file-2"]
    assert all(not example.rationales for example in learn.examples[60:])


def test_the_originals_file_tells_labels_and_rationales_row_by_row(
    data: Path, rows: Path, tmp_path: Path
) -> None:
    cot = _told(tmp_path / "train_CoT.json", "addition", None, "division")
    config = _config(data, [rows], cot=cot)
    read = read_data(config)
    learn = train_set(read.train, config)
    assert [(e.id, e.label) for e in learn.examples] == [
        ("file-0", "addition"),
        ("file-2", "division"),
    ]
    assert learn.examples[0].rationales[0].text == "Because of addition."
    assert learn.without_label == 1
    before = data_fingerprint(read)
    _told(cot, "addition", "addition", "division")
    assert data_fingerprint(read_data(config)) != before


def test_a_line_for_each_row_is_asked_for(data: Path, rows: Path, tmp_path: Path) -> None:
    cot = _told(tmp_path / "train_CoT.json", "addition")
    with pytest.raises(ShardError, match="1 lines for 3 rows"):
        read_data(_config(data, [rows], cot=cot))


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "line 1: not JSON"), ('{"gold": "addition"}', "line 1: input: Field required")],
)
def test_a_bad_line_is_named(data: Path, tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(content)
    with pytest.raises(ShardError, match=message):
        read_data(_config(data, [data / "train", path]))


def test_files_alone_do_not_say_what_the_labels_are(rows: Path) -> None:
    line = ["--model=tiny", "--output=o", f"--train={rows}", f"--valid={rows}", f"--test={rows}"]
    with pytest.raises(ShardError, match="name a folder of shards beside it"):
        read_data(parse(line))


def test_a_byte_order_mark_and_blank_lines_are_passed_over(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "windows.jsonl"
    lines = [orjson.dumps({"input": row.input, "gold": row.gold}) for row in word_problems("w", 3)]
    path.write_bytes(codecs.BOM_UTF8 + b"\r\n\r\n".join(lines) + b"\r\n\r\n")
    read = read_data(_config(data, [data / "train", path]))
    records = read.train.parts[1].records
    assert [record.id for record in records] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("gold", "expected"), [("Division.", "division"), (" addition ", "addition"), ("", None)]
)
def test_a_label_is_taken_in_the_task_s_words(
    data: Path, tmp_path: Path, gold: str, expected: str | None
) -> None:
    path = tmp_path / "rows.jsonl"
    [row] = word_problems("w", 1)
    path.write_bytes(orjson.dumps({"input": row.input, "gold": gold, "label": "Division"}))
    read = read_data(_config(data, [data / "train", path]))
    [record] = read.train.parts[1].records
    assert (record.gold, record.label) == (expected, "division")


@pytest.mark.parametrize("name", ["gold", "label"])
@pytest.mark.parametrize("label", ["1", "divsion", "addition and division"])
def test_a_label_of_no_class_is_refused_with_its_line(
    data: Path, tmp_path: Path, name: str, label: str
) -> None:
    path = tmp_path / "rows.jsonl"
    good, bad = word_problems("w", 2)
    lines = [{"input": good.input, "gold": good.gold}, {"input": bad.input, name: label}]
    path.write_bytes(b"\n\n".join(map(orjson.dumps, lines)))
    config = _config(data, [data / "train", path])
    with pytest.raises(ShardError, match=rf"rows.jsonl line 3: {name} '{label}' is no label of"):
        read_data(config)
