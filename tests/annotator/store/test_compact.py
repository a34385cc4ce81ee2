"""Written anew, a store holds the same in less room, and who reads it is not disturbed."""

import subprocess
import sys
from pathlib import Path

import pytest

from stepdistill.annotator.store.answer import Answer
from stepdistill.annotator.store.compact import compact_store
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.common.errors import StoreError
from tests.annotator.made import FAILURE, a_key, an_answer, answers


def quiet(_: int) -> None:
    """Nobody listens."""


def opened(path: Path, *, write: bool = False) -> ResponseStore:
    return ResponseStore.open(path, write=write, map_bytes=1 << 24)


def filled(path: Path) -> dict[bytes, Answer]:
    with opened(path, write=True) as store:
        for start in range(0, 3000, 500):
            store.put(answers(start, start + 500), [(a_key(1), FAILURE)])
    return dict(answers(0, 3000))


def held_in(path: Path) -> dict[bytes, Answer]:
    with opened(path) as store, store.reading() as stored:
        assert dict(stored.failures()) == {a_key(1): FAILURE}
        return dict(stored.answers())


def test_the_same_answers_in_less_room(tmp_path: Path):
    held = filled(tmp_path / "store")
    done = compact_store(tmp_path / "store", quiet)

    assert done.answers == 3000
    assert done.bytes_after < 0.8 * done.bytes_before
    assert (tmp_path / "store" / "data.mdb").stat().st_size == done.bytes_after
    assert held_in(tmp_path / "store") == held
    assert not (tmp_path / "store" / "compacting").exists()


def test_it_is_written_and_compacted_again_as_before(tmp_path: Path):
    held = filled(tmp_path / "store")
    for n in range(3):
        compact_store(tmp_path / "store", quiet)
        with opened(tmp_path / "store", write=True) as store:
            store.put([(a_key(10 + n), an_answer())], [])
        held[a_key(10 + n)] = an_answer()
        assert held_in(tmp_path / "store") == held


def test_a_reader_of_the_old_files_goes_on_with_them(tmp_path: Path):
    held = filled(tmp_path / "store")
    with opened(tmp_path / "store") as reader, reader.reading() as stored:
        walk = stored.answers()
        seen = dict([next(walk)])
        compact_in_another_process(tmp_path / "store")
        seen.update(walk)
    assert seen == held == held_in(tmp_path / "store")


def compact_in_another_process(path: Path) -> None:
    annotate = Path(sys.executable).parent / "annotate"
    subprocess.run([annotate, "store", "compact", "--store", path], check=True, timeout=60)


def test_nobody_compacts_while_another_writes(tmp_path: Path):
    filled(tmp_path / "store")
    with opened(tmp_path / "store", write=True), pytest.raises(StoreError, match="is writing"):
        compact_store(tmp_path / "store", quiet)


def test_what_a_killed_compaction_left_is_cleared(tmp_path: Path):
    held = filled(tmp_path / "store")
    (tmp_path / "store" / "compacting").mkdir()
    (tmp_path / "store" / "compacting" / "data.mdb").write_bytes(b"half")
    compact_store(tmp_path / "store", quiet)

    assert held_in(tmp_path / "store") == held


def test_there_must_be_a_store(tmp_path: Path):
    with pytest.raises(StoreError, match="no store here"):
        compact_store(tmp_path / "nowhere", quiet)
    assert not (tmp_path / "nowhere").exists()
