"""What lies at URLs is read and put whole, whatever goes wrong on the way."""

from collections.abc import Callable
from pathlib import Path

import pytest

from stepdistill.common.errors import (
    DatasetError,
    NothingThere,
    StorageError,
    StorageRefused,
)
from stepdistill.common.files.remote import local_path
from stepdistill.common.files.storage import (
    delete,
    fetch,
    files_in,
    put,
    put_all,
    put_bytes,
    read_bytes,
    read_here,
    size_of,
    written_here,
)
from stepdistill.common.urls import Url, place_of
from tests.object_store import ObjectStore

_ODD = "run a%20b é+ü?#"


def test_a_file_is_put_read_listed_and_removed(bucket: ObjectStore, tmp_path: Path) -> None:
    folder = Url(f"{bucket.url}/{_ODD}")
    put_bytes(b"first", folder / "a.txt")
    put_bytes(b"second", folder / "a.txt")
    bucket.put(f"{_ODD}/", b"")  # as a console makes folders
    bucket.put(f"{_ODD}/deeper/b.txt", b"")
    assert read_bytes(folder / "a.txt") == b"second"
    fetch(folder / "a.txt", tmp_path / "sub" / "copy")
    assert (tmp_path / "sub" / "copy").read_bytes() == b"second"
    assert files_in(folder) == {"a.txt": 6}
    assert files_in(folder, None) == {"a.txt": 6, "deeper/b.txt": 0}
    assert files_in(folder / "none") == {}
    assert (size_of(folder / "a.txt"), size_of(folder / "b.txt"), size_of(folder)) == (
        6,
        None,
        None,
    )
    for _ in range(2):
        delete(folder / "a.txt")
    assert [*bucket.files] == [f"{_ODD}/", f"{_ODD}/deeper/b.txt"]


def test_what_others_write_meanwhile_is_seen(bucket: ObjectStore) -> None:
    folder = Url(bucket.url) / "run"
    put_bytes(b"mine", folder / "a")
    assert (files_in(folder), size_of(folder / "b")) == ({"a": 4}, None)
    bucket.put("run/b", b"theirs")
    bucket.put("run/a", b"theirs")
    assert (files_in(folder), size_of(folder / "b")) == ({"a": 6, "b": 6}, 6)
    assert read_bytes(folder / "a") == b"theirs"


@pytest.mark.parametrize("fault", ["cut", "503 SlowDown", "hang up", "500 InternalError"])
def test_what_goes_wrong_for_once_is_tried_again(
    bucket: ObjectStore, tmp_path: Path, fault: str
) -> None:
    bucket.fault = lambda asked: fault if asked.n < 1 and asked.method != "HEAD" else None
    (tmp_path / "a").write_bytes(b"x" * 200_000)
    put(tmp_path / "a", Url(bucket.url) / "a")
    assert bucket.files == {"a": b"x" * 200_000}
    assert read_bytes(Url(bucket.url) / "a") == b"x" * 200_000
    assert len(bucket.asked("PUT")) == len(bucket.asked("GET")) == 2


def test_a_put_that_arrived_in_part_is_put_again(bucket: ObjectStore) -> None:
    """Some servers keep what a broken connection brought."""

    def lose(asked: object) -> None:
        if len(bucket.asked("HEAD")) == 1:
            bucket.put("a", b"12")

    bucket.fault = lose
    put_bytes(b"12345", Url(bucket.url) / "a")
    assert bucket.files == {"a": b"12345"}


def test_a_fetch_that_breaks_off_leaves_what_was_there(bucket: ObjectStore, tmp_path: Path) -> None:
    bucket.put("a", b"new")
    (tmp_path / "a").write_bytes(b"old")
    bucket.fault = lambda asked: "403 AccessDenied"
    with pytest.raises(StorageRefused):
        fetch(Url(bucket.url) / "a", tmp_path / "a")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"old"}


def test_nothing_that_is_read_needs_a_listing(bucket: ObjectStore, tmp_path: Path) -> None:
    bucket.put("run/a", b"12345")
    bucket.fault = lambda asked: "403 AccessDenied" if "list-type" in asked.query else None
    place = Url(bucket.url) / "run" / "a"
    assert (read_bytes(place), size_of(place)) == (b"12345", 5)
    fetch(place, tmp_path / "a")
    put_bytes(b"1", place)
    with pytest.raises(StorageRefused, match="cannot be listed"):
        files_in(place.parent)


def test_who_may_only_write_can_put(bucket: ObjectStore) -> None:
    bucket.fault = lambda asked: None if asked.method == "PUT" else "403 AccessDenied"
    put_bytes(b"1", Url(bucket.url) / "a")
    assert bucket.files == {"a": b"1"}


