"""What is written to a bucket is what a run here writes, byte for byte, and never half of it."""

import asyncio
import hashlib
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer

from tests.journeys.conftest import Annotate, digests
from tests.journeys.fake_hub import FakeHub
from tests.object_store import Asked, ObjectStore
from tests.warm import Call, WarmProcess, plain_environment

ROWS = ("--samples", "90", "--rows-per-shard", "20", "--split", "train,test")
RUN = ("run", "demo", "--teacher", "simulated", *ROWS, "--store", "store", "--quiet")


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's caches, of this test alone."""
    folder = tmp_path / "caches"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


def digests_in(bucket: ObjectStore, folder: str) -> dict[str, str]:
    """As `digests`, of what lies in a folder of a bucket."""
    return {
        name.removeprefix(f"{folder}/"): hashlib.sha256(content).hexdigest()
        for name, content in bucket.files.items()
        if name.startswith(f"{folder}/")
    }


def test_a_run_in_a_bucket_is_the_run_here_and_is_found_done(
    annotate: Annotate, bucket: ObjectStore, tmp_path: Path, caches: Path
) -> None:
    away = f"{bucket.url}/my team/100%25 é"
    first = annotate(*RUN, "--out", away)
    assert first.code == 0, first.err
    assert annotate(*RUN, "--out", "here", "--offline").code == 0
    assert digests_in(bucket, "my team/100%25 é") == digests(tmp_path / "here")
    assert not [*(caches / "stepdistill" / "staging").iterdir()]
    assert not [*tmp_path.glob("s3*")]

    bucket.log.clear()
    again = annotate(*RUN, "--out", away, "--json").json
    assert (again["already_done"], again["asked"], again["out"]) == (True, 0, away)
    assert not bucket.asked("PUT")
    assert not [each for each in bucket.asked("GET", ".jsonl") if "shard" in each.path]

    bucket.remove("my team/100%25 é/test/shard-00001.jsonl")
    mended = annotate(*RUN, "--out", away, "--json").json
    assert (mended["already_done"], mended["asked"]) == (False, 0)
    assert digests_in(bucket, "my team/100%25 é") == digests(tmp_path / "here")


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["cut", "503 SlowDown", "500 InternalError", "hang up"])
def test_whatever_goes_wrong_for_a_while_the_bytes_are_the_same(
    annotate: Annotate, bucket: ObjectStore, tmp_path: Path, fault: str
) -> None:
    annotate(*RUN, "--out", "here")

    def sometimes(asked: Asked) -> str | None:
        is_list = "list-type" in asked.query
        if is_list and len(bucket.log) % 3 == 0:
            return "slow"
        return fault if asked.method == "PUT" and asked.n == 0 else None

    bucket.fault = sometimes
    done = annotate(*RUN, "--out", f"{bucket.url}/run")
    assert done.code == 0, done.err
    assert digests_in(bucket, "run") == digests(tmp_path / "here")


@pytest.mark.slow
def test_a_bucket_that_stays_away_is_said_and_the_same_command_goes_on(
    annotate: Annotate, bucket: ObjectStore, tmp_path: Path, caches: Path
) -> None:
    annotate(*RUN, "--out", "here")
    bucket.fault = lambda asked: "503 SlowDown" if asked.path.endswith("00002.jsonl") else None
    stopped = annotate(*RUN, "--out", f"{bucket.url}/run")
    assert stopped.code == 3
    (line,) = stopped.err.splitlines()
    assert line.startswith(f"annotate: {bucket.url}/run/train/shard-00002.jsonl: cannot be written")
    assert line.endswith(": run it again")
    assert "run/train/manifest.json" not in bucket.files
    assert not [*(caches / "stepdistill" / "staging").iterdir()]
    refused = annotate("export", f"{bucket.url}/run", "--to", "a.csv", "--store", "store")
    assert refused.code == 2

    bucket.fault = lambda asked: None
    assert annotate(*RUN, "--out", f"{bucket.url}/run", "--offline").code == 0
    assert digests_in(bucket, "run") == digests(tmp_path / "here")


def kill_at(is_moment: Callable[[Asked], bool], call: Call, bucket: ObjectStore) -> None:
    """kill -9 of a call, as the first request of this sort has come in."""
    reached: list[Asked] = []

    def fault(asked: Asked) -> str | None:
        if not is_moment(asked):
            return None
        reached.append(asked)
        return "503 SlowDown"

    bucket.fault = fault
    until = time.monotonic() + 60
    while not reached and time.monotonic() < until:
        time.sleep(0.01)
    call.kill()
    assert call.wait().returncode == -signal.SIGKILL
    bucket.fault = lambda asked: None


