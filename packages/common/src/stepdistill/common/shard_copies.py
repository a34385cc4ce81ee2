"""Shards at a URL: whether they are all there, and copies of them on this machine.

    ~/.cache/stepdistill/shards/SHA256-OF-THE-MANIFEST/   shard-00000.jsonl ... and manifest.json

A copy is made once, whichever processes of a machine want it: one makes it, the others wait. What
arrives is held against the manifest, and the copy's own manifest comes last.
"""

import fcntl
import hashlib
import shutil
from pathlib import Path, PurePosixPath

from stepdistill.common.errors import NothingThere, ShardError, StorageRefused
from stepdistill.common.files.folders import locked
from stepdistill.common.files.storage import (
    cache_folder,
    fetch,
    fetch_all,
    files_in,
    is_there,
    read_bytes,
    size_of,
)
from stepdistill.common.manifest import MANIFEST_NAME, REJECTS_NAME, Manifest
from stepdistill.common.shards import parse_manifest, read_manifest, verify
from stepdistill.common.urls import Place, Url
from stepdistill.common.whole_file import write_whole

_USUAL = ("train", "valid", "test")


def are_there(url: Url, manifest: Manifest) -> bool:
    """Whether every shard is there with as many bytes as the manifest says. Raises StorageError."""
    sizes = {shard.file: shard.bytes for shard in manifest.shards}
    try:
        found = files_in(url)
    except StorageRefused:  # who may not list may look at each
        found = {name: size_of(url / name) for name in sizes}
    return all(found.get(name) == size for name, size in sizes.items())


def split_folders(url: Url) -> list[Url]:
    """The folders of shards in a run's folder, and that itself where it is one; where nobody may
    list it, those of the usual names. Raises StorageError."""
    try:
        names = [PurePosixPath(name) for name in files_in(url, depth=2)]
    except StorageRefused:
        folders = [url, *(url / split for split in _USUAL)]
        return [folder for folder in folders if is_there(folder / MANIFEST_NAME)]
    found = sorted(path.parent for path in names if path.name == MANIFEST_NAME)
    return [url if folder == PurePosixPath() else url / str(folder) for folder in found]


def local_shards(folder: Place, *, with_rejects: bool = False) -> Path:
    """The folder itself, or a copy of one elsewhere whose every byte was checked. Raises
    ShardError, StorageError."""
    if isinstance(folder, Path):
        return folder
    try:
        text = read_bytes(folder / MANIFEST_NAME)
    except NothingThere:
        read_manifest(folder)  # which says what is missing
        raise
    manifest = parse_manifest(folder / MANIFEST_NAME, text)
    for shard in manifest.shards:
        if Path(shard.file).name != shard.file:
            raise ShardError(f"{folder / MANIFEST_NAME}: {shard.file!r} is no name of a shard")
    copies = cache_folder("shards")
    copy = copies / hashlib.sha256(text).hexdigest()
    try:
        copies.mkdir(parents=True, exist_ok=True)
        with locked(copies / f"{copy.name}.lock", fcntl.LOCK_SH):
            is_whole = _is_whole(copy)  # which all ranks find out at once
        if is_whole and not with_rejects:
            return copy
        with locked(copies / f"{copy.name}.lock", fcntl.LOCK_EX):
            if not _is_whole(copy):
                _copy(folder, copy, manifest)
                write_whole(copy / MANIFEST_NAME, text)
            if with_rejects:  # of which the manifest knows the number of lines alone
                fetch(folder / REJECTS_NAME, copy / REJECTS_NAME)
    except OSError as error:
        raise ShardError(
            f"{copies}: {folder} cannot be copied here ({error.strerror}): make room, or name "
            "another folder for caches with XDG_CACHE_HOME"
        ) from None
    return copy


def _is_whole(copy: Path) -> bool:
    """Whether the copy is there, and still as it was made."""
    try:
        verify(copy, read_manifest(copy))
    except ShardError:
        return False
    return True


def _copy(url: Url, copy: Path, manifest: Manifest) -> None:
    """Bring what is not here yet, as after a kill."""
    wanted = {
        url / shard.file: copy / shard.file
        for shard in manifest.shards
        if not _has_digest(copy / shard.file, shard.sha256)
    }
    try:
        fetch_all(wanted)
        verify(copy, manifest)
    except NothingThere as error:
        raise ShardError(f"{error}, though the manifest has it: write the shards again") from None
    except ShardError as error:
        shutil.rmtree(copy)
        raise ShardError(str(error).replace(str(copy), str(url))) from None


def _has_digest(path: Path, sha256: str) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256
