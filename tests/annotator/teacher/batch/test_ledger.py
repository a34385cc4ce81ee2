"""The ledger says the same after any crash, beside the answers and without disturbing them."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import lmdb
import pytest

from stepdistill.annotator.store.compact import compact_store
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.teacher.batch.ledger import Ledger
from stepdistill.annotator.teacher.batch.part import BatchPart
from stepdistill.annotator.teacher.batch.part_files import (
    PartWriter,
    is_whole,
    read_requests,
    remove_strays,
)
from stepdistill.common.errors import StoreError
from tests.annotator.made import a_key, an_answer
from tests.annotator.teacher.asking import several
from tests.annotator.teacher.batch.asking import Clock, a_batch_context


def opened(path: Path, *, write: bool = True) -> ResponseStore:
    return ResponseStore.open(path / "store", write=write, map_bytes=1 << 24)


def raw(path: Path) -> lmdb.Environment:
    return lmdb.open(str(path / "store"), max_dbs=8, map_size=1 << 24)


def a_part(store: ResponseStore, n: int = 3, clock: Callable[[], float] = time.time) -> BatchPart:
    with PartWriter(a_batch_context(store, clock=clock)) as writer:
        for request in several(n):
            assert writer.add(request) is None
        part = writer.finish()
    assert part is not None
    return part


def test_a_part_and_its_claims_are_there_in_the_next_process(tmp_path: Path):
    with opened(tmp_path) as store:
        part = a_part(store, clock=Clock(now=5.0))
    with opened(tmp_path, write=False) as store:
        ledger = Ledger(store)
        assert ledger.parts() == [part]
        keys = [request.key for request in several(4)]
        assert ledger.keys(part.number) == keys[:3]
        assert ledger.claims(keys) == [1, 1, 1, 0]
        assert ledger.tries(keys) == [1, 1, 1, 0]
        assert part.began_at == 5.0


def test_every_move_is_stamped(tmp_path: Path):
    clock = Clock(now=1.0)
    with opened(tmp_path) as store:
        ledger = Ledger(store, clock)
        part = a_part(store, clock=clock)
        clock.now = 2.0
        ledger.move(part, "uploading")
        assert [(s.state, s.at) for s in ledger.part(1).history] == [
            ("prepared", 1.0),
            ("uploading", 2.0),
        ]


def test_settled_requests_are_free_or_forgotten(tmp_path: Path):
    keys = [request.key for request in several(3)]
    with opened(tmp_path) as store:
        ledger = Ledger(store)
        part = a_part(store)
        ledger.settle(part, "collected", {keys[0]: 1})
        assert ledger.claims(keys) == [0, 0, 0]
        assert ledger.tries(keys) == [1, 0, 0]
        assert ledger.keys(part.number) == []
        assert ledger.open_parts() == []
        again = a_part(store)
        assert again.number == 2
        assert ledger.tries(keys) == [2, 1, 1]


def test_a_claim_that_another_part_has_is_not_settled_with_this_one(tmp_path: Path):
    keys = [request.key for request in several(3)]
    with opened(tmp_path) as store:
        ledger = Ledger(store)
        first, second = a_part(store), a_part(store)
        ledger.settle(first, "released", {})
        assert ledger.claims(keys) == [second.number] * 3


def test_a_reader_of_a_store_from_before_sees_no_batches(tmp_path: Path):
    with opened(tmp_path) as store:
        store.put([(a_key(1), an_answer())], [])
    with raw(tmp_path) as env, env.begin(write=True) as txn:  # as it was before
        for name in (b"batches", b"claims"):
            txn.drop(env.open_db(name, txn, create=False))
    with opened(tmp_path, write=False) as store:
        ledger = Ledger(store)
        assert ledger.parts() == []
        assert ledger.claims([a_key(1)]) == [0]
        assert store.has([a_key(1)]) == [True]
    with opened(tmp_path) as store:
        assert a_part(store).number == 1


def test_a_damaged_entry_is_named(tmp_path: Path):
    with opened(tmp_path) as store:
        a_part(store)
    with raw(tmp_path) as env, env.begin(write=True) as txn:
        batches = env.open_db(b"batches", txn)
        value = bytearray(txn.get(b"part-0000000001", db=batches) or b"")
        value[20] ^= 1
        txn.put(b"part-0000000001", bytes(value), db=batches)
    with opened(tmp_path) as store, pytest.raises(StoreError, match="part-0000000001 is damaged"):
        Ledger(store).parts()


def test_a_compacted_store_keeps_its_ledger(tmp_path: Path):
    with opened(tmp_path) as store:
        part = a_part(store)
    compact_store(tmp_path / "store", lambda _: None)
    with opened(tmp_path) as store:
        ledger = Ledger(store)
        assert ledger.parts() == [part]
        assert ledger.claims([several(1)[0].key]) == [1]


def test_a_full_map_grows_under_the_ledger(tmp_path: Path):
    with ResponseStore.open(tmp_path / "store", write=True, map_bytes=1 << 16) as store:
        ledger = Ledger(store)
        for _ in range(40):
            ledger.settle(a_part(store, 10), "collected", {})
        assert len(ledger.parts()) == 40


def test_requests_are_read_back_as_they_were_written(tmp_path: Path):
    with opened(tmp_path) as store:
        ledger = Ledger(store)
        path = ledger.folder / a_part(store, 10).file_name
        wanted = several(10)[3:5]
        found = list(read_requests(path, {request.key for request in wanted}))
        assert [(f.key, f.messages, f.body) for f in found] == [
            (w.key, w.messages, w.body) for w in wanted
        ]


def test_a_part_that_was_being_written_at_a_crash_is_written_again_and_no_other(tmp_path: Path):
    with opened(tmp_path) as store:
        ledger = Ledger(store)
        whole = ledger.folder / a_part(store, 10).file_name
        before = whole.stat()
        with PartWriter(a_batch_context(store)) as writer:
            for request in several(14)[10:]:
                writer.add(request)
            # the process is killed here: nothing is finished
    with opened(tmp_path) as store:
        ledger = Ledger(store)
        shutil.copy(whole, ledger.folder / "part-000007.jsonl")  # not noted any more
        remove_strays(ledger)
        assert [path.name for path in ledger.folder.iterdir()] == [whole.name]
        assert (whole.stat().st_ino, whole.stat().st_mtime_ns) == (
            before.st_ino,
            before.st_mtime_ns,
        )
        assert ledger.claims([request.key for request in several(14)]) == [1] * 10 + [0] * 4


def test_a_part_file_that_was_touched_is_seen(tmp_path: Path):
    with opened(tmp_path) as store:
        ledger = Ledger(store)
        part = a_part(store)
        path = ledger.folder / part.file_name
        assert is_whole(path, part)
        path.write_bytes(path.read_bytes().replace(b"question 1", b"question 7"))
        assert not is_whole(path, part)
        path.unlink()
        assert not is_whole(path, part)


def test_neither_file_nor_ledger_holds_a_secret(tmp_path: Path):
    with opened(tmp_path) as store:
        a_part(store)
    held = b"".join(path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file())
    assert b"question 1" in held
    assert b"sk-test" not in held
