"""Shards and students in a bucket: what is learnt from them is what is learnt from those here."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
import pytest

from stepdistill.common.errors import ShardError, StorageUnreachable
from stepdistill.common.files.folders import local_folder, put_folder
from stepdistill.common.shard_copies import local_shards
from stepdistill.common.urls import Url
from stepdistill.trainer.main import main
from tests.object_store import ObjectStore
from tests.trainer.made_rows import arguments


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's caches, of this test alone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    return tmp_path / "caches" / "stepdistill"


def put_data(bucket: ObjectStore, data: Path) -> None:
    """The folders train, valid and test of a bucket."""
    for path in data.rglob("*"):
        if path.is_file():
            bucket.put(str(path.relative_to(data)), path.read_bytes())


def elsewhere(line: list[str], data: Path, bucket: ObjectStore) -> list[str]:
    """A command line whose data is in the bucket."""
    return [word.replace(str(data), bucket.url) for word in line]


def test_shards_are_copied_once_checked_and_made_anew(
    data: Path, bucket: ObjectStore, caches: Path
) -> None:
    put_data(bucket, data)
    url = Url(bucket.url) / "train"
    bucket.fault = lambda asked: "cut" if asked.method == "GET" and asked.n == 0 else None
    with ThreadPoolExecutor(4) as ranks:  # each with a lock of its own, as processes have
        (copy,) = {*ranks.map(local_shards, [url] * 4)}
    assert len(bucket.asked("GET", "shard-00000.jsonl")) == 2
    for name in ("manifest.json", "shard-00000.jsonl"):
        assert (copy / name).read_bytes() == (data / "train" / name).read_bytes()
    bucket.log.clear()
    bucket.fault = lambda asked: None
    assert local_shards(url) == copy
    assert not bucket.asked("GET", ".jsonl")
    (copy / "shard-00000.jsonl").write_bytes(b"")
    assert local_shards(url) == copy
    assert len(bucket.asked("GET", "shard-00000.jsonl")) == 1
    shutil.rmtree(caches)
    bucket.put("train/shard-00000.jsonl", b"{}")
    with pytest.raises(ShardError, match=f"{url}/shard-00000.jsonl: sha256 differs"):
        local_shards(url)
    bucket.remove("train/shard-00000.jsonl")
    with pytest.raises(ShardError, match="no such file, though the manifest has it"):
        local_shards(url)
    bucket.put(
        "train/manifest.json", bucket.files["train/manifest.json"].replace(b"shard-", b"../")
    )
    with pytest.raises(ShardError, match="is no name of a shard"):
        local_shards(url)


def test_a_folder_is_put_whole_and_copied_by_its_list(bucket: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "model" / "sub").mkdir(parents=True)
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "model" / "sub" / "weights").write_bytes(b"x" * 1000)
    url = Url(bucket.url) / "student" / "model"
    put_folder(tmp_path / "model", url)
    copy = local_folder(url)
    assert (copy.name, (copy / "sub" / "weights").read_bytes()) == ("model", b"x" * 1000)
    bucket.log.clear()
    put_folder(tmp_path / "model", url)
    assert not bucket.asked("PUT")

    (tmp_path / "model" / "config.json").write_text("{...}")
    (tmp_path / "model" / "sub" / "weights").rename(tmp_path / "model" / "weights")
    bucket.fault = lambda asked: "503 SlowDown" if asked.path.endswith("/weights") else None
    with pytest.raises(StorageUnreachable):
        put_folder(tmp_path / "model", url)
    assert "student/model/files.json" not in bucket.files
    bucket.fault = lambda asked: None
    put_folder(tmp_path / "model", url)
    assert (local_folder(url) / "weights").read_bytes() == b"x" * 1000

    bucket.remove("student/model/files.json")  # as somebody's own tools put it
    assert (local_folder(url) / "config.json").read_text() == "{...}"


@pytest.mark.slow
def test_a_student_learns_from_a_bucket_and_goes_there(
    data: Path, bucket: ObjectStore, tmp_path: Path, caches: Path
) -> None:
    put_data(bucket, data)
    line = arguments(data, tmp_path / "here", steps=4)
    assert main(line) == 0
    away = elsewhere(arguments(data, tmp_path / "away", steps=4), data, bucket)
    assert main([*away, f"--upload={bucket.url}/student"]) == 0
    mine, theirs = (
        orjson.loads((tmp_path / name / "results.json").read_bytes()) for name in ("here", "away")
    )
    assert mine["fingerprint"] == theirs["fingerprint"]
    assert mine["test"] == theirs["test"]
    assert theirs["data"]["train"]["folders"][0]["folder"] == f"{bucket.url}/train"
    assert str(caches) not in orjson.dumps(theirs["data"]).decode()
    assert bucket.files["student/results.json"] == (tmp_path / "away" / "results.json").read_bytes()

    rows = tmp_path / "rows.jsonl"
    rows.write_bytes(b'{"story": "2 apples and 3.", "question": "How many?"}\n' * 3)
    students = (
        (f"{bucket.url}/student/model", f"{bucket.url}/l.csv"),
        (
            str(tmp_path / "away" / "model"),
            str(tmp_path / "l.csv"),
        ),
    )
    for student, to in students:
        assert main(["predict", student, str(rows), "--to", to, "--quiet"]) == 0
    assert bucket.files["l.csv"] == (tmp_path / "l.csv").read_bytes()
    test, html = f"{bucket.url}/test", f"{bucket.url}/student.html"
    assert main(["evaluate", students[0][0], test, "--html", html]) == 0
    assert b"<html" in bucket.files["student.html"]
