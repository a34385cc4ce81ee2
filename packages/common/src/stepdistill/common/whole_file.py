"""Writing a file so that nobody ever sees half of it, whatever is killed meanwhile."""

import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


def write_whole(path: Path, content: bytes) -> None:
    """Put the content in the file's place, as `whole_file` does. Raises OSError."""
    with whole_file(path) as file:
        file.write(content)


@contextmanager
def whole_file(path: Path) -> Generator[BinaryIO]:
    """A file to write to, which takes its place when all is written; its folder is made, its
    permissions are kept.

    A kill or a power cut at any moment leaves the old file or the new one. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")  # beside it: only within a disk is renaming atomic
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # or a power cut may keep the new name and lose the content
        if path.is_file():
            part.chmod(path.stat().st_mode)
        part.replace(path)
    except BaseException:
        with suppress(OSError):  # it may be what could not be written
            part.unlink()
        raise
