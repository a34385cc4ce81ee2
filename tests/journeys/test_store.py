"""`annotate store`, as people use it; and runs that meet a damaged store or a full disk."""

import resource
import subprocess
from pathlib import Path

import pytest

from stepdistill.annotator.store.response_store import ResponseStore
from tests.journeys.conftest import ANNOTATE, Annotate, digests
from tests.object_store import ObjectStore

ROWS = ("--samples", "120")
RUN = ("run", "demo", "--teacher", "simulated", *ROWS, "--store", "store", "--quiet")


def flip_a_byte(store: Path) -> str:
    """Flip a byte in the first answer of a store; its key."""
    with ResponseStore.open(store, write=False) as opened, opened.reading() as stored:
        key, value = next(stored.values("responses"))
    flipped = bytearray(value)
    flipped[len(value) // 2] ^= 1
    # Pages that earlier commits left behind hold the value too.
    content = (store / "data.mdb").read_bytes().replace(value, flipped)
    (store / "data.mdb").write_bytes(content)
    return key.hex()


def test_a_store_is_looked_into_checked_carried_and_compacted(
    annotate: Annotate, tmp_path: Path
) -> None:
    assert annotate(*RUN, "--out", "first").code == 0

    info = annotate("store", "info", "--store", "store", "--json").json
    assert (info["answers"], info["failures"]) == (120, 0)
    assert info["by_mode"] == {"online": 120}
    assert info["tokens"]["prompt"] > 0
    assert "120" in annotate("store", "info", "--store", "store").out

    checked = annotate("store", "verify", "--store", "store", "--json")
    assert (checked.code, checked.json["damaged"]) == (0, [])

    assert annotate("store", "export", "a.jsonl.zst", "--store", "store").code == 0
    imported = annotate("store", "import", "a.jsonl.zst", "--store", "other", "--json")
    assert imported.json == {"new": 120, "kept": 0}
    again = annotate("store", "import", "a.jsonl.zst", "--store", "other")
    assert again.out == "0 answers were new, 120 already there and kept\n"

    compacted = annotate("store", "compact", "--store", "other", "--json").json
    assert compacted["after"] <= compacted["before"]
    replayed = annotate(*RUN[:-2], "other", "--quiet", "--offline", "--out", "second")
    assert replayed.code == 0
    assert digests(tmp_path / "first") == digests(tmp_path / "second")


def test_a_damaged_answer_is_found_removed_and_asked_again(
    annotate: Annotate, tmp_path: Path
) -> None:
    annotate(*RUN, "--out", "first")
    key = flip_a_byte(tmp_path / "store")

    met = annotate(*RUN, "--out", "second")
    found = annotate("store", "verify", "--store", "store")
    for done in (met, found):
        assert done.code == 2
        assert len(done.err.splitlines()) == 1
    assert key in met.err
    assert key in found.out
    assert (
        annotate("store", "verify", "--store", "store", "--json").json["damaged"][0]["key"] == key
    )

    assert annotate("store", "verify", "--store", "store", "--remove").code == 0
    mended = annotate(*RUN, "--out", "second", "--json")
    assert (mended.code, mended.json["asked"]) == (0, 1)
    assert digests(tmp_path / "first") == digests(tmp_path / "second")


def test_a_run_out_of_room_says_so_and_goes_on_later(annotate: Annotate, tmp_path: Path) -> None:
    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 10, 64 << 10))

    words = [*RUN[:4], "--samples", "1000", *RUN[6:], "--out", "out"]
    stopped = subprocess.run(
        [ANNOTATE, *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=little_room,
    )
    assert stopped.returncode == 2
    assert len(stopped.stderr.splitlines()) == 1
    assert "is the disk full?" in stopped.stderr
    assert "all that was stored before is safe" in stopped.stderr

    before = annotate("store", "info", "--store", "store", "--json").json["answers"]
    done = annotate(*words, "--json")
    assert done.code == 0
    assert before > 0
    assert (done.json["cached"], done.json["asked"]) == (before, 1000 - before)


@pytest.mark.parametrize(
    "words",
    [
        ("info",),
        ("verify",),
        ("export", "a.jsonl"),
        ("compact",),
        ("import", "missing.jsonl"),
        ("forget", "demo", "--reason", "truncated", "--yes"),
    ],
)
def test_without_a_store_or_a_file_each_command_is_refused(
    annotate: Annotate, tmp_path: Path, words: tuple[str, ...]
) -> None:
    done = annotate("store", *words, "--store", "nowhere")

    assert done.code == 2
    assert "Traceback" not in done.err
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("name", ["info", "verify", "export", "import", "compact", "forget"])
def test_each_command_shows_how_it_is_called(annotate: Annotate, name: str) -> None:
    assert f"annotate store {name}" in annotate("store", name, "--help").out


def test_a_store_is_carried_through_a_bucket_and_stays_on_the_disk_itself(
    annotate: Annotate, bucket: ObjectStore, tmp_path: Path
) -> None:
    annotate(*RUN, "--out", "first")
    away = f"{bucket.url}/team/a.jsonl.zst"
    bucket.fault = lambda asked: "503 SlowDown" if asked.n < 2 else None
    exported = annotate("store", "export", away, "--store", "store", "--json")
    assert exported.json == {"answers": 120}
    assert annotate("store", "export", "a.jsonl.zst", "--store", "store").code == 0
    assert bucket.files == {"team/a.jsonl.zst": (tmp_path / "a.jsonl.zst").read_bytes()}
    imported = annotate("store", "import", away, "--store", "other", "--json")
    assert imported.json == {"new": 120, "kept": 0}
    missing = annotate("store", "import", f"{bucket.url}/b.jsonl", "--store", "other")
    assert (missing.code, missing.err) == (2, f"annotate: {bucket.url}/b.jsonl: no such file\n")
    refused = annotate("store", "info", "--store", bucket.url)
    assert refused.code == 2
    assert "a store stays on this machine's disk" in refused.err
    assert "store export" in refused.err
    assert not [*tmp_path.glob("s3*")]
