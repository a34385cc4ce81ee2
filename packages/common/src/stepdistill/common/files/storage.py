"""What is at a URL, read and written whole: `s3://`, `gs://`, `az://`, `hf://`, whatever fsspec has
a name for. A scheme that needs something of its own gets it here, and nowhere else.

A file is put whole or not at all, and never added to or renamed: object stores can do neither.
Nothing that is read needs a listing, which many buckets do not grant; and none is taken from what
a client remembers, as other machines write there too.
"""

import errno
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar, cast

from stepdistill.common.errors import (
    NothingThere,
    StorageError,
    StorageRefused,
    StorageUnreachable,
)
from stepdistill.common.urls import Place, Url, text_without_secrets, without_secrets
from stepdistill.common.whole_file import write_whole

# Clients try again by themselves, but not after all that can be mended by it.
_WAITS_S = (0.5, 2.0)
_AT_ONCE = 4
_LARGE_BYTES = 64 << 20  # a client sends the parts of such a file at once
_EXTRAS = {
    **dict.fromkeys(("s3", "s3a"), "s3"),
    **dict.fromkeys(("gs", "gcs"), "gcs"),
    **dict.fromkeys(("az", "abfs", "abfss", "adl"), "azure"),
}
_READ_ONLY = ("http", "https", "zip", "tar", "github", "data")
# What a client says, and what helps where its words do not.
_HINTS = (
    (
        r"(?i)content-?md5|checksum|x-amz-trailer|contentsha256",
        "its server knows no such checksums: set AWS_REQUEST_CHECKSUM_CALCULATION=when_required "
        "and AWS_RESPONSE_CHECKSUM_VALIDATION=when_required",
    ),
    (
        r"(?i)unable to locate credentials|NoCredentials",
        "set them as its own tools want them; for a public bucket FSSPEC_S3_ANON=true",
    ),
    (
        r"(?i)DefaultCredentialsError|default credentials",
        "set them as its own tools want them; for a public bucket FSSPEC_GS_TOKEN=anon",
    ),
)
_FINAL = (ValueError, TypeError, NotImplementedError, AttributeError)
_FINAL_NAMES = ("Credentials", "ParamValidation", "InvalidRegion", "Unauthorized", "GatedRepo")
_REFUSALS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_FULL = (errno.ENOSPC, errno.EDQUOT)
_FINAL_NUMBERS = (errno.EPERM, errno.ENOSYS, errno.EROFS, errno.ENAMETOOLONG)
T = TypeVar("T")
Act = Callable[[Any, str], T]


def read_bytes(url: Url) -> bytes:
    """A small file. Raises StorageError."""
    return _done(url, "read", lambda system, path: cast(bytes, system.cat_file(path)))


def read_place(place: Place) -> bytes:
    """A small file, wherever it is. Raises StorageError, OSError."""
    return read_bytes(place) if isinstance(place, Url) else place.read_bytes()


def fetch(url: Url, path: Path) -> None:
    """A copy of a file on this machine; it appears when it is whole. Raises StorageError,
    OSError: it cannot be written here."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.open("wb").close()  # what cannot be written here is no trouble of theirs
    try:
        _done(url, "read", lambda system, there: system.get_file(there, str(part)))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def put(path: Path, url: Url) -> None:
    """Put a file of this machine in a URL's place. Raises StorageError: nothing is there then, or
    what was before."""
    size = path.stat().st_size

    def act(system: Any, there: str) -> None:
        system.put_file(str(path), there)
        system.invalidate_cache()
        with suppress(PermissionError, NotImplementedError):  # who may only write
            found = system.info(there)["size"]
            if found is not None and found != size:
                raise OSError(f"{found:,} of {size:,} bytes arrived")

    refuse_read_only(url)
    _done(url, "written", act)


def put_bytes(content: bytes, url: Url) -> None:
    """Put a small file in a URL's place. Raises StorageError."""
    with tempfile.TemporaryDirectory(prefix="stepdistill-") as folder:
        path = Path(folder) / "content"
        path.write_bytes(content)
        put(path, url)


