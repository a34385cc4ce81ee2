"""A flipped byte is found by its key, can be removed and asked again; contents are counted."""

from pathlib import Path

import lmdb
import pytest

from stepdistill.annotator.store.answer import Usage
from stepdistill.annotator.store.check import contents_of, verify_store
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.common.errors import StoreError
from tests.annotator.made import FAILURE, a_key, an_answer, answers


def quiet(_: int) -> None:
    """Nobody listens."""


def opened(path: Path, *, write: bool = False, damaged: bool = False) -> ResponseStore:
    return ResponseStore.open(path, write=write, map_bytes=1 << 24, damaged_entries=damaged)


def filled(path: Path) -> list[bytes]:
    """A store of fifty answers and a failure; the keys of the answers."""
    with opened(path, write=True) as store:
        store.put(answers(0, 50), [(a_key(1), FAILURE)])
    return [key for key, _ in answers(0, 50)]


def flip(path: Path, key: bytes, part: str = "responses") -> None:
    """Flip a byte of one value where it lies in the file."""
    with opened(path, damaged=True) as store, store.reading() as stored:
        value = dict(stored.values("responses" if part == "responses" else "failures"))[key]
    flipped = bytearray(value)
    flipped[len(value) // 2] ^= 0x10
    data = path / "data.mdb"
    data.write_bytes(data.read_bytes().replace(value, flipped))


def test_a_whole_store_is_said_to_be(tmp_path: Path):
    filled(tmp_path / "store")
    with opened(tmp_path / "store") as store:
        found = verify_store(store, quiet)

    assert (found.checked, found.damaged) == ({"responses": 50, "failures": 1}, [])


def test_each_flipped_byte_is_found_by_its_key(tmp_path: Path):
    keys = filled(tmp_path / "store")
    for key in (keys[3], keys[40]):
        flip(tmp_path / "store", key)
    flip(tmp_path / "store", a_key(1), "failures")
    with opened(tmp_path / "store", damaged=True) as store:
        found = verify_store(store, quiet)

    assert {damage.key for damage in found.damaged} == {keys[3], keys[40], a_key(1)}
    assert found.checked == {"responses": 50, "failures": 1}


def test_a_key_of_another_length_is_found(tmp_path: Path):
    with opened(tmp_path / "store", write=True) as store:
        store.put([(b"short", an_answer())], [])
        found = verify_store(store, quiet)

    assert [damage.why for damage in found.damaged] == ["its key has 5 bytes, not 32"]


def test_a_run_that_meets_a_damaged_answer_hears_its_key_and_what_to_do(tmp_path: Path):
    keys = filled(tmp_path / "store")
    flip(tmp_path / "store", keys[3])
    with pytest.raises(StoreError, match=keys[3].hex()):  # before anything is asked
        opened(tmp_path / "store", write=True)
    with opened(tmp_path / "store", damaged=True) as store, store.reading() as stored:
        assert stored.answer(keys[4]) is not None
        with pytest.raises(StoreError) as caught:
            stored.answer(keys[3])
        with pytest.raises(StoreError, match=keys[3].hex()):
            list(stored.answers())

    assert keys[3].hex() in str(caught.value)
    assert "annotate store verify --remove" in str(caught.value)


def test_what_is_removed_is_asked_again(tmp_path: Path):
    keys = filled(tmp_path / "store")
    flip(tmp_path / "store", keys[3])
    with opened(tmp_path / "store", write=True, damaged=True) as store:
        store.remove([keys[3], a_key(1)])
        assert keys[3] not in store
        found = verify_store(store, quiet)

    assert (found.checked["responses"], found.damaged) == (49, [])


def test_a_broken_page_of_the_database_is_one_line(tmp_path: Path):
    path = tmp_path / "store"
    filled(path)
    with lmdb.open(str(path), max_dbs=4) as env, env.begin() as txn:
        depth = txn.stat(env.open_db(b"responses", txn))["depth"]
    assert depth == 2
    data = bytearray((path / "data.mdb").read_bytes())
    for page in range(2 * 4096, len(data), 4096):
        data[page + 10 : page + 12] = b"\0\0"  # the flags: neither branch nor leaf
    (path / "data.mdb").write_bytes(data)

    with pytest.raises(StoreError) as caught, opened(path) as store:
        verify_store(store, quiet)
    assert str(path) in str(caught.value)


def test_contents_are_counted(tmp_path: Path):
    usage = Usage(prompt=7, completion=5, cached=3, reasoning=1)
    with opened(tmp_path / "store", write=True) as store:
        first = an_answer(usage=usage)
        second = an_answer(usage=usage, model="other", mode="import", finish="length")
        store.put([(a_key(1), first), (a_key(2), second)], [(a_key(3), FAILURE)])
        found = contents_of(store, quiet)

    assert (found.answers, found.failures) == (2, 1)
    assert found.by_model == {"any-model": 1, "other": 1}
    assert found.by_mode == {"online": 1, "import": 1}
    assert found.by_finish == {"stop": 1, "length": 1}
    assert found.by_reason == {"bad_request": 1}
    assert found.tokens == {"prompt": 14, "completion": 10, "cached": 6, "reasoning": 2}
    assert 0 < found.value_bytes < found.file_bytes
    assert found.dictionary_bytes == 0
