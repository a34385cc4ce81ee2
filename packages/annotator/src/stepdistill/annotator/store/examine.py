"""Whether a store's file can be read at all: found by a child process, since LMDB trusts its pages.

A page that is cut off, zeroed or flipped ends whoever reads it by a signal. So before a store is
opened, a child of this process goes through all of it, and what kills it becomes a line. A file
that is as its last writer left it is not gone through again: `writer.lock` says how that was.
"""

import faulthandler
import multiprocessing
import os
import resource
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import lmdb

from stepdistill.annotator.store.lock import state_of
from stepdistill.annotator.store.value import is_whole
from stepdistill.common.errors import StoreError

_NAMES = {b"responses", b"failures", b"meta"}
_SEALED = (b"responses", b"failures")  # behind a checksum over key and body
_COPY = "put a copy of the store in its place"


def examine(
    path: Path, last: str | None, *, max_dbs: int, write: bool, damaged_entries: bool
) -> None:
    """Raises StoreError: the file cannot be read through. last: how its last writer left it, None
    where that is not known. damaged_entries: single ones may be there."""
    file = path / "data.mdb"
    if not file.exists():
        return
    if file.stat().st_size == 0:
        raise StoreError(
            f"--store {path}: data.mdb is empty, and was not once: {_COPY}, or remove the folder "
            "to begin anew"
        )
    if last == state_of(file) and not damaged_entries:
        return
    ours, childs = multiprocessing.Pipe(duplex=False)
    # Forked, not spawned: a new interpreter would take as long to start as all else.
    child = multiprocessing.get_context("fork").Process(
        target=_go_through, args=(path, max_dbs, write, damaged_entries, childs), daemon=True
    )
    child.start()
    childs.close()
    try:
        wrong: str | None = ours.recv()
    except EOFError:
        wrong = None
    child.join()
    if child.exitcode:
        died = signal.Signals(-child.exitcode).name if child.exitcode < 0 else child.exitcode
        size = file.stat().st_size
        wrong = f"the database is damaged (reading its {size:,} bytes ends with {died}): {_COPY}"
    if wrong is not None:
        raise StoreError(f"--store {path}: {wrong}")


def _go_through(
    path: Path, max_dbs: int, write: bool, damaged_entries: bool, answer: Connection
) -> None:
    """In the child: says what is wrong, None for nothing, unless it dies of it."""
    faulthandler.disable()  # a signal is an answer here
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # LMDB has its own words for what it asserts
    try:
        wrong = _wrong(path, max_dbs, write=write, damaged_entries=damaged_entries)
    except lmdb.Error as error:
        wrong = f"the database is damaged ({error}): {_COPY}"
    except OSError as error:
        wrong = f"cannot be opened ({error})"
    answer.send(wrong)
    answer.close()
    os._exit(0)  # without closing what belongs to the parent


def _wrong(path: Path, max_dbs: int, *, write: bool, damaged_entries: bool) -> str | None:
    try:
        env = lmdb.open(str(path), max_dbs=max_dbs, readonly=not write, create=False)
    except lmdb.Error as error:
        return f"cannot be opened ({error}): {_COPY}"
    with env.begin() as txn:
        names = [bytes(name) for name, _ in txn.cursor()]
    if names and not _NAMES.issubset(names):
        return (
            f"the database is damaged (it lacks {b', '.join(_NAMES.difference(names))!r}): {_COPY}"
        )
    for name in names:
        database = env.open_db(name, create=False)
        with env.begin(database) as txn:
            wrong = _wrong_entry(txn, sealed=name in _SEALED)
        if wrong is not None and not damaged_entries:
            return wrong
    if write and names:
        _rehearse(env)
    return None


def _wrong_entry(txn: lmdb.Transaction, *, sealed: bool) -> str | None:
    """The first entry that is not what was written, or that a look-up does not find."""
    wrong, lost = None, None
    for key, value in txn.cursor():
        if sealed and not is_whole(bytes(value), bytes(key)):
            wrong = wrong or key
        elif txn.get(key) is None:
            lost = lost or key
    if wrong is not None:
        return (
            f"what is stored under {wrong.hex()} is damaged (its checksum does not match): {_COPY},"
            " or `annotate store verify --remove` what is damaged, to be asked again"
        )
    if lost is not None:
        return (
            f"what is stored under {lost.hex()} is there and not found: `annotate store compact` "
            "writes the store anew"
        )
    return None


def _rehearse(env: lmdb.Environment) -> None:
    """Write as a run does, and take it back: pages that are free are looked at, too."""
    database = env.open_db(b"responses", create=False)
    with env.begin(database, write=True) as txn:
        for number in range(64):
            txn.put(number.to_bytes(32), bytes(9_000))
        txn.abort()
