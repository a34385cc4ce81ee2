"""Files that lie elsewhere: `s3://bucket/rows.csv`, `https://...`, whatever fsspec has a name for.

They are copied to this machine once for each command: a file is read several times, for its
encoding, its digest and its rows. The copies go when the command ends.
"""

import atexit
import shutil
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from stepdistill.common.errors import DatasetError
from stepdistill.common.files.row_file import suffix_of
from stepdistill.common.files.storage import lacks_client
from stepdistill.common.urls import Place, Url, is_url, links, shown, text_without_secrets

_DEEPEST = 2  # folders below the one that is named: `data/train/rows.csv`


def local_path(name: str | Place) -> Path:
    """The path of a file or folder; of a URL, that of its copy here. Raises DatasetError."""
    if isinstance(name, Url):
        return _copied(name.address)
    return _copied(str(name)) if is_url(str(name)) else Path(name).expanduser()


@cache
def _copied(url: str) -> Path:
    import fsspec  # a tenth of a second: only where it is used

    scheme, what = url.partition("://")[0], shown(url)
    # Behind a proxy the web is reached by what HTTPS_PROXY says.
    options = {"client_kwargs": {"trust_env": True}} if scheme in ("http", "https") else {}
    try:
        system, path = cast(Any, fsspec).core.url_to_fs(url, **options)
        name = _name_in(url)
        if suffix_of(Path(name)):
            copy = _folder() / name
            system.get_file(path, str(copy))
            return copy
        return _copied_folder(system, path, name, what)
    except DatasetError:
        raise
    except ImportError as error:  # fsspec names the package
        raise DatasetError(lacks_client(url, error)) from None
    except FileNotFoundError:
        raise DatasetError(f"{what}: no such file") from None
    except Exception as error:  # noqa: BLE001 - of whichever client is below: aiohttp, botocore
        text = " ".join(str(error).replace(url, what).split()) or type(error).__name__
        raise DatasetError(f"{what}: cannot be read ({text_without_secrets(text)})") from None


def _name_in(url: str) -> str:
    """What the file is called: `rows.csv` of `zip://rows.csv::https://host/all.zip`."""
    first = urlsplit(next(link for link in links(url) if "://" in link))
    host = "" if first.scheme in ("http", "https") else first.netloc
    return PurePosixPath(unquote(first.path or host)).name


def _copied_folder(system: Any, path: str, name: str, what: str) -> Path:
    """A folder of this machine with the files of rows that are in one elsewhere."""
    found = [each for each in system.find(path, maxdepth=_DEEPEST) if suffix_of(Path(each))]
    if not found:
        with suppress(FileNotFoundError):
            system.ls(path)  # which says why, where `find` takes an error for nothing
        raise DatasetError(f"{what}: no file of rows there, such as train.csv or train.parquet")
    folder = _folder() / (name or "rows")
    for each in found:
        copy = folder / Path(each).relative_to(path if str(each).startswith(path) else "/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        system.get_file(each, str(copy))
    return folder


def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="stepdistill-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
