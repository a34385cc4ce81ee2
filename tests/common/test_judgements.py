"""Judgements are only added, survive a crash, and count for nothing but what was judged."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from stepdistill.common.errors import ConfigError
from stepdistill.common.judgements import (
    Correction,
    Judgement,
    add_judgement,
    answer_digest,
    read_judgements,
    row_digest,
    text_digest,
)
from stepdistill.common.record import PartRef, Record

_NOBODY = PartRef(label=None, rationale=None)
_WRITER = """
import sys, time
from pathlib import Path
from stepdistill.common.judgements import *
for n in range(60):
    row = row_digest(str(n), {})
    add_judgement(Path(sys.argv[1]), Judgement(at=n, judge=sys.argv[2], split="train", id=str(n),
        row=row, answer=answer_digest(row, "x" * 3000), label="x" * 3000, verdict="right"))
"""


def judged(
    row_id: str = "1", label: str = "a", verdict: str = "right", **more: object
) -> Judgement:
    row = row_digest(row_id, {"text": "it"})
    fields = {"at": 1.0, "judge": "ann", "split": "train", "id": row_id, "row": row, "label": label}
    answer = answer_digest(row, label)
    return Judgement.model_validate({**fields, "answer": answer, "verdict": verdict, **more})


def a_record(label: str | None, text: str = "it") -> Record:
    return Record(
        id="1",
        split="train",
        index=0,
        input={"text": text},
        label=label,
        rationale=None,
        gold=None,
        templates=_NOBODY,
        keys=_NOBODY,
        confidence=None,
    )


def test_what_was_added_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "there" / "judgements.jsonl"
    odd = 'sub\u202etraction "\\\n\x1b[2J' + "x" * 100_000
    given = [
        judged("1", odd, "wrong", right="b", reasons="bad", rationale=text_digest("why")),
        judged("2", verdict="cannot_tell"),
    ]
    for each in given:
        add_judgement(path, each)
    assert list(read_judgements(path).each) == given
    assert len(path.read_bytes().splitlines()) == 2


def test_no_file_holds_no_judgement(tmp_path: Path) -> None:
    found = read_judgements(tmp_path / "none.jsonl")
    assert found.each == () and found.correction(a_record("a")) is None


def test_to_undo_and_to_judge_again_are_lines(tmp_path: Path) -> None:
    path, answer = tmp_path / "j.jsonl", judged().answer
    for verdict in ("right", "undone", "wrong"):
        add_judgement(path, judged(verdict=verdict))
        found = read_judgements(path).of(answer)
        assert [each.verdict for each in found] == ([] if verdict == "undone" else [verdict])
    assert len(path.read_bytes().splitlines()) == 3


@pytest.mark.parametrize("kept", [1, 60, -2, -1])
def test_a_torn_last_line_is_survived(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "j.jsonl"
    add_judgement(path, judged("1"))
    add_judgement(path, judged("2"))
    first, last = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + last[:kept])
    is_whole = kept == -1
    assert [each.id for each in read_judgements(path).each] == ["1", "2"][: 1 + is_whole]
    add_judgement(path, judged("3"))
    assert [each.id for each in read_judgements(path).each] == ["1", *["2"] * is_whole, "3"]
    for line in path.read_bytes().splitlines():
        json.loads(line)


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    add_judgement(path, judged("1"))
    for broken in (b"not json\n", b'{"at": 1}\n', b"[1]\n", b"\xff\xfe\n"):
        path.write_bytes(path.read_bytes().splitlines(keepends=True)[0] + broken)
        with pytest.raises(ConfigError, match=r"j\.jsonl line 2: not a judgement"):
            read_judgements(path)


def test_judges_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    words = [sys.executable, "-c", _WRITER, str(path)]
    writers = [subprocess.Popen([*words, name]) for name in ("ann", "bob")]
    assert [writer.wait(timeout=100) for writer in writers] == [0, 0]
    found = read_judgements(path)
    assert len(found.each) == 120
    assert all(len(found.of(each.answer)) == 2 for each in found.each)


def test_a_judgement_is_of_its_label_and_its_row(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    add_judgement(path, judged(label="a", verdict="wrong"))
    found = read_judgements(path)
    assert found.correction(a_record("a")) == Correction(None)
    assert found.correction(a_record("b")) is None
    assert found.correction(a_record("a", text="another")) is None
    assert found.correction(a_record(None)) is None


def test_a_right_label_is_the_rows_whatever_label_it_has_now(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    add_judgement(path, judged(label="a", verdict="wrong", right="c"))
    for label in ("a", "b", "c", None):
        assert read_judgements(path).correction(a_record(label)) == Correction("c")


def test_most_judges_decide_and_the_earlier_of_two(tmp_path: Path) -> None:
    path, answer = tmp_path / "j.jsonl", judged().answer
    add_judgement(path, judged(judge="ann", verdict="wrong", right="b"))
    add_judgement(path, judged(judge="bob", verdict="right"))
    agreed = read_judgements(path).agreed(answer)
    assert agreed is not None and agreed.verdict == "wrong"
    add_judgement(path, judged(judge="eve", verdict="right"))
    agreed = read_judgements(path).agreed(answer)
    assert agreed is not None and agreed.verdict == "right"
    assert read_judgements(path).right_label(judged().row) == "a"


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        add_judgement(tmp_path, judged())
    with pytest.raises(ConfigError, match="cannot be read"):
        read_judgements(tmp_path)
