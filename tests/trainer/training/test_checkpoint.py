"""Files appear whole or not at all."""

from pathlib import Path

import pytest

from stepdistill.trainer.training.checkpoint import write_whole


def test_an_old_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "results.json"
    write_whole(path, b"one")
    write_whole(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_whole(path, b"one")
    with pytest.raises(TypeError):
        write_whole(path, None)  # pyright: ignore[reportArgumentType] - what fails is the point
    assert path.read_bytes() == b"one"
