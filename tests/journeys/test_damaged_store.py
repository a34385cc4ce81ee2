"""Whatever becomes of a store's files, each command says so in one line and ends by itself."""

import os
import random
import shutil
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from stepdistill.annotator.store.answer import Failure
from stepdistill.annotator.store.response_store import ResponseStore
from tests.annotator.made import answers
from tests.warm import WarmProcess, plain_environment

Annotate = Callable[..., tuple[int, str]]
Damage = Callable[[Path, random.Random], None]
PAGE = 4096
RUN = ("run", "demo", "--teacher", "simulated", "--samples", "40", "--quiet")
COMMANDS = (
    ("store", "verify"),
    ("store", "info"),
    ("store", "export", "answers.jsonl"),
    ("store", "compact"),
    (*RUN, "--out", "new"),
    (*RUN, "--out", "new", "--offline"),
)


@pytest.fixture(scope="module")
def call(warm_annotate: WarmProcess) -> Annotate:
    """Exit code (negative: a signal) and stderr of `annotate` in a folder, on a store in it."""

    def annotate(folder: Path, *words: str) -> tuple[int, str]:
        env = plain_environment()
        done = warm_annotate.start(*words, "--store", "store", cwd=folder, env=env).wait(100)
        return done.returncode, done.stderr

    return annotate


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, call: Annotate) -> Path:
    """A folder with a store of a run, other answers (some on pages of their own), failures."""
    folder = tmp_path_factory.mktemp("whole")
    code, err = call(folder, *RUN, "--out", "out")
    assert code == 0, err
    with ResponseStore.open(folder / "store", write=True) as store:
        made = answers(0, 300)
        noise = random.Random(1)
        long = [(k, a._replace(text=noise.randbytes(4000).hex())) for k, a in made[:20]]
        store.put([*long, *made[20:]], [])
        failed = Failure(reason="bad_request", detail="400: no")
        store.put([], [(noise.randbytes(32), failed) for _ in range(20)])
    return folder


def truncated(store: Path, dice: random.Random) -> None:
    data = store / "data.mdb"
    size = data.stat().st_size
    pages = dice.randrange(size // PAGE) * PAGE
    os.truncate(data, dice.choice([0, 1, 100, PAGE, 2 * PAGE, size // 2, pages, size - 1, pages]))


def zeroed(store: Path, dice: random.Random) -> None:
    with (store / "data.mdb").open("r+b") as data:
        data.seek(dice.randrange(data.seek(0, os.SEEK_END) // PAGE) * PAGE)
        data.write(bytes(PAGE))


def flipped_header(store: Path, dice: random.Random) -> None:
    """A bit of a page's head, or of the table of what is on it."""
    flip_at(store, dice, lambda: dice.randrange(64))


def flipped_meta(store: Path, dice: random.Random) -> None:
    flip_at(store, dice, lambda: dice.randrange(192), pages=2)


def flipped_anywhere(store: Path, dice: random.Random) -> None:
    flip_at(store, dice, lambda: dice.randrange(PAGE))


def flip_at(
    store: Path, dice: random.Random, offset: Callable[[], int], pages: int | None = None
) -> None:
    with (store / "data.mdb").open("r+b") as data:
        n = data.seek(0, os.SEEK_END) // PAGE
        at = dice.randrange(pages or n) * PAGE + offset()
        data.seek(at)
        byte = data.read(1)[0] ^ 1 << dice.randrange(8)
        data.seek(at)
        data.write(bytes([byte]))


def flipped_key(store: Path, dice: random.Random) -> None:
    """A bit of an answer's key, wherever it lies: in leaves, in branches."""
    with (
        ResponseStore.open(store, write=False, damaged_entries=True) as opened,
        opened.reading() as stored,
    ):
        key = dice.choice([key for key, _ in stored.values("responses")])
    flipped = bytearray(key)
    flipped[dice.randrange(32)] ^= 1 << dice.randrange(8)
    data = store / "data.mdb"
    data.write_bytes(data.read_bytes().replace(key, bytes(flipped)))


def shifted(store: Path, dice: random.Random) -> None:
    """A page where another belongs."""
    with (store / "data.mdb").open("r+b") as data:
        n = data.seek(0, os.SEEK_END) // PAGE
        data.seek(dice.randrange(n) * PAGE)
        page = data.read(PAGE)
        data.seek(dice.randrange(n) * PAGE)
        data.write(page)


def odd_files(store: Path, dice: random.Random) -> None:
    data, lock = store / "data.mdb", store / "lock.mdb"
    odd = dice.randrange(5)
    if odd == 0:
        data.write_bytes(lock.read_bytes())
    elif odd == 1:
        lock.write_bytes(data.read_bytes()[:8192])
    elif odd == 2:
        data.write_bytes(dice.randbytes(3 * PAGE))
    elif odd == 3:
        (store / "writer.lock").write_bytes(dice.randbytes(300))
        zeroed(store, dice)
    else:
        data.write_bytes(b"")


DAMAGES = (
    *(truncated, zeroed, flipped_header, flipped_meta, flipped_anywhere, flipped_key),
    *(shifted, odd_files),
)


def damages(n: int) -> list[tuple[Damage, int]]:
    return [(damage, seed) for seed, damage in product(range(n // len(DAMAGES)), DAMAGES)]


def check(call: Annotate, whole: Path, folder: Path, damage: Damage, seed: int) -> list[int]:
    """Try every command on a copy of its own."""
    ends: list[int] = []
    for words in COMMANDS:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(whole / "store", folder / "store")
        damage(folder / "store", random.Random(seed))
        code, err = call(folder, *words)
        ends.append(code)
        said = f"{damage.__name__} {seed}: {' '.join(words)}: {code}: {err}"
        assert code in (0, 2), said
        assert len(err.splitlines()) <= 1, said
        assert bool(err) == (code == 2), said
    return ends


@pytest.mark.parametrize(("damage", "seed"), damages(8))
def test_a_damaged_store_is_one_line(
    call: Annotate, whole: Path, tmp_path: Path, damage: Damage, seed: int
) -> None:
    check(call, whole, tmp_path / "case", damage, seed)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_hundred_damaged_stores_are_one_line_each(
    call: Annotate, whole: Path, tmp_path: Path
) -> None:
    for damage, seed in damages(200):
        check(call, whole, tmp_path / "case", damage, 1000 + seed)


def test_a_flipped_key_is_found_by_a_run_before_anything_is_asked(
    call: Annotate, whole: Path, tmp_path: Path
) -> None:
    for seed in range(4):
        shutil.rmtree(tmp_path / "case", ignore_errors=True)
        shutil.copytree(whole / "store", tmp_path / "case" / "store")
        flipped_key(tmp_path / "case" / "store", random.Random(seed))
        code, err = call(tmp_path / "case", *RUN, "--out", "new")
        assert (code, "is damaged" in err or "not found" in err) == (2, True), err


def test_an_empty_file_is_no_new_store(call: Annotate, whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole / "store", tmp_path / "store")
    os.truncate(tmp_path / "store" / "data.mdb", 0)
    code, err = call(tmp_path, *RUN, "--out", "new")
    assert code == 2
    assert "data.mdb is empty" in err
