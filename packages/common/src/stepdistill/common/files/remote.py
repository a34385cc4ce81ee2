"""Files that lie elsewhere: `s3://bucket/rows.csv`, `https://...`, whatever fsspec has a name for.

They are copied to this machine once for each command: a file is read several times, for its
encoding, its digest and its rows. The copies go when the command ends.
"""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from stepdistill.common.errors import DatasetError, StorageError
from stepdistill.common.files.row_file import suffix_of
from stepdistill.common.files.storage import fetch, files_in
from stepdistill.common.urls import Place, Url, is_url, links

_DEEPEST = 2  # levels of the folder that is named: `train/rows.csv`


def local_path(name: str | Place) -> Path:
    """The path of a file or folder; of a URL, that of its copy here. Raises DatasetError."""
    if isinstance(name, Url):
        return _copied(name)
    return _copied(Url(str(name))) if is_url(str(name)) else Path(name).expanduser()


@cache
def _copied(url: Url) -> Path:
    name = _name_in(url.address)
    try:
        if suffix_of(Path(name)):
            copy = _folder() / name
            fetch(url, copy)
            return copy
        return _copied_folder(url, name)
    except StorageError as error:
        raise DatasetError(str(error)) from None


def _name_in(url: str) -> str:
    """What the file is called: `rows.csv` of `zip://rows.csv::https://host/all.zip`."""
    first = urlsplit(next(link for link in links(url) if "://" in link))
    host = "" if first.scheme in ("http", "https") else first.netloc
    return PurePosixPath(unquote(first.path or host)).name


def _copied_folder(url: Url, name: str) -> Path:
    """A folder of this machine with the files of rows that are in one elsewhere."""
    found = [each for each in files_in(url, _DEEPEST) if suffix_of(Path(each))]
    if not found:
        raise DatasetError(f"{url}: no file of rows there, such as train.csv or train.parquet")
    folder = _folder() / (name or "rows")
    for each in found:
        fetch(url / each, folder / each)
    return folder


def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="stepdistill-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