def put_all(files: Mapping[Url, Path]) -> None:
    """Put several files, in any order, and some of them at once. Raises StorageError."""
    _at_once(put, [(path, url) for url, path in files.items()], lambda path: path.stat().st_size)


def fetch_all(files: Mapping[Url, Path]) -> None:
    """Copies of several files, likewise. Raises StorageError, OSError."""
    _at_once(fetch, [*files.items()], lambda _: 0)


def delete(url: Url) -> None:
    """Remove a file; none is as well. Raises StorageError."""
    refuse_read_only(url)
    with suppress(NothingThere):
        _done(url, "removed", lambda system, path: system.rm_file(path))


def size_of(url: Url) -> int | None:
    """The bytes of a file; None where there is none, or a folder. Raises StorageError."""

    def act(system: Any, path: str) -> int | None:
        system.invalidate_cache()
        found = system.info(path)
        return int(found["size"] or 0) if found["type"] == "file" else None

    try:
        return _done(url, "read", act)
    except NothingThere:
        return None


def is_there(place: Place) -> bool:
    """Whether there is such a file, as far as one may know. Raises StorageUnreachable."""
    if isinstance(place, Path):
        return place.is_file()
    with suppress(StorageRefused):  # as many buckets answer for what is not there
        return size_of(place) is not None
    return False


def files_in(url: Url, depth: int | None = 1) -> dict[str, int | None]:
    """The files in a folder, by their paths in it, and their bytes; none where there is no such
    folder. depth: 1: not those of its folders. Raises StorageError."""

    def act(system: Any, path: str) -> dict[str, int | None]:
        system.invalidate_cache()
        found: dict[str, int | None] = {}
        folders = [(path, 1)]
        # Not by `find`, which takes a folder that may not be listed for an empty one.
        while folders:
            folder, level = folders.pop()
            for each in cast(list[Any], system.ls(folder, detail=True)):
                name = str(each["name"])
                # A folder made by hand in a console is an empty file whose name ends with a slash.
                if name.rstrip("/") == folder.rstrip("/"):
                    continue
                if each["type"] != "file":
                    folders += [(name, level + 1)] if depth is None or level < depth else []
                elif not name.endswith("/"):
                    found[str(PurePosixPath(name).relative_to(path))] = each["size"]
        return found

    try:
        return _done(url, "listed", act)
    except NothingThere:
        return {}


def write_place(place: Place, content: bytes) -> None:
    """Write a small file whole, wherever it is. Raises StorageError, OSError."""
    if isinstance(place, Url):
        put_bytes(content, place)
    else:
        write_whole(place, content)


@contextmanager
def written_here(place: Place) -> Generator[Path]:
    """A path to write a file to, which is then put where it belongs, if that is elsewhere.
    Raises StorageError."""
    if isinstance(place, Path):
        yield place
        return
    refuse_read_only(place)
    with _folder_here() as folder:
        yield folder / place.name
        put(folder / place.name, place)


def staged_path(place: Place) -> Path:
    """Where a file is written that is put elsewhere once it is whole: the same for each start."""
    if isinstance(place, Path):
        return place
    digest = hashlib.sha256(place.address.encode()).hexdigest()
    path = cache_folder("staging") / digest / place.name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def put_staged(place: Place) -> None:
    """Put it where it belongs. Raises StorageError: then it stays here for the next start."""
    if isinstance(place, Url):
        path = staged_path(place)
        put(path, place)
        shutil.rmtree(path.parent)


@contextmanager
def read_here(place: Place) -> Generator[Path]:
    """The path of a file, or of a copy of it that goes afterwards. Raises StorageError."""
    if isinstance(place, Path):
        yield place
        return
    with _folder_here() as folder:
        fetch(place, folder / place.name)
        yield folder / place.name


