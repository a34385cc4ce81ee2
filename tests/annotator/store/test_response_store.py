"""What was committed is there again, for one writer and any readers, however large it grows."""

import gc
import subprocess
import sys
from pathlib import Path

import lmdb
import pytest

from stepdistill.annotator.store.answer import Answer, Failure, Usage
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.common.errors import StoreError
from tests.annotator.made import FAILURE, a_key, an_answer, on_disk

SMALL = 1 << 16
KEY = a_key(1)
READER = """
import sys
from pathlib import Path
from stepdistill.annotator.store.response_store import ResponseStore
with ResponseStore.open(Path(sys.argv[1]), write=False) as store:
    print(len(store))
"""


def opened(path: Path, map_bytes: int = 1 << 24) -> ResponseStore:
    return ResponseStore.open(path, write=True, map_bytes=map_bytes)


def answer_in(store: ResponseStore, key: bytes = KEY) -> Answer | None:
    with store.reading() as stored:
        return stored.answer(key)


def failure_in(store: ResponseStore, key: bytes = KEY) -> Failure | None:
    with store.reading() as stored:
        return stored.failure(key)


def refusal(path: Path, *, write: bool) -> str:
    with pytest.raises(StoreError) as refused:
        ResponseStore.open(path, write=write)
    message = str(refused.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def test_answers_and_failures_survive_closing(tmp_path: Path):
    usage = Usage(prompt=3, completion=2, cached=1, reasoning=1)
    answer = an_answer("Zürich \U0001f600\n", usage=usage, finish="length", limit=7, request_id="r")
    with opened(tmp_path / "store") as store:
        store.put([(KEY, answer)], [(a_key(2), FAILURE)])

    for write in (True, False):
        with ResponseStore.open(tmp_path / "store", write=write) as store:
            assert (answer_in(store), failure_in(store)) == (answer, None)
            assert (answer_in(store, a_key(2)), failure_in(store, a_key(2))) == (None, FAILURE)
            assert KEY in store
            assert a_key(2) not in store
            assert len(store) == 1


def test_a_commit_is_on_the_disk_when_put_returns(tmp_path: Path):
    with opened(tmp_path / "store") as store:
        store.put([(KEY, an_answer())], [])
        with on_disk(store, tmp_path / "copy") as copy:
            assert answer_in(copy) == an_answer()


def test_an_answer_takes_an_earlier_failure_away(tmp_path: Path):
    with opened(tmp_path / "store") as store:
        store.put([], [(KEY, FAILURE)])
        store.put([(KEY, an_answer())], [])

        assert (answer_in(store), failure_in(store)) == (an_answer(), None)


def test_the_last_failure_is_the_one_that_is_kept(tmp_path: Path):
    last = Failure(reason="content_refused", detail="400")
    with opened(tmp_path / "store") as store:
        store.put([], [(KEY, FAILURE)])
        store.put([], [(KEY, last)])

        assert failure_in(store) == last


CUT_OFF = an_answer("yes, bec", finish="length", limit=96)


@pytest.mark.parametrize(
    ("answer", "limit", "is_there"),
    [
        (CUT_OFF, 96, True),
        (CUT_OFF, 97, False),
        (CUT_OFF._replace(finish="MAX_TOKENS"), 97, False),
        (CUT_OFF._replace(finish="abort"), 96, False),
        (CUT_OFF._replace(limit=None), 4096, True),
        (an_answer(limit=96), 4096, True),
    ],
)
def test_an_answer_that_was_cut_off_counts_up_to_its_limit(
    tmp_path: Path, answer: Answer, limit: int, is_there: bool
):
    with opened(tmp_path / "store") as store:
        store.put([(KEY, answer)], [])

        assert store.has([KEY, a_key(2)], limit) == [is_there, False]
        assert KEY in store


def test_an_answer_stays_until_a_better_one_is_there_and_counts_after_that(tmp_path: Path):
    with opened(tmp_path / "store") as store:
        store.put([(KEY, CUT_OFF)], [])
        store.put([], [(KEY, FAILURE)])
        assert answer_in(store) == CUT_OFF

        store.put([(KEY, an_answer())], [])
        store.put([(KEY, an_answer())], [])  # the same once more is no other
        with store.reading() as stored:
            kept = dict(stored.answers())

    assert (kept.pop(KEY), list(kept.values())) == (an_answer(), [CUT_OFF])


def test_what_is_forgotten_is_asked_again_and_still_counts(tmp_path: Path):
    with opened(tmp_path / "store") as store:
        store.put([(KEY, an_answer())], [(a_key(2), FAILURE)])
        store.put([(a_key(3), an_answer(mode="import"))], [])
        store.forget([KEY, a_key(2), a_key(3), a_key(4)])

        assert store.has([KEY, a_key(3)]) == [False, False]
        assert failure_in(store, a_key(2)) is None
        with store.reading() as stored:
            assert [answer for _, answer in stored.answers()] == [an_answer()]


def test_a_snapshot_does_not_change_while_it_is_read(tmp_path: Path):
    with opened(tmp_path / "store") as store, store.reading() as stored:
        store.put([(KEY, an_answer())], [])

        assert stored.answer(KEY) is None


def test_a_store_grows_beyond_the_size_it_was_opened_with(tmp_path: Path):
    text = "x" * 2000
    with opened(tmp_path / "store", SMALL) as store:
        for start in range(0, 400, 100):
            answers = [(a_key(n), an_answer(f"{n} {text}")) for n in range(start, start + 100)]
            store.put(answers, [])

        assert len(store) == 400
        assert answer_in(store, a_key(399)) == an_answer(f"399 {text}")

    with opened(tmp_path / "store", SMALL) as store:
        store.put([(a_key(400), an_answer(text * 200))], [])
        assert len(store) == 401


def test_a_second_writer_is_refused_and_told_who_writes(tmp_path: Path):
    with opened(tmp_path / "store"):
        message = refusal(tmp_path / "store", write=True)

    assert "process" in message
    assert "is writing to it" in message


def test_a_writer_elsewhere_is_refused_and_a_reader_elsewhere_is_not(tmp_path: Path):
    with opened(tmp_path / "store") as store:
        store.put([(KEY, an_answer())], [])
        found: list[str] = []
        for code in (READER, READER.replace("write=False", "write=True")):
            words = [sys.executable, "-c", code, str(store.path)]
            done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
            found.append(done.stdout or done.stderr.splitlines()[-1])

    assert found[0].strip() == "1"
    assert "StoreError" in found[1]
    assert "is writing to it" in found[1]


def test_the_next_writer_is_let_in_once_the_store_is_closed(tmp_path: Path):
    for number in range(3):
        with opened(tmp_path / "store") as store:
            store.put([(a_key(number), an_answer())], [])

    with opened(tmp_path / "store") as store:
        assert len(store) == 3


def test_a_refused_open_leaves_no_lock_behind(tmp_path: Path):
    path = tmp_path / "store"
    path.mkdir()
    (path / "data.mdb").write_bytes(b"no database at all" * 1000)

    for _ in range(2):
        assert "cannot be opened" in refusal(path, write=True)


def test_reading_needs_a_store_and_makes_none(tmp_path: Path):
    assert "no store here" in refusal(tmp_path / "nowhere", write=False)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("write", [True, False])
def test_a_file_in_the_place_of_the_folder_is_said_so(tmp_path: Path, write: bool):
    path = tmp_path / "store"
    path.touch()

    refusal(path, write=write)


@pytest.mark.parametrize("write", [True, False])
def test_a_store_of_another_schema_is_refused_with_both_versions(tmp_path: Path, write: bool):
    path = tmp_path / "store"
    opened(path).close()
    with lmdb.open(str(path), max_dbs=4) as env, env.begin(write=True) as txn:
        txn.put(b"schema", b"0", db=env.open_db(b"meta", txn))

    message = refusal(path, write=write)
    assert "schema 0" in message
    assert "reads 2" in message


def test_a_database_of_another_program_is_not_read(tmp_path: Path):
    path = tmp_path / "store"
    lmdb.open(str(path), max_dbs=4).close()

    refusal(path, write=False)


def test_a_snapshot_that_is_done_gives_its_readers_slot_back_at_once(tmp_path: Path):
    gc.collect()
    gc.disable()
    try:
        with ResponseStore.open(tmp_path / "store", write=True) as store:
            for _ in range(300):  # LMDB has 126 slots
                with store.reading() as stored:
                    assert stored.answer(a_key(1)) is None
    finally:
        gc.enable()


def test_two_answers_of_one_key_in_one_commit_are_both_kept(tmp_path: Path):
    """Alike but for what the provider calls them: they have no order of their own."""
    named, nameless = (an_answer()._replace(request_id=name) for name in ("r-1", None))
    with opened(tmp_path) as store:
        store.put([(KEY, named), (KEY, nameless)], [])
        assert answer_in(store) == nameless and len(store) == 2
