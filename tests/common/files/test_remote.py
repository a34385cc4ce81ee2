"""Files elsewhere are read as if they lay here, and what is missing for that is named."""

import http.server
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import fsspec
import pytest

from stepdistill.common.errors import DatasetError
from stepdistill.common.files.remote import local_path
from stepdistill.common.files.row_file import read_file
from stepdistill.common.urls import is_url


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The address of a server of the test's folder."""
    handler = partial(_Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("s3://bucket/rows.csv", True),
        ("file:///rows.csv", True),
        ("rows.csv", False),
        ("hub:someone/rows", False),
        ("C:/rows.csv", False),
    ],
)
def test_a_url_is_known(name: str, answer: bool) -> None:
    assert is_url(name) is answer


def test_a_file_of_this_machine_is_itself(tmp_path: Path) -> None:
    assert local_path(tmp_path / "a.csv") == tmp_path / "a.csv"
    assert local_path(str(tmp_path)) == tmp_path


def test_a_file_of_the_web_is_copied_once(tmp_path: Path, served: str) -> None:
    pytest.importorskip("aiohttp", reason="what URLs of the web are read with")
    (tmp_path / "my rows.csv").write_text("text;label\na;1\n")
    url = f"{served}/my%20rows.csv?token=word"
    assert list(read_file(local_path(url))) == [{"text": "a", "label": "1"}]
    (tmp_path / "my rows.csv").unlink()
    assert local_path(url).name == "my rows.csv"


def test_a_folder_elsewhere_has_its_files_of_rows() -> None:
    system = cast(Any, fsspec).filesystem("memory")
    system.pipe("/team/data/train.csv", b"text\na\n")
    system.pipe("/team/README.md", b"x")
    folder = local_path("memory://team")
    assert [each.name for each in folder.rglob("*.*")] == ["train.csv"]
    assert list(read_file(folder / "data" / "train.csv")) == [{"text": "a"}]


def test_a_file_url_is_read(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"text": "a"}\n')
    assert list(read_file(local_path(f"file://{tmp_path}/rows.jsonl"))) == [{"text": "a"}]


@pytest.mark.parametrize("name", ["rows.csv", "data/train.csv"])
def test_a_file_in_a_zip_is_read(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as file:
        file.writestr("rows.csv", "text\na\n")
        file.writestr("data/train.csv", "text\na\n")
    url = f"zip://{name}::file://{tmp_path}/all.zip"
    for chain in (url, f"simplecache::{url}"):
        assert list(read_file(local_path(chain))) == [{"text": "a"}]
    folder = local_path(f"zip://data::file://{tmp_path}/all.zip")
    assert [each.name for each in folder.rglob("*.*")] == ["train.csv"]


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("gs://bucket/rows.csv", "gcsfs"),
        ("odd://somewhere/rows.csv", "cannot be read"),
        ("memory://nowhere/rows.csv", "no such file"),
        ("memory://nowhere/at-all", "no file of rows there"),
        ("http://someone:word@127.0.0.1:9/rows.csv?token=word", "cannot be read"),
        ("http://someone:wo@word@127.0.0.1:9/rows.csv", "cannot be read"),
        ("http://someone:a/word@127.0.0.1:9/rows.csv", "cannot be read"),
        ("zip://a.csv::http://someone:word@127.0.0.1:9/a.zip?token=word", "no such file"),
        ("simplecache::http://someone:word@127.0.0.1:9/rows.csv?token=word", "cannot be read"),
    ],
)
def test_what_cannot_be_had_is_one_line_without_secrets(url: str, says: str) -> None:
    if "http:" in url:
        pytest.importorskip("aiohttp", reason="what URLs of the web are read with")
    with pytest.raises(DatasetError, match=says) as refused:
        local_path(url)
    assert "word" not in str(refused.value)
    assert "\n" not in str(refused.value)
