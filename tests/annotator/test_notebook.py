"""A frame becomes a task, and what came of it joins the frame row for row."""

import asyncio
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest

from stepdistill.annotator.notebook import Task, annotate, estimate, experiment
from stepdistill.common.errors import ConfigError, DatasetError
from stepdistill.common.own_command import CommandFailed

TEAMS = ("billing", "delivery", "returns")
ROWS: list[dict[str, object]] = [
    {"label": TEAMS[n % 3], "message": f"Message {n // 2}: about {TEAMS[n % 3]}.", "row": n}
    for n in range(60)
]


@pytest.fixture(autouse=True)
def home(tmp_path: Path) -> Iterator[Path]:
    """A notebook stands in a folder of its own."""
    with chdir(tmp_path):
        yield tmp_path


def records(frame: Any) -> list[dict[str, Any]]:
    """The rows of what came back, whether or not pandas is here."""
    return frame if isinstance(frame, list) else frame.to_dict("records")  # pyright: ignore[reportUnknownVariableType] - any list


def test_what_came_of_it_joins_the_frame_row_for_row(capsys: pytest.CaptureFixture[str]) -> None:
    task = Task.from_frame(ROWS, label="label", text="message", name="teams")
    found = records(annotate(task, teacher="simulated", max_cost=1, votes=3))
    assert [{name: row[name] for name in ROWS[0]} for row in found] == ROWS
    # The frame's own columns keep their names.
    assert sum(row["label_2"] == row["label"] for row in found) > 40
    assert all(row["rationale"] and 0 < row["confidence"] <= 1 for row in found)
    assert {row["template"] for row in found} == {"structured"}
    assert {row["rejected"] for row in found} == {None}
    assert (
        "$ annotate run teams --teacher simulated --split train,valid,test"
        in capsys.readouterr().err
    )
    assert task.shards == Path.cwd() / "runs" / "teams"


def test_the_same_cell_again_is_the_same_task_with_its_prompts() -> None:
    task = Task.from_frame(ROWS, label="label", text="message")
    words = task.prompts / "templates.yaml"
    words.write_text(words.read_text().replace("about", "About"))
    before = words.read_bytes()
    assert Task.from_frame(ROWS, label="label", text="message") == task
    assert words.read_bytes() == before
    with pytest.raises(ConfigError, match="task label is there already, made of other rows"):
        Task.from_frame(ROWS[1:], label="label", text="message")
    with pytest.raises(ConfigError, match="name='label-2' is another, replace=True"):
        Task.from_frame(ROWS, label="label")
    anew = Task.from_frame(ROWS[1:], label="label", text="message", replace=True)
    assert len(anew.frame.rows) == 59
    assert b"About" not in words.read_bytes()


def test_it_works_within_a_running_event_loop() -> None:
    async def cell() -> list[dict[str, Any]]:
        task = Task.from_frame(ROWS, label="label", text=["message"])
        cost = estimate(task, teacher="gpt-6-luna")
        assert cost.rows == cost.to_ask == 60
        assert cost.low is not None and cost.likely is not None and cost.most is not None
        assert 0 < cost.low < cost.likely < cost.most
        return records(experiment(task, teacher="simulated", test_size=10, race=True))

    ranking = asyncio.run(cell())
    assert ranking[0]["rank"] == 1
    assert {row["template"] for row in ranking} >= {"structured", "label-first"}


def test_rows_that_were_left_out_are_rows_all_the_same() -> None:
    task = Task.from_frame(ROWS, label="label", text="message")
    found = records(annotate(task, teacher="simulated", samples=5))
    done = [row for row in found if isinstance(row["rationale"], str)]
    assert len(found) == 60 and 5 <= len(done) < 60
    assert {row["rejected"] for row in found if row not in done} == {"not_asked"}


def test_no_password_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    task = Task.from_frame(ROWS, label="label", text="message")
    with pytest.raises(CommandFailed, match="no price is known for any at localhost"):
        estimate(task, teacher="any", base_url="http://me:pass@word@127.0.0.1:9/v1?key=word")
    shown = capsys.readouterr().err
    assert "--base-url http://127.0.0.1:9/v1 " in shown
    assert "pass" not in shown and "word" not in shown


def test_what_is_wrong_is_one_line() -> None:
    with pytest.raises(ConfigError, match="not both"):
        Task.from_frame(ROWS, label="label", labels=["a"])
    with pytest.raises(CommandFailed, match="no column mood"):
        Task.from_frame(ROWS, label="mood")
    with pytest.raises(DatasetError, match="the frame holds no row"):
        Task.from_frame([], label="label")
    task = Task.from_frame(ROWS, label="label", text="message")
    with pytest.raises(CommandFailed, match="--vots") as caught:
        annotate(task, teacher="simulated", vots=3)
    assert caught.value.exit_code == 2


def files(folder: Path) -> dict[str, bytes]:
    return {str(each): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def test_a_first_call_that_fails_is_in_nobodys_way(home: Path) -> None:
    with pytest.raises(CommandFailed, match="no column mood"):
        Task.from_frame(ROWS, label="mood", name="teams")
    assert not files(home)
    assert Task.from_frame(ROWS, label="label", text="message", name="teams").splits


def test_what_was_there_stays_where_making_it_anew_fails(home: Path) -> None:
    task = Task.from_frame(ROWS, label="label", text="message")
    (task.prompts / "mine.txt").write_text("mine")
    before = files(home)
    with pytest.raises(CommandFailed, match="no column mood"):
        Task.from_frame(ROWS, label="label", text="mood", replace=True)
    assert files(home) == before
    assert Task.from_frame(ROWS, label="label", text="message") == task


@pytest.mark.parametrize("name", ["..", ".", "../other", "/tmp/other", "a/b", "A", "x" * 300, "-a"])
@pytest.mark.parametrize("replace", [False, True])
def test_a_name_that_is_none_is_refused_first(home: Path, name: str, *, replace: bool) -> None:
    (home / "data" / "a" / "b").mkdir(parents=True)
    (home / "data" / "mine.csv").write_text("mine")
    with pytest.raises(ConfigError, match="small letters, digits"):
        Task.from_frame(ROWS, label="label", text="message", name=name, replace=replace)
    assert files(home) == {str(home / "data" / "mine.csv"): b"mine"}


@pytest.mark.parametrize("folder", ["data", "prompts"])
def test_what_no_notebook_made_is_not_replaced(home: Path, folder: str) -> None:
    (home / folder / "mine").mkdir(parents=True)
    (home / folder / "mine" / "tickets.csv").write_text("mine")
    before = files(home)
    with pytest.raises(ConfigError, match="not made by a notebook: take another name"):
        Task.from_frame(ROWS, label="label", text="message", name="mine", replace=True)
    assert files(home) == before


def test_the_name_of_a_long_column_is_cut() -> None:
    rows = [{"Which team is to answer " * 9: row["label"], "text": row["message"]} for row in ROWS]
    assert Task.from_frame(rows, label=next(iter(rows[0]))).name.startswith("which-team-is")
