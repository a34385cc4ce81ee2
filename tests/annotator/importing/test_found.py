"""What a file is taken for: its label, id and text, and what would give the label away."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import datasets
import orjson
import pytest

from stepdistill.annotator.importing.found import Found, NoLabelError, find
from stepdistill.annotator.importing.survey import survey_file
from stepdistill.annotator.settings.importing import NewSettings
from stepdistill.common.errors import ConfigError, DatasetError

Rows = list[dict[str, Any]]
Make = Callable[[int], object]  # what a column has in a row


def written(folder: Path, rows: Rows) -> Path:
    path = folder / "rows.jsonl"
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return path


def found_in(folder: Path, rows: Rows, **given: Any) -> Found:
    file = written(folder, rows)
    survey = survey_file(file)
    return find(NewSettings(task="t", file=str(file), **given), survey)


def rows_of(**columns: Make) -> Rows:
    """Rows with a text, and what the columns make of each number."""
    return [
        {"text": f"words about {i}", **{name: make(i) for name, make in columns.items()}}
        for i in range(30)
    ]


def team(i: int) -> str:
    return ("sales", "help", "press")[i % 3]


GUESSED: list[tuple[dict[str, Make], tuple[str, ...]]] = [
    ({"team": team}, ("team",)),
    ({"label": team, "channel": lambda i: "ab"[i % 2]}, ("label",)),
    ({"topic": team, "channel": lambda i: "ab"[i % 2]}, ("topic",)),
    ({"rating": lambda i: i / 7, "channel": lambda i: "ab"[i % 2]}, ("rating",)),
    ({"label": lambda i: i % 3, "label_text": team}, ("label_text",)),
    ({"angry": lambda i: i % 2, "rude": lambda i: i % 3 // 2}, ("angry", "rude")),
    ({"labels": lambda i: ["a", "b"][: i % 3]}, ("labels",)),
    ({"meta": lambda i: {"label": team(i), "page": i // 2}}, ("meta.label",)),
    ({"[Team]": team, "Nr.": lambda i: i, "No.": lambda i: i + 7}, ("[Team]",)),
    ({"Cat.": team}, ("Cat.",)),
]
UNSURE: list[tuple[dict[str, Make], str]] = [
    ({}, "no column looks like a label .has: text."),
    ({"note": lambda i: f"free words {i}"}, "no column looks like a label .has: text, note."),
    (
        {"team": team, "channel": lambda i: "ab"[i % 2]},
        r"is the label team \(3 different values\) or channel \(2 different values\)\?",
    ),
]


@pytest.mark.parametrize(("columns", "label"), GUESSED)
def test_the_label_is_guessed_where_there_is_one(
    tmp_path: Path, columns: dict[str, Make], label: tuple[str, ...]
) -> None:
    assert found_in(tmp_path, rows_of(**columns)).columns.labels == label


@pytest.mark.parametrize(("columns", "says"), UNSURE)
def test_what_is_not_sure_is_not_guessed(
    tmp_path: Path, columns: dict[str, Make], says: str
) -> None:
    with pytest.raises(NoLabelError, match=f"{says}.*--labels a,b,c, or --unlabelled"):
        found_in(tmp_path, rows_of(**columns))


def test_yes_takes_the_likeliest(tmp_path: Path) -> None:
    rows = rows_of(team=team, channel=lambda i: "ab"[i % 2])
    assert found_in(tmp_path, rows, yes=True).columns.labels == ("team",)
    with pytest.raises(NoLabelError):
        found_in(tmp_path, rows_of(), yes=True)


def test_ids_and_what_gives_the_label_away_are_not_read(tmp_path: Path) -> None:
    rows = rows_of(
        ticket_id=lambda i: f"T-{i}",
        label=team,
        code=lambda i: i % 3,
        serial=lambda i: 1000 + i,
        nothing=lambda i: None,
        page=lambda i: i // 2,
    )
    columns = found_in(tmp_path, rows).columns
    assert (columns.id, columns.texts) == ("ticket_id", ("text", "page"))
    assert columns.left_out == {
        "code": "says the label again",
        "serial": "names or numbers rows",
        "nothing": "empty",
    }
    read = found_in(tmp_path, rows, text=("text", "code")).columns
    assert (read.texts, read.left_out) == (("text", "code"), {})


def test_an_id_that_names_rows_twice_is_not_used(tmp_path: Path) -> None:
    found = found_in(tmp_path, rows_of(id=lambda i: "" if i == 4 else str(i // 2), label=team))
    assert found.columns.id is None
    assert "empty in 1 rows and has the id of an earlier row in 14 rows" in found.remarks[0]
    assert found_in(tmp_path, rows_of(id=str, label=team)).columns.id == "id"


def test_columns_of_yes_and_no_make_sets(tmp_path: Path) -> None:
    rows = rows_of(rude=lambda i: i % 2, sad=lambda i: "TRUE" if i % 3 else "no")
    rows.append({"text": "x", "rude": None, "sad": None})
    found = found_in(tmp_path, rows, label=("rude", "sad"))
    assert (found.labels.label.kind, found.labels.unlabelled) == ("multi", 1)
    assert set(found.labels.label.classes) == {"rude", "sad"}
    assert [found.columns.label_of(row) for row in rows[:3]] == [[], ["rude", "sad"], ["sad"]]
    with pytest.raises(DatasetError, match="rude say yes or no, and text has other values"):
        found_in(tmp_path, rows, label=("rude", "text"))


def test_columns_of_names_make_sets_too(tmp_path: Path) -> None:
    rows = rows_of(first=team, second=lambda i: team(i + 1) if i % 2 else None)
    found = found_in(tmp_path, rows, label=("first", "second"))
    assert set(found.labels.label.classes) == {"sales", "help", "press"}
    assert found.columns.label_of(rows[1]) == ["help", "press"]


def test_a_file_without_labels_takes_names_or_none(tmp_path: Path) -> None:
    rows = rows_of(page=lambda i: i // 2, team=team)
    named = found_in(tmp_path, rows, labels=("sales", "help", "press"))
    assert named.columns.texts == ("text", "page")  # team would give the label away
    assert named.columns.gold is None
    assert list(named.labels.label.classes) == ["sales", "help", "press"]
    free = found_in(tmp_path, rows, unlabelled=True)
    assert (free.labels.label.kind, free.labels.unlabelled) == ("text", 30)
    several = found_in(tmp_path, rows, labels=("sales", "help"), kind="multi")
    assert several.labels.label.kind == "multi"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"label": ("a",), "labels": ("b", "c")}, "--label and --labels exclude each other"),
        ({"labels": ("b", "c"), "unlabelled": True}, "exclude each other"),
        ({"labels": ("b",)}, "one name alone is no choice"),
        ({"labels": ("b", "c"), "kind": "number"}, "no --kind number"),
        ({"unlabelled": True, "kind": "classes"}, "--labels a,b,c"),
        ({"label": ("a", "b"), "kind": "number"}, "make sets"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    tmp_path: Path, given: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        NewSettings(task="t", file=str(tmp_path), **given)


def test_numbers_for_names_and_rare_labels_are_said(tmp_path: Path) -> None:
    found = found_in(tmp_path, rows_of(label=lambda i: 2 if i == 3 else i % 2))
    assert any("`2` (1)" in line for line in found.remarks)
    assert any("says nothing to a teacher" in line for line in found.remarks)


def test_the_names_that_a_file_has_for_numbers_are_the_classes(tmp_path: Path) -> None:
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["bad", "good"])}
    )
    rows = {"text": [f"words {i}" for i in range(30)], "label": [i % 2 for i in range(30)]}
    path = tmp_path / "train-00000-of-00001.parquet"
    cast(Any, datasets.Dataset).from_dict(rows, features=features).to_parquet(str(path))
    survey = survey_file(path)
    labels = find(NewSettings(task="t", file=str(path), label=("label",)), survey).labels
    assert labels.counts == {"bad": 15, "good": 15}
    assert {name: each.gold for name, each in labels.label.classes.items()} == {
        "bad": [0],
        "good": [1],
    }
    assert labels.by_label({"1": 4, "0": 2}) == {"good": 4, "bad": 2}


@pytest.mark.parametrize(
    ("name", "n", "kind"), [("stars", 5, "number"), ("team", 5, "classes"), ("score", 2, "classes")]
)
def test_whole_numbers_are_a_scale_where_they_are_called_so(
    tmp_path: Path, name: str, n: int, kind: str
) -> None:
    scale: dict[str, Make] = {name: lambda i: 1 + i % n}
    assert found_in(tmp_path, rows_of(**scale), label=(name,)).labels.label.kind == kind


def test_all_shards_of_a_table_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for shard in (0, 1):
        rows = written(folder, rows_of(label=team)[shard * 15 :][:15])
        rows.rename(folder / f"train-{shard:05}-of-00002.jsonl")
    for named in (folder / "train-00001-of-00002.jsonl", folder, tmp_path):
        survey = survey_file(named)
        assert survey.rows == 30
        assert [row["text"] for row in survey.read()][:2] == ["words about 0", "words about 1"]
    written(folder, rows_of())
    with pytest.raises(DatasetError, match=r"data could be rows.jsonl, train-.*: name the file"):
        survey_file(folder)
    (folder / "train-00000-of-00002.jsonl").unlink()
    with pytest.raises(DatasetError, match="of 2 shards only train-00001"):
        survey_file(folder / "train-00001-of-00002.jsonl")