def assert_not_half_believed(bucket: ObjectStore, split: str, folder: Path) -> None:
    """Where a manifest is, all that it names is there: of the run as it is, or as it was before."""
    files = digests_in(bucket, f"run/{split}")
    if "manifest.json" in files:
        old, new = (digests(folder / run / split) for run in ("before", "here"))
        whole = new if files["manifest.json"] == new["manifest.json"] else old
        assert whole.items() <= files.items()


def test_a_run_that_is_killed_as_it_puts_is_never_believed_and_goes_on(
    warm_annotate: WarmProcess, annotate: Annotate, bucket: ObjectStore, tmp_path: Path
) -> None:
    """Before the shards, among them, before the manifest, and before the claim goes."""
    annotate(*RUN, "--out", "here", "--rows-per-shard", "20")
    annotate(*RUN, "--out", "before", "--rows-per-shard", "8")
    url = f"{bucket.url}/run"
    assert annotate(*RUN, "--out", url, "--rows-per-shard", "8").code == 0
    moments: list[Callable[[Asked], bool]] = [
        lambda asked: asked.method == "DELETE" and asked.path.endswith("train/manifest.json"),
        lambda asked: asked.method == "PUT" and asked.path.endswith("train/shard-00003.jsonl"),
        lambda asked: asked.method == "PUT" and asked.path.endswith("test/manifest.json"),
        lambda asked: asked.method == "DELETE" and asked.path.endswith("test/manifest.json.part"),
    ]
    for is_moment in moments:
        call = warm_annotate.start(*RUN, "--out", url, cwd=tmp_path, env=plain_environment())
        kill_at(is_moment, call, bucket)
        for split in ("train", "test"):
            assert_not_half_believed(bucket, split, tmp_path)
    assert annotate(*RUN, "--out", url).code == 0
    bucket.remove("run/test/manifest.json.part")  # of the last kill: nothing was left to be done
    assert digests_in(bucket, "run") == digests(tmp_path / "here")


@pytest.mark.slow
def test_files_of_others_are_left_alone(
    annotate: Annotate, bucket: ObjectStore, tmp_path: Path
) -> None:
    bucket.put("run/train/notes.txt", b"mine")
    bucket.put("run/train/", b"")
    assert annotate(*RUN, "--out", f"{bucket.url}/run").code == 0
    assert bucket.files["run/train/notes.txt"] == b"mine"
    bucket.put("other/train/shard-00000.jsonl", b"mine")
    refused = annotate(*RUN, "--out", f"{bucket.url}/other")
    assert (refused.code, len(refused.err.splitlines())) == (2, 1)
    assert "no run wrote this" in refused.err
    assert [name for name in bucket.files if name.startswith("other")] == [
        "other/train/shard-00000.jsonl"
    ]


@pytest.mark.slow
@pytest.mark.parametrize("refused", ["list", "delete"])
def test_a_bucket_that_grants_less_is_enough(
    annotate: Annotate, bucket: ObjectStore, tmp_path: Path, refused: str
) -> None:
    annotate(*RUN, "--out", "here")
    is_refused: dict[str, Callable[[Asked], bool]] = {
        # Without a right to list, what is not there is refused, too.
        "list": lambda asked: "list-type" in asked.query,
        "delete": lambda asked: asked.method == "DELETE",
    }
    bucket.fault = lambda asked: "403 AccessDenied" if is_refused[refused](asked) else None
    url = f"{bucket.url}/run"
    for rows in ("8", "20"):
        assert annotate(*RUN, "--out", url, "--rows-per-shard", rows).code == 0
    found, wanted = digests_in(bucket, "run"), digests(tmp_path / "here")
    assert wanted.items() <= found.items()
    again = annotate(*RUN, "--out", url, "--json").json
    assert again["already_done"]
    exported = annotate("export", url, "--to", "a.csv", "--store", "store", "--json")
    assert exported.json["labelled"] == 180


