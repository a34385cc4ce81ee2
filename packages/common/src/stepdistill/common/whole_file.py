"""Writing a small file so that nobody ever sees half of it, whatever is killed meanwhile."""

import os
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Put the content in the file's place; its folder is made, its permissions are kept.

    A kill or a power cut at any moment leaves the old file or the new one. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")  # beside it: only within a disk is renaming atomic
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())  # or a power cut may keep the new name and lose the content
    if path.is_file():
        part.chmod(path.stat().st_mode)
    part.replace(path)
