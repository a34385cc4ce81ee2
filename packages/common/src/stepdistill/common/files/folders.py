"""Whole folders at URLs, such as a student's: put there, and copied from there.

    URL/files.json   {"files": {"config.json": {"bytes": 12, "sha256": "..."}, ...}}

That list is put last, and goes first where a folder takes the place of another: so a folder with a
list is whole. A copy lies in the user's caches, under the hash of its list, and is made once. Of a
folder that somebody else put there, without a list, nobody can say whether it has changed: it is
copied by each command anew.
"""

import atexit
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson

from stepdistill.common.errors import NothingThere, StorageError, StorageRefused
from stepdistill.common.files.storage import (
    cache_folder,
    delete,
    fetch_all,
    files_in,
    put_all,
    put_bytes,
    read_bytes,
)
from stepdistill.common.urls import Place, Url

LIST_NAME = "files.json"
_NO_LIST = b'{"files":{}}'


def put_folder(folder: Path, url: Url) -> None:
    """Put a folder in a URL's place, with all that lies in it. Raises StorageError."""
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    names = [name for name in names if name != LIST_NAME]
    text = orjson.dumps({"files": {name: _entry(folder / name) for name in names}})
    old = _listed(url)
    if old is not None:
        if orjson.dumps({"files": old}) == text:
            return
        try:
            delete(url / LIST_NAME)
        except StorageRefused:  # nothing may be removed there: then it lists nothing
            put_bytes(_NO_LIST, url / LIST_NAME)
    put_all({url / name: folder / name for name in names})
    for name in sorted((old or {}).keys() - set(names)):
        with suppress(StorageRefused):
            delete(url / name)
    put_bytes(text, url / LIST_NAME)


def local_folder(place: Place) -> Path:
    """The folder itself, or a copy of one elsewhere. Raises StorageError, OSError."""
    if isinstance(place, Path):
        return place
    listed = _listed(place)
    if listed is None:
        return _copied_by_listing(place)
    if not listed:
        raise StorageError(f"{place / LIST_NAME}: lists nothing: what is there is not complete")
    digest = hashlib.sha256(orjson.dumps(listed)).hexdigest()
    copies = cache_folder("folders") / digest
    copy = copies / place.name
    copies.mkdir(parents=True, exist_ok=True)
    with locked(copies / "lock", fcntl.LOCK_EX):
        for name in listed:
            if Path(name).is_absolute() or ".." in Path(name).parts:
                raise StorageError(f"{place / LIST_NAME}: {name!r} is no name of a file in it")
        wrong = [name for name, entry in listed.items() if _entry(copy / name) != entry]
        fetch_all({place / name: copy / name for name in wrong})
        for name in wrong:
            if _entry(copy / name) != listed[name]:
                shutil.rmtree(copy)
                raise StorageError(
                    f"{place / name}: not as {LIST_NAME} lists it: put that folder there again"
                )
    return copy


@contextmanager
def locked(path: Path, how: int) -> Generator[None]:
    """Whoever wants to write waits for all others, and they for it. how: of `fcntl.flock`."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        with suppress(OSError):  # a file system without locks: each file is whole all the same
            fcntl.flock(lock, how)
        yield
    finally:
        os.close(lock)


def _listed(url: Url) -> dict[str, Any] | None:
    """name -> its entry; None where there is no list. Raises StorageError."""
    try:
        content = orjson.loads(read_bytes(url / LIST_NAME))
        return dict(sorted(content["files"].items()))
    except (NothingThere, StorageRefused):  # of what is not there many buckets say no more
        return None
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise StorageError(f"{url / LIST_NAME}: no list of files ({error})") from None


def _copied_by_listing(url: Url) -> Path:
    names = files_in(url, None)
    if not names:
        raise NothingThere(f"{url}: no such folder")
    base = cache_folder("staging")
    base.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=base))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    fetch_all({url / name: folder / url.name / name for name in names})
    return folder / url.name


def _entry(path: Path) -> dict[str, object] | None:
    if not path.is_file():
        return None
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": digest}
