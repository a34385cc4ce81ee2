"""The store learns its dictionary from its own first answers, once, and what is older stays."""

from pathlib import Path

import lmdb
import pytest

from stepdistill.annotator.store.response_store import TRAIN_AT, ResponseStore
from stepdistill.common.errors import StoreError
from tests.annotator.made import a_key, an_answer, answers


def opened(path: Path, *, write: bool = True) -> ResponseStore:
    return ResponseStore.open(path, write=write, map_bytes=1 << 24)


def dictionary_in(store: ResponseStore) -> bytes | None:
    with store.reading() as stored:
        return stored.dictionary and stored.dictionary[1]


def sizes_in(store: ResponseStore) -> dict[bytes, int]:
    with store.reading() as stored:
        return {key: len(value) for key, value in stored.values("responses")}


def test_after_a_thousand_answers_new_ones_are_small_and_old_ones_are_read(tmp_path: Path):
    first, second = answers(0, TRAIN_AT), answers(TRAIN_AT, TRAIN_AT + 200)
    with opened(tmp_path / "store") as store:
        store.put(first[:-1], [])
        assert dictionary_in(store) is None
        store.put(first[-1:], [])
        assert dictionary_in(store) is not None
        store.put(second, [])
        sizes = sizes_in(store)

        mean = {
            name: sum(sizes[k] for k, _ in part) / len(part)
            for name, part in (("first", first), ("second", second))
        }
        assert mean["second"] < 0.7 * mean["first"]
        with store.reading() as stored:
            assert dict(stored.answers()) == dict(first + second)


def test_the_next_writer_uses_the_same_dictionary(tmp_path: Path):
    with opened(tmp_path / "store") as store:
        store.put(answers(0, TRAIN_AT), [])
        learned = dictionary_in(store)
    more = answers(TRAIN_AT, TRAIN_AT + 100)
    with opened(tmp_path / "store") as store:
        store.put(more, [])
        assert dictionary_in(store) == learned
    with opened(tmp_path / "store", write=False) as store, store.reading() as stored:
        assert [stored.answer(key) for key, _ in more] == [answer for _, answer in more]


def test_a_store_of_words_too_short_to_learn_from_works_on(tmp_path: Path):
    with opened(tmp_path / "store") as store:
        for start in (0, TRAIN_AT):
            numbers = range(start, start + TRAIN_AT)
            store.put([(a_key(n), an_answer("")) for n in numbers], [])
        assert len(store) == 2 * TRAIN_AT


@pytest.mark.parametrize("write", [True, False])
def test_a_damaged_dictionary_is_said_and_not_used(tmp_path: Path, write: bool):
    path = tmp_path / "store"
    with opened(path) as store:
        store.put(answers(0, TRAIN_AT), [])
    with lmdb.open(str(path), max_dbs=4) as env, env.begin(write=True) as txn:
        meta = env.open_db(b"meta", txn)
        value = bytearray(txn.get(b"dictionary-1", db=meta) or b"")
        value[5000] ^= 1
        txn.put(b"dictionary-1", bytes(value), db=meta)

    for _ in range(2):
        with pytest.raises(StoreError, match="dictionary 1 is damaged"):
            opened(path, write=write)


def test_a_lost_dictionary_is_said_with_the_key_of_the_answer(tmp_path: Path):
    path = tmp_path / "store"
    key, answer = answers(TRAIN_AT, TRAIN_AT + 1)[0]
    with opened(path) as store:
        store.put(answers(0, TRAIN_AT), [])
        store.put([(key, answer)], [])
    with lmdb.open(str(path), max_dbs=4) as env, env.begin(write=True) as txn:
        txn.delete(b"dictionary-1", db=env.open_db(b"meta", txn))

    damaged = pytest.raises(StoreError, match=f"{key.hex()} is damaged .*no dictionary 1")
    with opened(path, write=False) as store, store.reading() as stored, damaged:
        stored.answer(key)
