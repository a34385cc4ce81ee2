"""Bad input: one clear line that names the place, exit code 2, no traceback, nothing asked."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.journeys.conftest import Annotate, started

TASK = """\
task: tiny
fields: {text: text}
label: {kind: classes, classes: {good: {}, bad: {}}}
gold: label
student: {input: "{text}"}
"""
TEMPLATES = 'templates: [{id: one, user: "Good or bad? {text}"}]\n'
ROWS = '{"text": "fine", "label": "good"}\n{"text": "poor", "label": "bad"}\n'


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A folder with a task of two rows that runs."""
    (tmp_path / "prompts" / "tiny").mkdir(parents=True)
    (tmp_path / "prompts" / "tiny" / "task.yaml").write_text(TASK)
    (tmp_path / "prompts" / "tiny" / "templates.yaml").write_text(TEMPLATES)
    (tmp_path / "rows.jsonl").write_text(ROWS)
    return tmp_path


RUN = ("run", "tiny", "--data", "rows.jsonl", "--template", "one", "--teacher", "simulated")


def edit(name: str, old: str, new: str) -> Callable[[Path], None]:
    """Damages a file of the house."""

    def damage(house: Path) -> None:
        path = house / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    return damage


def a_file_for_the_store(house: Path) -> None:
    (house / "runs").mkdir()
    (house / "runs" / "store").write_text("no folder")


def a_file_for_the_shards(house: Path) -> None:
    (house / "runs").mkdir()
    (house / "runs" / "tiny").write_text("no folder")


def no_rows(house: Path) -> None:
    (house / "rows.jsonl").unlink()


TASK_YAML = "prompts/tiny/task.yaml"
CASES: list[tuple[Callable[[Path], None], list[str]]] = [
    (
        edit(TASK_YAML, "fields: {text: text}", "fields: {text: words}"),
        ["text: words", "has: text"],
    ),
    (edit(TASK_YAML, "gold: label", "gold: label\ncolour: red"), ["task.yaml", "colour"]),
    (edit(TASK_YAML, "kind: classes", "kind: class"), ["task.yaml", "label.kind"]),
    (edit(TASK_YAML, "task: tiny", "task: [tiny"), ["task.yaml", "not YAML"]),
    (edit(TASK_YAML, '"{text}"', '"{words}"'), ["task.yaml", "{words}", "{text}"]),
    (edit("prompts/tiny/templates.yaml", "{text}", "{words}"), ["template one", "{words}"]),
    (edit("rows.jsonl", '"bad"}\n', '"ba'), ["rows.jsonl line 2", "not JSON"]),
    (no_rows, ["rows.jsonl", "no such file"]),
    (a_file_for_the_store, ["runs/store"]),
    (a_file_for_the_shards, ["runs/tiny", "cannot be written"]),
]


@pytest.mark.parametrize(("damage", "said"), CASES, ids=[str(said) for _, said in CASES])
def test_one_line_and_exit_code_2(
    annotate: Annotate, house: Path, damage: Callable[[Path], None], said: list[str]
) -> None:
    damage(house)
    done = annotate(*RUN, "--quiet")
    assert done.code == 2
    assert len(done.err.strip().splitlines()) == 1, done.err
    assert done.err.startswith("annotate: ")
    for words in said:
        assert words in done.err
    assert done.out == ""


def test_the_undamaged_house_runs(annotate: Annotate, house: Path) -> None:
    done = annotate(*RUN, "--json")
    assert done.code == 0, done.err
    assert done.json["records"] == 2


def test_without_key_and_server_three_ways_on_are_named(annotate: Annotate, house: Path) -> None:
    done = annotate(*RUN[:-1], "gpt-6-luna")
    assert done.code == 2
    assert len(done.err.strip().splitlines()) == 1
    for way in ("OPENAI_API_KEY", "--base-url", "--teacher simulated"):
        assert way in done.err
    assert not (house / "runs" / "tiny").exists()


def test_offline_without_a_store_says_so(annotate: Annotate, house: Path) -> None:
    done = annotate(*RUN, "--offline")
    assert done.code == 2
    assert "no store here" in done.err


def test_a_folder_whose_name_is_no_text_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    line = ("run", "demo", "--teacher", "simulated", "--samples", "3", "--quiet")
    done = started(tmp_path, *line, "--out", os.fsdecode(b"runs/\xff"))
    assert done.code == 2 and "is not UTF-8" in done.err and "Traceback" not in done.err
    assert not list(tmp_path.rglob("shard-*"))
