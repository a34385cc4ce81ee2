"""A file is the old one or the new one, never a part of either."""

import stat
from pathlib import Path

import pytest

from stepdistill.common.whole_file import write_whole


def test_a_file_appears_and_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "made" / "here.json"
    write_whole(path, b"old")
    path.chmod(0o600)
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_what_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "here.json"
    write_whole(path, b"old")
    (tmp_path / "here.json.part").mkdir()  # nothing can be written there, not even by root
    with pytest.raises(OSError, match="directory"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