def test_several_files_are_put_and_the_first_error_ends_it(
    bucket: ObjectStore, tmp_path: Path
) -> None:
    paths = [tmp_path / str(n) for n in range(20)]
    for path in paths:
        path.write_text(path.name)
    put_all({Url(bucket.url) / path.name: path for path in paths})
    assert bucket.files == {path.name: path.name.encode() for path in paths}
    bucket.fault = lambda asked: "403 AccessDenied"
    with pytest.raises(StorageRefused):
        put_all({Url(bucket.url) / path.name: path for path in paths})


def test_a_whole_file_is_written_for_elsewhere_and_read_from_there(bucket: ObjectStore) -> None:
    place = place_of(f"{bucket.url}/dir/answers.jsonl.zst")
    with written_here(place) as path:
        assert path.name == "answers.jsonl.zst"
        path.write_bytes(b"x")
    assert bucket.files == {"dir/answers.jsonl.zst": b"x"}
    with pytest.raises(KeyError), written_here(place) as path:
        path.write_bytes(b"half")
        raise KeyError
    assert bucket.files == {"dir/answers.jsonl.zst": b"x"}
    with read_here(place) as path:
        assert path.read_bytes() == b"x"
    assert not path.exists()


@pytest.mark.parametrize("name", ["memory://team/a.txt", "file://{}/a.txt"])
def test_other_schemes(name: str, tmp_path: Path) -> None:
    place = place_of(name.format(tmp_path))
    with written_here(place) as path:
        path.write_bytes(b"1")
    with read_here(place) as path:
        assert path.read_bytes() == b"1"
    assert isinstance(place, Url) is name.startswith("memory")


def _put(url: Url) -> None:
    put_bytes(b"", url)


@pytest.mark.parametrize(
    ("url", "act", "kind", "says"),
    [
        ("gs://bucket/a", read_bytes, StorageRefused, r"pip install 'stepdistill-common\[gcs\]'"),
        ("az://bucket/a", _put, StorageRefused, r"pip install 'stepdistill-common\[azure\]'"),
        ("odd://bucket/a", _put, StorageRefused, "Protocol not known"),
        ("https://a:word@127.0.0.1:9/a?x=word", _put, StorageRefused, "cannot be written: name"),
        ("zip://a::s3://bucket/a.zip", delete, StorageRefused, "cannot be written: name"),
        ("s3://no-such-bucket/a", read_bytes, NothingThere, "no such file"),
        ("s3://no-such-bucket/a", _put, NothingThere, "no such bucket or folder"),
        ("memory://none/a", read_bytes, NothingThere, "no such file"),
    ],
)
def test_what_cannot_be_is_one_line(
    bucket: ObjectStore,
    url: str,
    act: Callable[[Url], object],
    kind: type[StorageError],
    says: str,
) -> None:
    with pytest.raises(kind, match=says) as refused:
        act(Url(url))
    assert "word" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("fault", "kind", "says"),
    [
        ("403 AccessDenied", StorageRefused, "see what its credentials may do there"),
        ("400 MissingContentMD5", StorageRefused, "AWS_REQUEST_CHECKSUM_CALCULATION="),
    ],
)
def test_what_a_server_says_is_told_with_what_helps(
    bucket: ObjectStore, fault: str, kind: type[StorageError], says: str
) -> None:
    bucket.fault = lambda asked: fault
    with pytest.raises(kind, match=says) as refused:
        put_bytes(b"", Url(bucket.url) / "a")
    assert str(refused.value).startswith(f"{bucket.url}/a: cannot be written (")


def test_a_url_shows_no_secrets_and_names_what_lies_in_it() -> None:
    url = Url("https://someone:word@host/runs?token=word") / "train"
    assert url.address == "https://someone:word@host/runs/train?token=word"
    assert (str(url), repr(url)) == ("https://host/runs/train", "Url('https://host/runs/train')")
    assert str(Url("zip://runs::s3://b/all.zip") / "train") == "zip://runs/train::s3://b/all.zip"
    assert (Url("s3://b/runs/a").parent, Url("s3://b").parent) == (
        Url("s3://b/runs"),
        Url("s3://b"),
    )
    assert (Url("s3://b/runs/a").name, Url("s3://b").name) == ("a", "b")
    assert place_of("s3://b/run/") == Url("s3://b/run")
    assert place_of("file:///tmp/a") == Path("/tmp/a")


def test_rows_in_a_folder_that_may_not_be_listed_are_refused_as_that(bucket: ObjectStore) -> None:
    bucket.put("rows/train.csv", b"text\na\n")
    bucket.fault = lambda asked: "403 AccessDenied" if "list-type" in asked.query else None
    with pytest.raises(DatasetError, match="a fault: AccessDenied"):
        local_path(f"{bucket.url}/rows")
    assert local_path(f"{bucket.url}/rows/train.csv").read_text() == "text\na\n"
