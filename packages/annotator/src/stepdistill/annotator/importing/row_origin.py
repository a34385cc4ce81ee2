"""Where the rows of a task's splits stood in the file of which `annotate new` made them.

`tickets.origin.json` lies beside the folder `tickets` of the splits, which holds rows alone. By it
`annotate export` puts what a run made of them back into the order of the file, row for row.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from stepdistill.annotator.dataset.sources import file_digest
from stepdistill.common.errors import DatasetError
from stepdistill.common.whole_file import write_whole

ORIGIN_NAME = ".origin.json"  # behind the name of the folder


class Origin(BaseModel):
    """The content of the note. A sha256 is 64 hex digits."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: str | None  # of the file that task.yaml names; None where it was not on this machine
    splits: dict[str, str]  # split -> sha256 of its file, as it was written
    rows: list[str]  # the split of each row, in the file's order

    def is_of(self, file: Path) -> bool:
        """Whether this is the file, and as it was when the splits were made."""
        try:
            return self.sha256 is not None and file_digest(file) == self.sha256
        except DatasetError:
            return False


def write_origin(
    folder: Path, file: str | Path, splits: Mapping[str, Path], rows: Sequence[str]
) -> None:
    """Note where the rows of a folder's splits, which are written, come from. Raises OSError.

    rows: the split of each row, in the order of the file.
    """
    origin = Origin(
        sha256=file_digest(Path(file)) if Path(file).is_file() else None,
        splits={split: file_digest(path) for split, path in splits.items()},
        rows=list(rows),
    )
    write_whole(note_of(folder), origin.model_dump_json().encode())


def read_origin(folder: Path) -> Origin | None:
    """The note in a folder of splits; None where there is none. Raises DatasetError."""
    path = note_of(folder)
    try:
        return Origin.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror or error})") from None
    except ValidationError as error:
        what = error.errors(include_url=False)[0]["msg"]
        raise DatasetError(f"{path}: not a note of where rows stood ({what}): remove it") from None


def note_of(folder: Path) -> Path:
    """Where the note of a folder of splits lies."""
    folder = folder.absolute()
    return folder.with_name(f"{folder.name}{ORIGIN_NAME}")
