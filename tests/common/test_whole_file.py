"""A file is the old one or the new one, never a part of either."""

import stat
from pathlib import Path

import pytest

from stepdistill.common.whole_file import made_anew, write_whole


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


def content(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if not path.is_dir())
    return {str(path.relative_to(folder)): path.read_text() for path in files}


def made(folder: Path) -> tuple[Path, Path, Path]:
    """A folder, a file and what is not there."""
    (folder / "a").mkdir()
    (folder / "a" / "x").write_text("old")
    (folder / "b").write_text("old")
    return folder / "a", folder / "b", folder / "c"


def make(*paths: Path) -> None:
    paths[0].mkdir()
    for path in (paths[0] / "y", *paths[1:]):
        path.write_text("new")


def test_what_is_made_anew_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    paths = made(tmp_path)
    with made_anew(*paths):
        assert content(tmp_path).keys().isdisjoint({"a/x", "b"})
        make(*paths)
    assert content(tmp_path) == {"a/y": "new", "b": "new", "c": "new"}
    assert {*tmp_path.iterdir()} == {*paths}


@pytest.mark.parametrize("n", [0, 1, 2, 3])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_all_is_as_it_was_where_making_it_fails(
    tmp_path: Path, error: type[BaseException], n: int
) -> None:
    paths = made(tmp_path)
    before = content(tmp_path)
    with pytest.raises(error), made_anew(*paths):
        if n:
            make(*paths[:n])
        raise error
    assert content(tmp_path) == before
    assert {*tmp_path.iterdir()} == {*paths[:2]}


def test_a_link_is_moved_and_not_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    folder, file, _ = made(tmp_path / "far")
    link = tmp_path / "a"
    link.symlink_to(folder)
    with pytest.raises(ValueError, match="no"), made_anew(link):
        raise ValueError("no")
    assert link.is_symlink() and (link / "x").exists()
    with made_anew(link):
        link.mkdir()
    assert not link.is_symlink() and (folder / "x").exists() and file.exists()
