"""The response store: every answer under its request's key, in LMDB; the only record of progress.

    responses   key (32 bytes) -> Answer, as store/value.py lays it out
    failures    key -> Failure, removed once the request is answered
    meta        schema -> version; dictionary-N -> what values are compressed with
    and entries of other rooms: see store/entries.py

One process writes, behind a lock that says who holds it; any number read. A commit is synced to
disk before it returns, so what was committed survives a kill of the process and of the machine.
"""

import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from hashlib import sha256
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

import lmdb

from stepdistill.annotator.store.answer import Answer, Failure
from stepdistill.annotator.store.examine import examine
from stepdistill.annotator.store.lock import (
    folder_lock,
    last_state,
    release,
    reserve_readers,
    state_of,
    take_lock,
)
from stepdistill.annotator.store.snapshot import Snapshot, dictionary_key
from stepdistill.annotator.store.value import (
    DICTIONARY_SAMPLES,
    Packer,
    payload_of,
    sealed,
    train,
)
from stepdistill.common.errors import StoreError

if TYPE_CHECKING:
    from lmdb import _Database  # pyright: ignore[reportPrivateUsage]  # its only name

SCHEMA_VERSION = b"2"
MAP_BYTES = 1 << 34  # of address space, not of the disk; it doubles where it is not enough
N_DATABASES = 8
ENTRY_DATABASES = ("batches", "claims", "accounts")
TRAIN_AT = 1_000  # answers that a dictionary is trained on at the earliest
_T = TypeVar("_T")
_SAFE = "all that was stored before is safe: make room and run this again"


