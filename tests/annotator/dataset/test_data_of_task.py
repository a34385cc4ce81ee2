"""A task says where its rows lie, from its own folder on; --data goes before it."""

from pathlib import Path

import pytest
import yaml

from stepdistill.annotator.dataset.sources import open_source
from stepdistill.annotator.prompt.task import load_task
from stepdistill.common.errors import DatasetError
from stepdistill.common.task import TaskSpec
from tests.annotator.dataset.made import RAW, a_task, write_rows


def written(prompts: Path, data: object) -> TaskSpec:
    folder = prompts / "sums"
    folder.mkdir(parents=True, exist_ok=True)
    content = {**a_task().model_dump(exclude_defaults=True), "data": data}
    (folder / "task.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return load_task(prompts, "sums")


@pytest.mark.parametrize("is_absolute", [False, True])
def test_rows_are_found_from_the_task_s_folder_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_absolute: bool
) -> None:
    write_rows(tmp_path / "train.jsonl", RAW[:1])
    path = str(tmp_path / "train.jsonl") if is_absolute else "../../train.jsonl"
    written(tmp_path / "prompts", {"path": path})
    for here, prompts in ((tmp_path, "prompts"), (tmp_path / "prompts" / "sums", "..")):
        monkeypatch.chdir(here)
        task = load_task(Path(prompts), "sums")
        assert len(list(open_source(task, None, "train").rows())) == 1
    monkeypatch.chdir(tmp_path)
    assert load_task(Path("prompts"), "sums").data.path == "train.jsonl"


def test_data_on_the_command_line_goes_first(tmp_path: Path) -> None:
    write_rows(tmp_path / "train.jsonl", RAW[:1])
    other = write_rows(tmp_path / "other.jsonl", RAW)
    task = written(tmp_path / "prompts", "../../train.jsonl")
    assert len(list(open_source(task, str(other), "train").rows())) == len(RAW)


def test_a_text_alone_is_a_path_or_a_dataset_of_the_hub(tmp_path: Path) -> None:
    assert written(tmp_path, "hub:someone/rows").data.hub == "someone/rows"
    assert written(tmp_path, "rows.csv").data.path == str(tmp_path / "sums" / "rows.csv")


def test_where_the_rows_lie_is_no_part_of_the_task_s_digest(tmp_path: Path) -> None:
    assert written(tmp_path, {"path": "rows.csv", "file": "a.csv"}).model_dump() == (
        a_task().model_dump()
    )


def test_rows_that_are_gone_are_missed_by_the_task(tmp_path: Path) -> None:
    task = written(tmp_path, {"path": "gone"})
    with pytest.raises(DatasetError, match=r"gone: no such file.*`data` of task.yaml; --data"):
        open_source(task, None, "train")
