"""Entries beside the answers: sealed on the disk, found by prefix, and named where damaged."""

from pathlib import Path
from zlib import crc32

import lmdb
import pytest

from stepdistill.annotator.store.entries import SealedEntries
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.common.errors import StoreError
from tests.annotator.made import a_key, an_answer

KEY, BODY = b"part-1", b'{"number":1}'


def opened(path: Path, *, write: bool = True) -> ResponseStore:
    return ResponseStore.open(path, write=write, map_bytes=1 << 24)


def raw(path: Path) -> lmdb.Environment:
    return lmdb.open(str(path), max_dbs=8, map_size=1 << 24)


def test_an_entry_lies_on_the_disk_behind_a_checksum_over_its_key_and_body(tmp_path: Path):
    with opened(tmp_path) as store:
        SealedEntries(store, "accounts").write(KEY, BODY)
    with raw(tmp_path) as env, env.begin() as txn:
        value = txn.get(KEY, db=env.open_db(b"accounts", txn, create=False))
    assert value == crc32(KEY + BODY).to_bytes(4) + BODY


def test_entries_are_found_by_the_start_of_their_keys_in_order(store: ResponseStore):
    entries = SealedEntries(store, "accounts")
    for key in (b"run-b", b"budget-x", b"run-a", b"ruo"):
        entries.write(key, key.upper())
    assert entries.starting_with(b"run-") == [b"RUN-A", b"RUN-B"]
    assert entries.starting_with(b"z") == []
    assert entries.get(b"budget-x") == b"BUDGET-X"
    assert entries.get(b"budget") is None


def test_a_transaction_changes_several_entries_or_none(store: ResponseStore):
    entries = SealedEntries(store, "batches")
    entries.write(b"old", BODY)

    def work(txn: lmdb.Transaction) -> None:
        entries.put(txn, b"new", BODY)
        entries.delete(txn, b"old")

    store.write(work)
    assert (entries.get(b"old"), entries.get(b"new")) == (None, BODY)

    def broken(txn: lmdb.Transaction) -> None:
        work(txn)
        entries.put(txn, b"third", BODY)
        raise StoreError("no room")

    with pytest.raises(StoreError, match="no room"):
        store.write(broken)
    assert entries.get(b"third") is None


@pytest.mark.parametrize("by_prefix", [True, False])
def test_a_damaged_entry_is_named(tmp_path: Path, by_prefix: bool):
    with opened(tmp_path) as store:
        SealedEntries(store, "batches").write(KEY, BODY)
    with raw(tmp_path) as env, env.begin(write=True) as txn:
        database = env.open_db(b"batches", txn, create=False)
        txn.put(KEY, (txn.get(KEY, db=database) or b"")[:-1], db=database)
    with opened(tmp_path, write=False) as store:
        entries = SealedEntries(store, "batches")
        with pytest.raises(StoreError, match=rf"{tmp_path}.*batches entry part-1 is damaged"):
            entries.starting_with(b"part-") if by_prefix else entries.get(KEY)


def test_a_store_from_before_there_were_entries_has_none_and_takes_none(tmp_path: Path):
    with opened(tmp_path) as store:
        store.put([(a_key(1), an_answer())], [])
    with raw(tmp_path) as env, env.begin(write=True) as txn:
        txn.drop(env.open_db(b"accounts", txn, create=False))
    with opened(tmp_path, write=False) as store:
        entries = SealedEntries(store, "accounts")
        assert (entries.get(KEY), entries.starting_with(b"")) == (None, [])
        with store.reading() as stored:
            assert stored.answer(a_key(1)) == an_answer()
        with pytest.raises(StoreError):
            entries.write(KEY, BODY)