def cache_folder(name: str) -> Path:
    """A folder of ours among the user's caches, which may be removed at any time."""
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        home = Path(base) if base else Path.home() / ".cache"
    except RuntimeError:  # a container's user without a home
        home = Path(tempfile.gettempdir()) / f"cache-{os.getuid()}"
    return home / "stepdistill" / name


def lacks_client(url: str, error: ImportError) -> str:
    """What to install for a URL, in a sentence; error: as fsspec says it."""
    schemes = re.findall(r"([a-z0-9+.-]+)://", url.lower())
    extra = next((_EXTRAS[each] for each in schemes if each in _EXTRAS), None)
    # Quoted, as a shell takes brackets for a pattern.
    wanted = f"'stepdistill-common[{extra}]'" if extra else "what it names"
    return f"{without_secrets(url)}: {error}: pip install {wanted}"


@contextmanager
def _folder_here() -> Generator[Path]:
    # Not among the temporary files, which many systems keep in memory.
    base = cache_folder("staging")
    base.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=base) as folder:
        yield Path(folder)


def _at_once(
    act: Callable[[Any, Any], None], pairs: list[tuple[Any, Any]], size: Callable[[Any], int]
) -> None:
    large = [pair for pair in pairs if size(pair[0]) > _LARGE_BYTES]
    small = [pair for pair in pairs if pair not in large]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        waiting = [pool.submit(act, *pair) for pair in small]
        try:
            for each in waiting:
                each.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    for pair in large:
        act(*pair)


def refuse_read_only(url: Url) -> None:
    """Raises StorageRefused: nobody can write to such a URL."""
    if url.scheme in _READ_ONLY or "::" in url.address:
        raise StorageRefused(
            f"{url}: {url.scheme}:// cannot be written: name a folder here, or s3://, gs://, az:// "
            "or hf://"
        )


def _done(url: Url, doing: str, act: Act[T]) -> T:
    """What an act on a file system and a path of it gives, tried again where that may help."""
    for wait in (*_WAITS_S, None):
        try:
            return act(*_opened(url))
        except Exception as error:
            if doing == "read" and getattr(error, "errno", 0) in _FULL:  # this machine's disk
                raise
            found = _refused(url, doing, error)
            if wait is None or not isinstance(found, StorageUnreachable):
                raise found from None
            time.sleep(wait)
    raise AssertionError


def _opened(url: Url) -> tuple[Any, str]:
    import fsspec  # a tenth of a second: only where it is used

    # Behind a proxy the web is reached by what HTTPS_PROXY says.
    options = {"client_kwargs": {"trust_env": True}} if url.scheme in ("http", "https") else {}
    return cast(Any, fsspec).core.url_to_fs(url.address, **options)


def _refused(url: Url, doing: str, error: Exception) -> StorageError:
    if isinstance(error, StorageError):
        return error
    if isinstance(error, ImportError):
        return StorageRefused(lacks_client(url.address, error))
    text = " ".join(str(error).replace(url.address, str(url)).split()) or type(error).__name__
    said = f"{url}: cannot be {doing} ({text_without_secrets(text)})"
    hint = next((hint for words, hint in _HINTS if re.search(words, f"{error!r} {text}")), None)
    status = getattr(getattr(error, "response", None), "status_code", None)  # of the hub's client
    if isinstance(error, FileNotFoundError | IsADirectoryError) or status == HTTPStatus.NOT_FOUND:
        what = "no such file" if doing == "read" else "no such bucket or folder"
        return NothingThere(f"{url}: {what}")
    if hint is not None:
        return StorageRefused(f"{said}: {hint}")
    if isinstance(error, PermissionError) or status in _REFUSALS:
        return StorageRefused(f"{said}: see what its credentials may do there")
    is_final = any(name in type(error).__name__ for name in _FINAL_NAMES)
    if isinstance(error, _FINAL) or is_final or getattr(error, "errno", 0) in _FINAL_NUMBERS:
        return StorageRefused(said)
    return StorageUnreachable(f"{said}: run it again")
