"""Writing files so that nobody ever sees half of them, whatever is killed meanwhile."""

import os
import shutil
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
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


@contextmanager
def made_anew(*paths: Path) -> Generator[None]:
    """Files and folders that are made within, in the place of what is there, which is moved aside.

    Where that fails all is as it was, and what was there is removed last. Raises OSError.
    """
    rooms: list[Path] = []
    with ExitStack() as undo:  # each step undoes what is known to have been done
        for path in paths:
            if os.path.lexists(path):
                # Beside it: only within a disk is a folder renamed.
                rooms.append(Path(mkdtemp(prefix=f".{path.name}-", dir=path.parent)))
                undo.callback(rooms[-1].rmdir)
                undo.callback(path.rename(rooms[-1] / path.name).rename, path)
            undo.callback(_remove, path)
        yield
        undo.pop_all()
    for room in rooms:
        shutil.rmtree(room)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