def test_where_nothing_may_be_written_nobody_is_asked(
    annotate: Annotate, bucket: ObjectStore
) -> None:
    bucket.fault = lambda asked: "403 AccessDenied" if asked.method == "PUT" else None
    refused = annotate(*RUN, "--out", f"{bucket.url}/run")
    assert (refused.code, len(refused.err.splitlines())) == (2, 1)
    assert "secret-word" not in refused.err
    assert annotate("store", "info", "--store", "store", "--json").json["answers"] == 0
    for url, says in (
        ("s3://no-such-bucket/run", "no such bucket or folder"),
        ("https://127.0.0.1:9/run?token=word", "cannot"),
        ("gs://bucket/run", "pip install 'stepdistill-common[gcs]'"),
    ):
        refused = annotate(*RUN, "--out", url)
        assert refused.code in (2, 3)
        assert says in refused.err
        assert "word" not in refused.err


@pytest.mark.slow
def test_a_finished_run_is_read_from_a_bucket(
    annotate: Annotate, bucket: ObjectStore, tmp_path: Path, caches: Path
) -> None:
    url = f"{bucket.url}/run"
    annotate(*RUN, "--out", url)
    annotate(*RUN, "--out", "here", "--offline")
    for run, to in ((url, f"{bucket.url}/tables/away.csv"), ("here", "here.csv")):
        done = annotate("export", run, "--to", to, "--store", "store")
        assert done.code == 0, done.err
    assert bucket.files["tables/away.csv"] == (tmp_path / "here.csv").read_bytes()
    assert b"away.csv" in bucket.files["tables/away.README.md"]

    page = f"{bucket.url}/pages/cost.html"
    report = annotate("report", url, "--store", "store", "--html", page, "--json")
    assert report.code == 0, report.err
    assert report.json["out"] == url
    assert b"<html" in bucket.files["pages/cost.html"]
    audit = annotate("audit", url, "--store", "store", "--human", "10", "--json")
    assert audit.json["run"] == url

    # A copy that was damaged is made anew; what is damaged there is said.
    copy = next((caches / "stepdistill" / "shards").glob("*/shard-00004.jsonl"))
    copy.write_bytes(b"{}")
    assert annotate("export", url, "--to", "again.csv", "--store", "store").code == 0
    assert (tmp_path / "again.csv").read_bytes() == bucket.files["tables/away.csv"]
    bucket.put("run/train/shard-00001.jsonl", b"{}")
    for each in (caches / "stepdistill" / "shards").glob("*/manifest.json"):
        (each.parent / "shard-00001.jsonl").unlink()
    refused = annotate("export", url, "--to", "c.csv", "--store", "store")
    assert refused.code == 2
    assert f"{url}/train/shard-00001.jsonl: sha256 differs" in refused.err


@pytest.mark.slow
def test_parts_are_gathered_from_a_bucket_and_in_one(
    annotate: Annotate, bucket: ObjectStore, tmp_path: Path
) -> None:
    annotate(*RUN, "--out", "here")
    parts = [f"{bucket.url}/part-{n}" for n in range(2)]
    for n, part in enumerate(parts):
        done = annotate(*RUN[:-2], f"store-{n}", "--quiet", "--shard", f"{n}/2", "--out", part)
        assert done.code == 0, done.err
    gathered = annotate("gather", *parts, "--out", f"{bucket.url}/all")
    assert gathered.code == 0, gathered.err
    assert digests_in(bucket, "all") == digests(tmp_path / "here")


@pytest.mark.slow
async def test_a_run_on_the_hub_is_the_run_here(
    annotate: Annotate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hub, url = FakeHub(), "hf://datasets/team/mine/run"
    annotate(*RUN, "--out", "here")
    async with TestServer(hub.application()) as server:
        monkeypatch.setenv("HF_ENDPOINT", str(server.make_url("")).rstrip("/"))
        monkeypatch.setenv("HF_TOKEN", "hf_known")
        done = await asyncio.to_thread(annotate, *RUN, "--out", url)
        again = await asyncio.to_thread(annotate, *RUN, "--out", url, "--json")
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        refused = await asyncio.to_thread(annotate, *RUN, "--out", f"{url}-2")
    assert done.code == 0, done.err
    found = {
        name.removeprefix("run/"): hashlib.sha256(content).hexdigest()
        for name, content in hub.files.items()
    }
    assert found == digests(tmp_path / "here")
    assert again.json["already_done"]
    assert (refused.code, len(refused.err.splitlines())) == (2, 1)
    assert "hf_secret" not in refused.err