class ResponseStore(AbstractContextManager["ResponseStore"]):
    """The answers of one folder. Open it with `ResponseStore.open`; a context manager."""

    def __init__(
        self, env: lmdb.Environment, path: Path, lock: int | None, *, is_sound: bool = True
    ) -> None:
        self._env, self.path, self._lock, self._is_sound = env, path, lock, is_sound
        self._resizing = threading.Lock()  # the map moves: nobody may read at that moment
        self._writing = threading.Lock()  # and whoever else writes must have ended
        self._snapshots = 0
        self._databases: dict[str, _Database] = {
            name: env.open_db(name.encode(), create=lock is not None)
            for name in ("responses", "failures", "meta")
        }
        for name in ENTRY_DATABASES:
            with suppress(lmdb.NotFoundError):  # a reader of a store from before there were any
                self._databases[name] = env.open_db(name.encode(), create=lock is not None)
        self._responses, self._failures = self._databases["responses"], self._databases["failures"]
        self._train_at = TRAIN_AT
        with self.reading() as stored:
            self._packer = Packer(stored.dictionary)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        write: bool,
        map_bytes: int = MAP_BYTES,
        damaged_entries: bool = False,
        examined: bool = False,
    ) -> Self:
        """The store in a folder, made if write. damaged_entries: it may have some. examined: who
        started this process has it open. Raises StoreError: locked, unusable, damaged, too old."""
        with ExitStack() as undo:
            last = last_state(path)  # before the lock says that it is ours
            lock = take_lock(path) if write else None
            undo.callback(release, lock, last or "")
            if not write and not (path / "data.mdb").exists():
                raise StoreError(f"--store {path}: no store here")
            try:
                if not examined:
                    examine(
                        path,
                        last,
                        max_dbs=N_DATABASES,
                        write=write,
                        damaged_entries=damaged_entries,
                    )
                reserve_readers(path)
                with folder_lock(path):
                    env = lmdb.open(
                        str(path), map_size=map_bytes, max_dbs=N_DATABASES, readonly=not write
                    )
                undo.callback(env.close)
                _check_schema(env, path, write=write)
                store = cls(env, path, lock, is_sound=not damaged_entries)
            except (lmdb.Error, OSError) as error:
                raise StoreError(f"--store {path}: cannot be opened ({error})") from None
            undo.pop_all()
            return store

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the environment and let the next writer in."""
        self._env.close()
        if self._lock is not None:
            release(self._lock, state_of(self.path / "data.mdb") if self._is_sound else "")
        self._lock = None

    def __contains__(self, key: bytes) -> bool:
        return self.has([key])[0]

    def has(self, keys: Iterable[bytes], max_tokens: int | None = None) -> list[bool]:
        """Which of these requests have an answer: one transaction for all. max_tokens: an answer
        that may go on with this limit is none. Raises StoreError: damaged."""
        if max_tokens is None:
            return self.read(lambda txn: [txn.get(k, db=self._responses) is not None for k in keys])

        def work(txn: lmdb.Transaction) -> list[bool]:
            stored = Snapshot(txn, self._databases, self.path)
            answers = (stored.answer(key) for key in keys)
            return [a is not None and not a.may_go_on(max_tokens) for a in answers]

        return self.read(work)

    def __len__(self) -> int:
        return self.read(lambda txn: int(txn.stat(self._responses)["entries"]))

    @contextmanager
    def reading(self) -> Generator[Snapshot]:
        """One snapshot to read many answers from. Raises StoreError: the database is damaged."""
        with self._resizing:
            txn = self._begin()
            self._snapshots += 1
        try:
            with txn:
                yield Snapshot(txn, self._databases, self.path)
        except lmdb.Error as error:
            raise self._damaged(error) from None
        finally:
            with self._resizing:
                self._snapshots -= 1

    def database(self, name: str) -> "_Database | None":
        """One of the databases; None where a reader finds none yet."""
        return self._databases.get(name)

    def read(self, work: Callable[[lmdb.Transaction], _T]) -> _T:
        """Read in one short transaction. Raises StoreError: the database is damaged."""
        with self._resizing, self._begin() as txn:
            try:
                return work(txn)
            except lmdb.Error as error:
                raise self._damaged(error) from None

    def write(self, work: Callable[[lmdb.Transaction], object]) -> None:
        """Commit work durably; it may be called twice. Raises StoreError: the disk is full."""
        with self._writing:
            self._write(work)

    def put(
        self,
        answers: Iterable[tuple[bytes, Answer]],
        failures: Iterable[tuple[bytes, Failure]],
        *,
        is_put: Callable[[], object] | None = None,
    ) -> None:
        """Commit answers and failures together; one call at a time. is_put: called when only the
        disk is to be waited for, again where that is tried again. Raises StoreError when the disk
        is full or the store cannot grow."""
        # In the order of the keys a commit touches its pages one after the other.
        new = sorted(answers, key=itemgetter(0))  # of one key the last to come stays
        values = self._packer.answers(new)
        failed = sorted((key, self._packer.failure(key, failure)) for key, failure in failures)

        # Each call of LMDB hands the interpreter to the loop's thread and waits for it: as few as
        # can be for an answer, which is new as a rule and had no failure before it.
        def commit(txn: lmdb.Transaction) -> None:
            had_failures = txn.stat(self._failures)["entries"] > 0
            for (key, answer), value in zip(new, values, strict=True):
                if not txn.put(key, value, db=self._responses, overwrite=False):
                    self._set_aside(txn, key, answer)
                    txn.put(key, value, db=self._responses)
                if had_failures:
                    txn.delete(key, db=self._failures)
            for key, value in failed:
                txn.put(key, value, db=self._failures)
            if is_put is not None:
                is_put()

        self.write(commit)
        if self._packer.number == 0 and len(self) >= self._train_at:
            self._learn()

    def add(self, answers: Iterable[tuple[bytes, Answer]]) -> int:
        """Commit answers that were paid for elsewhere; how many requests had none here. What is
        there stays, and another answer to the same request is kept aside. Raises StoreError."""
        new = sorted(answers, key=itemgetter(0))
        values = self._packer.answers(new)
        added: list[bytes] = []

        def commit(txn: lmdb.Transaction) -> None:
            stored = Snapshot(txn, self._databases, self.path)
            added.clear()
            for (key, answer), value in zip(new, values, strict=True):
                if txn.put(key, value, db=self._responses, overwrite=False):
                    added.append(key)
                    txn.delete(key, db=self._failures)
                elif answer.mode != "import" and stored.answer(key) != answer:
                    self._put_aside(txn, key, answer)

        self.write(commit)
        if self._packer.number == 0 and len(self) >= self._train_at:
            self._learn()
        return len(added)

    def _set_aside(
        self, txn: lmdb.Transaction, key: bytes, replacing: Answer | None = None
    ) -> None:
        """Keep an answer under a key that no request has: it was paid for, and reports count it.
        What is damaged is not kept, nor what comes a second time, or was not paid for."""
        stored = Snapshot(txn, self._databases, self.path)
        with suppress(StoreError):
            answer = stored.answer(key)
            if answer is not None and answer != replacing and answer.mode != "import":
                self._put_aside(txn, key, answer)

    def _put_aside(self, txn: lmdb.Transaction, key: bytes, answer: Answer) -> None:
        aside = sha256(b"set aside" + key + payload_of(answer)).digest()
        txn.put(aside, self._packer.answer(aside, answer), db=self._responses)

    def forget(self, keys: Iterable[bytes], why: Failure | None = None) -> None:
        """Have these requests asked again; their answers still count where money is counted. why:
        what is kept in their place until then. Raises StoreError."""
        gone = sorted(keys)

        def commit(txn: lmdb.Transaction) -> None:
            for key in gone:
                self._set_aside(txn, key)
                txn.delete(key, db=self._responses)
                txn.delete(key, db=self._failures)
                if why is not None:
                    txn.put(key, self._packer.failure(key, why), db=self._failures)

        self.write(commit)

    def remove(self, keys: Iterable[bytes]) -> None:
        """Forget what is stored under these keys: the next run asks again. Raises StoreError."""
        gone = list(keys)

        def commit(txn: lmdb.Transaction) -> None:
            for key in gone:
                for database in (self._responses, self._failures):
                    if not txn.delete(key, db=database):
                        _delete_where_it_lies(txn, database, key)

        self.write(commit)

    def _learn(self) -> None:
        """Train a dictionary on what is stored."""
        with self.reading() as stored:  # keys are hashes: the first in their order are any answers
            dictionary = train(list(islice(stored.payloads(), DICTIONARY_SAMPLES)))
        if dictionary is None:
            self._train_at *= 4  # too short or too alike: tried again where there are many more
            return
        key = dictionary_key(1)
        self.write(lambda txn: txn.put(key, sealed(dictionary, key), db=self._databases["meta"]))
        self._packer = Packer((1, dictionary))

    def _begin(self) -> lmdb.Transaction:
        try:
            return self._env.begin()
        except lmdb.MapResizedError:  # a writer elsewhere made it larger
            self._env.set_mapsize(0)
            return self._env.begin()
        except lmdb.Error as error:
            raise StoreError(f"--store {self.path}: cannot be read ({error})") from None

    def _damaged(self, error: lmdb.Error) -> StoreError:
        return StoreError(
            f"--store {self.path}: the database is damaged ({error}): put a copy in its place"
        )

    def _write(self, work: Callable[[lmdb.Transaction], object]) -> None:
        while True:
            try:
                with self._env.begin(write=True) as txn:
                    work(txn)
                return
            except lmdb.MapFullError:
                self._grow()
            except lmdb.Error as error:
                raise StoreError(
                    f"--store {self.path}: answers could not be written ({error}; is the disk "
                    f"full?); {_SAFE}"
                ) from None

    def _grow(self) -> None:
        with self._resizing:
            if self._snapshots:
                raise StoreError(f"--store {self.path}: cannot grow while it is read; {_SAFE}")
            size = int(self._env.info()["map_size"])
            try:
                self._env.set_mapsize(2 * size)
            except (lmdb.Error, OverflowError) as error:
                self._env.close()  # it has no map any more: whoever touched it would crash
                raise StoreError(
                    f"--store {self.path}: cannot grow beyond {size:,} bytes ({error}); {_SAFE}"
                ) from None


def _delete_where_it_lies(txn: lmdb.Transaction, database: "_Database", key: bytes) -> None:
    """Remove a damaged key, which lies out of order and so is not found."""
    with txn.cursor(database) as cursor:
        for found in cursor.iternext(values=False):
            if found == key:
                cursor.delete()
                return


def _check_schema(env: lmdb.Environment, path: Path, *, write: bool) -> None:
    meta = env.open_db(b"meta", create=write)
    with env.begin(meta, write=write) as txn:
        found = txn.get(b"schema")
        if found is None and write:
            txn.put(b"schema", SCHEMA_VERSION)
        elif found != SCHEMA_VERSION:
            version = bytes(found)[:32].decode(errors="backslashreplace") if found else "none"
            raise StoreError(
                f"--store {path}: schema {version}, this program reads {SCHEMA_VERSION.decode()}: "
                "name another store"
            )
