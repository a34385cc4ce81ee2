"""Seals of a folder: a checksum of each file in it, so that half a folder is not taken for whole.

A disk that lies, a copy that broke off and a flipped bit leave a folder that loads, and another
student; none of them is seen by looking at names. By XXH3, which is as fast as disks are: what it
is to find are accidents, and the folders are large.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import orjson
import xxhash

SEALS_NAME = "seals.json"


def seal(folder: Path) -> None:
    """Write the checksums of all that lies in a folder now."""
    content = {str(path.relative_to(folder)): _digest(path) for path in _files(folder)}
    (folder / SEALS_NAME).write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2))


def damage(folder: Path) -> str | None:
    """What is wrong with a folder; None where all that was sealed is there as it was, or where an
    earlier version wrote it, which sealed nothing."""
    path = folder / SEALS_NAME
    if not path.exists():
        return None if folder.is_dir() else "it is not there"
    try:
        seals: dict[str, str] = orjson.loads(path.read_bytes())
        for name, digest in seals.items():
            if not (folder / name).is_file():
                return f"{name} is not there"
            if _digest(folder / name) != digest:
                return f"{name} is not as it was written"
    except (OSError, ValueError, AttributeError, TypeError) as error:
        return f"{SEALS_NAME} cannot be read ({error})"
    return None


def unsealed(folder: Path, *, but: str) -> str | None:
    """A file in a folder that is none of those sealed; None: all are, and nothing else is there
    `but` a file of this name."""
    try:
        known = {SEALS_NAME, but, *orjson.loads((folder / SEALS_NAME).read_bytes())}
    except (OSError, ValueError, TypeError):
        known = {SEALS_NAME, but}
    there = sorted(path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    names = (str(path.relative_to(folder)) for path in there)
    return next((name for name in names if name not in known), None)


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, xxhash.xxh3_128).hexdigest()
