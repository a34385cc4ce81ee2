"""No room on the disk, or in the address space: one line, nothing lost, and it goes on after."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepdistill.annotator.store.compact import compact_store
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.common.errors import StoreError
from tests.annotator.made import a_key, an_answer, answers

ROOM = 1 << 20
WRITE_UNTIL_REFUSED = """
import resource, sys
from pathlib import Path
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.common.errors import StoreError
from tests.annotator.made import answers
n = 0
with ResponseStore.open(Path(sys.argv[1]), write=True, map_bytes=int(sys.argv[2])) as store:
    exec(sys.argv[3])
    try:
        for start in range(0, int(sys.argv[4]), 100):
            store.put(answers(start, start + 100), [])
            n += 100
    except StoreError as error:
        print(error)
    try:
        print(n, len(store))
    except StoreError:
        print(n, "closed")
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with little room; skipped where this user may not mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(disk)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no mount here")
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def opened(path: Path, map_bytes: int = 1 << 24) -> ResponseStore:
    return ResponseStore.open(path, write=True, map_bytes=map_bytes)


def fill(store: ResponseStore) -> tuple[int, str]:
    """Put answers until the store refuses: how many were put, and its message."""
    n = 0
    with pytest.raises(StoreError) as caught:
        while True:
            store.put(answers(n, n + 100), [])
            n += 100
    assert "\n" not in str(caught.value)
    return n, str(caught.value)


def written(path: Path, map_bytes: int, limit: str, n: int = 20_000) -> list[str]:
    words = [sys.executable, "-c", WRITE_UNTIL_REFUSED, str(path), str(map_bytes), limit, str(n)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_full_disk_loses_nothing_and_goes_on_when_there_is_room(small_disk: Path):
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(ROOM // 2))
    with opened(small_disk / "store") as store:
        n, message = fill(store)
        assert n > 0
        assert "is the disk full?" in message
        assert "all that was stored before is safe: make room and run this again" in message
        assert len(store) == n
        ballast.unlink()
        store.put(answers(n, n + 100), [])
        assert len(store) == n + 100


def test_a_store_on_a_full_disk_is_opened_and_read(small_disk: Path):
    with opened(small_disk / "store") as store:
        n, _ = fill(store)
    (small_disk / "ballast").write_bytes(bytes(small_disk_left(small_disk)))
    with opened(small_disk / "store") as store, store.reading() as stored:
        assert dict(stored.answers()) == dict(answers(0, n))


def small_disk_left(disk: Path) -> int:
    found = subprocess.run(
        ["stat", "-f", "-c", "%a %S", disk], capture_output=True, text=True, check=True
    )
    blocks, size = map(int, found.stdout.split())
    return blocks * size


def test_no_store_can_be_made_on_a_full_disk(small_disk: Path):
    (small_disk / "ballast").write_bytes(bytes(ROOM))
    with pytest.raises(StoreError, match="No space left on device"):
        opened(small_disk / "store")


def test_a_store_that_cannot_be_compacted_is_as_it_was(small_disk: Path):
    with opened(small_disk / "store") as store:
        n, _ = fill(store)
    with pytest.raises(StoreError, match="could not be compacted"):
        compact_store(small_disk / "store", lambda _: None)
    with opened(small_disk / "store") as store:
        assert len(store) == n
    assert not (small_disk / "store" / "compacting").exists()


def test_a_limit_on_the_size_of_files_is_one_line(tmp_path: Path):
    limit = f"resource.setrlimit(resource.RLIMIT_FSIZE, ({ROOM // 2}, {ROOM // 2}))"
    message, counts = written(tmp_path / "store", 1 << 24, limit)

    assert "is the disk full?" in message
    n = int(counts.split()[0])
    assert counts == f"{n} {n}"
    with opened(tmp_path / "store") as store:
        assert len(store) == n > 0
        store.put([(a_key(1), an_answer())], [])


def test_a_map_that_cannot_grow_is_one_line_and_no_crash(tmp_path: Path):
    room = "int(Path('/proc/self/statm').read_text().split()[0]) * 4096 + (8 << 20)"
    limit = f"resource.setrlimit(resource.RLIMIT_AS, ({room},) * 2)"
    message, counts = written(tmp_path / "store", 3 << 20, limit)

    assert "cannot grow beyond" in message
    assert "all that was stored before is safe" in message
    n, after = counts.split()
    assert after == "closed"
    with opened(tmp_path / "store") as store:
        assert len(store) == int(n) > 0


def test_a_store_does_not_grow_under_its_own_reader(tmp_path: Path):
    with opened(tmp_path / "store", 1 << 16) as store:
        store.put(answers(0, 10), [])
        with store.reading() as stored:
            _, message = fill(store)
            assert "cannot grow while it is read" in message
            assert dict(stored.answers()) == dict(answers(0, 10))
        store.put(answers(1000, 2000), [])
        assert len(store) >= 1010


def test_a_reader_follows_a_store_that_grew_elsewhere(tmp_path: Path):
    with opened(tmp_path / "store", 1 << 16) as store:
        store.put(answers(0, 10), [])
    with ResponseStore.open(tmp_path / "store", write=False, map_bytes=1 << 16) as reader:
        assert len(reader) == 10
        written(tmp_path / "store", 1 << 16, "pass", 3000)
        assert len(reader) == 3000
        with reader.reading() as stored:
            assert len(list(stored.values("responses"))) == 3000
