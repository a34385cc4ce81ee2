"""Writing a store anew: full pages in the order of the keys, every value with the dictionary.

The new files are made beside the old and put in their place at once; a reader that has the old ones
open goes on with them. The writer's lock is held all the time.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import lmdb

from stepdistill.annotator.store.examine import examine
from stepdistill.annotator.store.lock import (
    folder_lock,
    release,
    reserve_readers,
    state_of,
    sync_folder,
    take_lock,
)
from stepdistill.annotator.store.response_store import (
    ENTRY_DATABASES,
    MAP_BYTES,
    N_DATABASES,
    SCHEMA_VERSION,
    ResponseStore,
)
from stepdistill.annotator.store.snapshot import Snapshot, dictionary_key
from stepdistill.annotator.store.value import Packer, sealed
from stepdistill.common.errors import StoreError

_PER_COMMIT = 10_000
Tell = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compacted:
    """What a compaction has done."""

    answers: int
    bytes_before: int  # of the store's file
    bytes_after: int


def compact_store(path: Path, tell: Tell) -> Compacted:
    """Write the store anew and exchange the files. Raises StoreError: another writer, a damaged
    value, a full disk; the store is as it was then."""
    if not (path / "data.mdb").exists():
        raise StoreError(f"--store {path}: no store here")
    lock, left = take_lock(path), ""
    new = path / "compacting"
    try:
        # Entries that are there and not found are no hindrance: to write the store anew mends that.
        examine(path, None, max_dbs=N_DATABASES, write=False, damaged_entries=True)
        shutil.rmtree(new, ignore_errors=True)  # of a compaction that was killed
        with ResponseStore.open(path, write=False) as store, store.reading() as stored:
            before, answers = (path / "data.mdb").stat().st_size, len(store)
            try:
                _write(stored, new, max(MAP_BYTES, 2 * before), tell)
            except lmdb.Error as error:
                raise _failed(path, error) from None
        _exchange(path, new)
        left = state_of(path / "data.mdb")
    except OSError as error:
        raise _failed(path, error) from None
    finally:
        shutil.rmtree(new, ignore_errors=True)
        release(lock, left)
    after = (path / "data.mdb").stat().st_size
    return Compacted(answers=answers, bytes_before=before, bytes_after=after)


def _failed(path: Path, error: Exception) -> StoreError:
    return StoreError(f"--store {path}: could not be compacted ({error}); it is as it was")


def _write(stored: Snapshot, folder: Path, map_bytes: int, tell: Tell) -> None:
    folder.mkdir()
    reserve_readers(folder)
    with closing(
        lmdb.open(str(folder), map_size=map_bytes, max_dbs=N_DATABASES, sync=False)
    ) as env:
        meta = [(b"schema", SCHEMA_VERSION)]
        if stored.dictionary:
            key = dictionary_key(stored.dictionary[0])
            meta.insert(0, (key, sealed(stored.dictionary[1], key)))  # in the order of the keys
        packer = Packer(stored.dictionary)
        failures = ((key, packer.failure(key, failure)) for key, failure in stored.failures())
        answers = ((key, packer.answer(key, answer)) for key, answer in stored.answers())
        _fill(env, "meta", iter(meta), tell)
        _fill(env, "failures", failures, tell)
        _fill(env, "responses", answers, tell)
        for name in ENTRY_DATABASES:
            _fill(env, name, stored.values(name), tell)
        env.sync(True)


def _fill(
    env: lmdb.Environment, name: str, entries: Iterator[tuple[bytes, bytes]], tell: Tell
) -> None:
    database, done = env.open_db(name.encode()), 0
    while chunk := list(islice(entries, _PER_COMMIT)):
        with env.begin(database, write=True) as txn:
            for key, value in chunk:
                txn.put(key, value, append=True)
        done += len(chunk)
        tell(done)


def _exchange(path: Path, new: Path) -> None:
    with folder_lock(path, alone=True):
        # LMDB's own lock file belongs to the old data; whoever opens the new makes a new one.
        (path / "lock.mdb").unlink(missing_ok=True)
        (new / "data.mdb").replace(path / "data.mdb")
        sync_folder(path)
