"""The journal: what is done, by which command, on which files; one distil at a time."""

from pathlib import Path

import pytest

from stepdistill.common.errors import ConfigError
from stepdistill.trainer.distil.journal import JOURNAL_NAME, Entry, Journal, claimed, digest_of


def test_a_step_is_done_by_the_same_command_on_the_same_files(tmp_path: Path) -> None:
    words = ["annotate", "run"]
    Journal(tmp_path).write("run", Entry(words=words, inputs="a", result={"rows": 3}))
    found = Journal(tmp_path).finished("run", words, "a")
    assert found is not None and found.result == {"rows": 3}
    assert Journal(tmp_path).finished("run", [*words, "demo"], "a") is None
    assert Journal(tmp_path).finished("run", words, "b") is None
    Journal(tmp_path).write("run", Entry(words=words, inputs="a"))
    assert Journal(tmp_path).finished("run", words, "a") is None
    assert Journal(tmp_path).begun("run") is not None
    assert Journal(tmp_path).is_begun("run", words, "a")
    assert not Journal(tmp_path).is_begun("run", [*words, "demo"], "a")
    assert not Journal(tmp_path).is_begun("run", words, "b")
    Journal(tmp_path).forget("run")
    assert Journal(tmp_path).begun("run") is None


def test_a_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / JOURNAL_NAME).write_text('{"mine": 1}')
    with pytest.raises(ConfigError, match=r"not the journal of a distil .*another --out"):
        Journal(tmp_path)


def test_one_at_a_time(tmp_path: Path) -> None:
    with (
        claimed(tmp_path / "out"),
        pytest.raises(ConfigError, match="another distil"),
        claimed(tmp_path / "out"),
    ):
        raise AssertionError
    with claimed(tmp_path / "out"):
        pass


def test_a_digest_is_of_names_and_contents(tmp_path: Path) -> None:
    one, folder = tmp_path / "one", tmp_path / "folder"
    one.write_text("1")
    folder.mkdir()
    (folder / "two").write_text("2")
    before = digest_of([one, folder])
    assert digest_of([one, folder, tmp_path / "nothing"]) == before
    (folder / "two").write_text("3")
    assert digest_of([one, folder]) != before
