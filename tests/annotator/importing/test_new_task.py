"""A file of one's own becomes a task that loads, and splits that share no text."""

import csv
import json
from pathlib import Path

import orjson
import pytest

from stepdistill.annotator.dataset.rows import read_rows
from stepdistill.annotator.dataset.sources import open_source
from stepdistill.annotator.importing.label_column import MAX_CLASSES
from stepdistill.annotator.importing.new_task import write_task
from stepdistill.annotator.importing.splits import SPLITS
from stepdistill.annotator.prompt.check import check_prompts
from stepdistill.annotator.prompt.task import load_task
from stepdistill.annotator.prompt.template import load_templates
from stepdistill.common.errors import DatasetError, PromptError
from stepdistill.common.task import LabelSpec
from tests.annotator.importing.made import columns_of, labels_of, split_file

SHARES = {"valid": 0.2, "test": 0.2}
Lines = list[tuple[str, str, str]]


def made(path: Path, lines: Lines, header: tuple[str, str, str] = ("id", "text", "kind")) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *lines])
    return path


def lines(n: int, labels: int = 2) -> Lines:
    return [(f"r{i}", f"the words of {i}", f"kind {i % labels}") for i in range(n)]


def label_of(file: Path) -> LabelSpec:
    return labels_of(file).label


def ids(folder: Path) -> dict[str, list[str]]:
    return {
        split: [
            orjson.loads(line)["id"]
            for line in (folder / f"{split}.jsonl").read_bytes().splitlines()
        ]
        for split in SPLITS
    }


def test_the_folder_holds_a_task_that_is_ready_to_run(tmp_path: Path) -> None:
    header = ("id", "Customer's text (raw)", "kind")
    file = made(tmp_path / "rows.csv", lines(20), header)
    columns = columns_of(file)
    write_task(tmp_path / "prompts" / "own", file, columns, label_of(file))
    task, templates = (
        load_task(tmp_path / "prompts", "own"),
        load_templates(tmp_path / "prompts", "own"),
    )
    assert list(task.label.classes) == ["kind 0", "kind 1"]
    assert (task.id, task.gold, task.fields) == (
        "id",
        "kind",
        {"Customer_s_text_raw": "Customer's text (raw)"},
    )
    assert next(iter(templates)) == "structured"
    assert len(templates) == 4
    assert check_prompts(tmp_path / "prompts", task, templates) == []


@pytest.mark.parametrize(("labels", "kind"), [(MAX_CLASSES, "classes"), (MAX_CLASSES + 1, "text")])
def test_too_many_labels_are_no_closed_set(tmp_path: Path, labels: int, kind: str) -> None:
    file = made(tmp_path / "rows.csv", lines(4 * labels, labels))
    columns = columns_of(file, texts=("text",))
    write_task(tmp_path / "own", file, columns, label_of(file))
    assert load_task(tmp_path, "own").label.kind == kind


def test_rows_that_say_the_same_share_a_split_and_new_rows_move_none(tmp_path: Path) -> None:
    few = made(tmp_path / "few.csv", lines(100))
    split_file(few, tmp_path / "few", SHARES)
    copies = [(f"copy of {name}", text, kind) for name, text, kind in lines(100)]
    many = made(tmp_path / "many.csv", lines(200) + copies)
    split_file(many, tmp_path / "many", SHARES)
    before, after = ids(tmp_path / "few"), ids(tmp_path / "many")
    for split in SPLITS:
        assert 10 <= len(before[split]) <= 80
        assert set(before[split]) <= set(after[split])
        assert {f"copy of {name}" for name in before[split]} <= set(after[split])


def test_a_row_without_a_label_goes_to_train(tmp_path: Path) -> None:
    unlabelled = [(f"r{i}", f"word {i}", "") for i in range(50)]
    file = made(tmp_path / "rows.csv", lines(50) + unlabelled)
    counts = split_file(file, tmp_path / "data", SHARES)
    assert counts["train"][""] == 50
    with pytest.raises(DatasetError, match="there already"):
        split_file(file, tmp_path / "data", SHARES)


