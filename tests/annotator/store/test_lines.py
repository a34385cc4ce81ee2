"""Answers leave one store as lines and are the same in another."""

import gzip
from pathlib import Path

import pytest
import zstandard

from stepdistill.annotator.store.answer import Usage
from stepdistill.annotator.store.lines import export_answers, import_answers
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.common.errors import StoreError
from tests.annotator.made import FAILURE, a_key, an_answer, answers

NAMES = ("a.jsonl", "a.jsonl.gz", "a.jsonl.zst")


def quiet(_: int) -> None:
    """Nobody listens."""


def another(tmp_path: Path) -> ResponseStore:
    return ResponseStore.open(tmp_path / "another", write=True, map_bytes=1 << 24)


def refusal(store: ResponseStore, path: Path) -> str:
    with pytest.raises(StoreError) as refused:
        import_answers(store, path, quiet)
    assert str(path) in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_exported_is_imported_as_it_was(store: ResponseStore, tmp_path: Path, name: str):
    store.put(answers(0, 1500), [(a_key(1), FAILURE)])
    assert export_answers(store, tmp_path / name, quiet) == 1500

    with another(tmp_path) as other:
        assert import_answers(other, tmp_path / name, quiet) == (1500, 0)
        assert import_answers(other, tmp_path / name, quiet) == (0, 1500)
        export_answers(other, tmp_path / f"again-{name}", quiet)
        with other.reading() as stored:
            assert dict(stored.answers()) == dict(answers(0, 1500))
    assert (tmp_path / name).read_bytes() == (tmp_path / f"again-{name}").read_bytes()


def test_what_was_not_counted_stays_so(store: ResponseStore, tmp_path: Path):
    usage = Usage(prompt=10, is_whole=False)
    store.put([(a_key(1), an_answer(usage=usage))], [])
    export_answers(store, tmp_path / "a.jsonl", quiet)
    with another(tmp_path) as other:
        import_answers(other, tmp_path / "a.jsonl", quiet)
        with other.reading() as stored:
            assert [answer.usage for _, answer in stored.answers()] == [usage]


def test_what_came_later_is_there_only_where_it_says_something(
    store: ResponseStore, tmp_path: Path
):
    kept = an_answer(tier="flex", logprobs=[[7, 3, 357, "no", 1238]])
    store.put([(a_key(1), an_answer()), (a_key(2), kept)], [])
    export_answers(store, tmp_path / "a.jsonl", quiet)
    lines = (tmp_path / "a.jsonl").read_text().splitlines()
    assert ["logprobs" in line for line in lines] == [False, True]
    with another(tmp_path) as other:
        import_answers(other, tmp_path / "a.jsonl", quiet)
        with other.reading() as stored:
            assert [answer for _, answer in stored.answers()] == [an_answer(), kept]


def test_an_answer_that_is_there_is_kept(store: ResponseStore, tmp_path: Path):
    store.put([(a_key(1), an_answer("theirs")), (a_key(2), an_answer("new"))], [])
    export_answers(store, tmp_path / "a.jsonl", quiet)
    with another(tmp_path) as other:
        other.put([(a_key(1), an_answer("ours"))], [])
        assert import_answers(other, tmp_path / "a.jsonl", quiet) == (1, 1)
        with other.reading() as stored:
            texts = [answer.text for _, answer in stored.answers()]
    assert texts == ["ours", "new"]


def test_of_two_lines_with_one_key_the_first_counts(store: ResponseStore, tmp_path: Path):
    path = tmp_path / "a.jsonl"
    store.put([(a_key(1), an_answer("first"))], [])
    export_answers(store, path, quiet)
    path.write_bytes(path.read_bytes() + path.read_bytes().replace(b"first", b"second"))
    with another(tmp_path) as other:
        assert import_answers(other, path, quiet) == (1, 1)
        with other.reading() as stored:
            assert [answer.text for _, answer in stored.answers()] == ["first"]


@pytest.mark.parametrize(
    "change",
    [
        (b'"text"', b'"texts"'),
        (b'"mode":"online"', b'"mode":"guessed"'),
        (b'"prompt":10', b'"prompt":-1'),
        (b'"prompt":10', b'"prompt":"10"'),
        (b'"prompt":10', b'"prompt":9000000000000000000'),
        (b'"asked_at":1700000000', b'"asked_at":100000000000000000'),
        (b'{"key":"0', b'{"key":"x'),
        (b"{", b""),
    ],
)
def test_a_line_that_is_no_answer_is_named(
    store: ResponseStore, tmp_path: Path, change: tuple[bytes, bytes]
):
    path = tmp_path / "a.jsonl"
    store.put([(a_key(1), an_answer("one"))], [])
    export_answers(store, path, quiet)
    good = path.read_bytes()
    path.write_bytes(good + good.replace(*change, 1))
    with another(tmp_path) as other:
        assert "line 2" in refusal(other, path)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_is_cut_off_is_said_so(store: ResponseStore, tmp_path: Path, name: str):
    store.put(answers(0, 300), [])
    export_answers(store, tmp_path / name, quiet)
    whole = (tmp_path / name).read_bytes()
    with another(tmp_path) as other:
        for length in (len(whole) - 3, len(whole) // 2):
            (tmp_path / name).write_bytes(whole[:length])
            refusal(other, tmp_path / name)


def test_files_put_together_are_read_to_the_end(store: ResponseStore, tmp_path: Path):
    store.put(answers(0, 3), [])
    export_answers(store, tmp_path / "a.jsonl", quiet)
    lines = (tmp_path / "a.jsonl").read_bytes().splitlines(keepends=True)
    for name, pack in (("b.jsonl.gz", gzip.compress), ("b.jsonl.zst", zstandard.compress)):
        (tmp_path / name).write_bytes(b"".join(pack(line) for line in lines))
        with ResponseStore.open(tmp_path / f"{name}-store", write=True) as other:
            assert import_answers(other, tmp_path / name, quiet) == (3, 0)


def test_a_file_that_cannot_be_written_is_said_so(store: ResponseStore, tmp_path: Path):
    with pytest.raises(StoreError, match="cannot be written"):
        export_answers(store, tmp_path / "nowhere" / "a.jsonl", quiet)