def test_a_label_of_zero_is_a_label(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    rows = [{"id": f"r{i}", "text": f"word {i}", "kind": i % 2} for i in range(100)]
    file.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    assert labels_of(file).counts == {"0": 50, "1": 50}
    counts = split_file(file, tmp_path / "data", SHARES)
    assert sum(each["0"] for each in counts.values()) == 50
    assert counts["valid"]["0"] and counts["test"]["0"]


@pytest.mark.parametrize(
    ("label", "texts", "message"),
    [
        ("sort", (), "no column sort"),
        ("kind", ("body",), "no column body"),
        ("kind", ("kind",), "must be others than the label's"),
    ],
)
def test_a_wrong_column_is_named(
    tmp_path: Path, label: str, texts: tuple[str, ...], message: str
) -> None:
    file = made(tmp_path / "rows.csv", lines(4))
    with pytest.raises(DatasetError, match=message):
        columns_of(file, label, texts)


def test_what_is_there_is_never_overwritten(tmp_path: Path) -> None:
    file = made(tmp_path / "rows.csv", lines(4))
    columns = columns_of(file)
    label = label_of(file)
    write_task(tmp_path / "own", file, columns, label)
    with pytest.raises(PromptError, match="is there already"):
        write_task(tmp_path / "own", file, columns, label)


def test_a_file_without_labels_is_refused(tmp_path: Path) -> None:
    file = made(tmp_path / "rows.csv", [("r1", "words", "")])
    with pytest.raises(DatasetError, match="column kind is empty"):
        labels_of(file)


def test_columns_keep_their_names_and_ids_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    head = ["Unnamed: 0", "ticketId", "Message", "a b", "a_b", "2nd", "row_uuid", "kind"]
    file.write_text(",".join(head) + "\n" + ",".join(["1"] * len(head)) + "\n", encoding="utf-8")
    columns = columns_of(file)
    assert tuple(columns.left_out) == ("Unnamed: 0", "ticketId", "row_uuid")
    assert columns.fields == {"Message": "Message", "a_b": "a b", "a_b_2": "a_b", "_2nd": "2nd"}
    assert columns_of(file, texts=("ticketId",)).texts == ("ticketId",)


def test_names_stand_one_a_line_and_quoted(tmp_path: Path) -> None:
    file = made(tmp_path / "rows.csv", lines(20))
    columns = columns_of(file)
    write_task(tmp_path / "own", file, columns, label_of(file))
    for template in load_templates(tmp_path, "own").values():
        assert '\n"kind 0"\n"kind 1"\n' in template.user
        assert "of these words" not in template.user
        assert "text: {text}" in template.user


def test_columns_of_nearly_one_name_are_two_placeholders(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(",Text,text,text,kind\n0,a,b,c,x\n1,d,e,f,y\n", encoding="utf-8")
    columns = columns_of(file)
    assert tuple(columns.left_out) == ("Unnamed: 0",)
    assert columns.fields == {"Text": "Text", "text": "text", "text_2": "text_2"}
    write_task(tmp_path / "own", file, columns, label_of(file))
    template = load_templates(tmp_path, "own")["structured"]
    assert "Text: {Text}\n" in template.user
    assert "text_2: {text_2}\n" in template.user


def test_a_column_may_be_called_as_a_path(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("content.text,choices[0],kind\na,b,x\nc,d,y\n", encoding="utf-8")
    columns = columns_of(file)
    write_task(tmp_path / "own", file, columns, label_of(file))
    task = load_task(tmp_path, "own")
    rows = read_rows(task, open_source(task, str(file), "train"), "train", None)
    assert [row.fields for row in rows] == [
        {"content_text": "a", "choices_0": "b"},
        {"content_text": "c", "choices_0": "d"},
    ]


def test_whole_fractions_are_the_integers_that_they_were(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    values = ["1.0", "0.0", "", "1.0", "2.0", "0"] * 5
    file.write_text(
        "text,kind\n" + "".join(f"word {n},{v}\n" for n, v in enumerate(values)), encoding="utf-8"
    )
    labels = labels_of(file)
    assert labels.counts == {"1": 10, "0": 10, "2": 5}
    columns = columns_of(file)
    written = split_file(file, tmp_path / "data", SHARES)
    counted = [labels.by_label(each) for each in written.values()]
    assert sum(each["1"] for each in counted) == 10
    assert sum(each[""] for each in counted) == 5
    write_task(tmp_path / "own", file, columns, labels.label)
    task = load_task(tmp_path, "own")
    rows = list(read_rows(task, open_source(task, str(file), "train"), "train", None))
    assert [row.gold for row in rows[:6]] == ["1", "0", None, "1", "2", "0"]


def test_names_of_versions_stay_what_they_are(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    lines = "".join(f"word {n},{('1.0', '1.1', '2.0', 'beta')[n % 4]}\n" for n in range(40))
    file.write_text(f"text,kind\n{lines}", encoding="utf-8")
    labels = labels_of(file)
    assert set(labels.counts) == {"1.0", "1.1", "2.0", "beta"}
    assert labels.by_label({"1.0": 3, "": 1}) == {"1.0": 3, "": 1}


def test_rows_keep_integers_whole_on_their_way_into_splits(tmp_path: Path) -> None:
    big = 123456789012345678901234567890
    file = tmp_path / "rows.jsonl"
    file.write_text(
        "".join(f'{{"id": {big + n}, "text": "word {n}", "kind": "k"}}\n' for n in range(5))
    )
    split_file(file, tmp_path / "data", {"valid": 0.0, "test": 0.0})
    written = (tmp_path / "data" / "train.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in written] == [big + n for n in range(5)]
