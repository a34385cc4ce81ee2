"""People's judgements laid over shards: what is learnt, what is gold, and that it is said."""

import shutil
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from stepdistill.common.errors import ConfigError
from stepdistill.common.judgements import (
    Judgement,
    add_judgement,
    answer_digest,
    row_digest,
    text_digest,
)
from stepdistill.common.record import Record
from stepdistill.trainer.data.corrections import read_judged_data
from stepdistill.trainer.data.examples import eval_set, train_set
from stepdistill.trainer.data.shards import data_fingerprint, read_data
from stepdistill.trainer.settings.train import TrainSettings, fingerprint, parse
from tests.trainer.made_rows import arguments, word_problems, write_split


def judge(path: Path, record: Record, verdict: str, **more: object) -> None:
    row = row_digest(record.id, record.input)
    label = record.label or ""
    fields = {"at": 1.0, "judge": "ann", "split": record.split, "id": record.id, "row": row}
    answer = {"answer": answer_digest(row, label), "label": label, "verdict": verdict}
    add_judgement(path, Judgement.model_validate({**fields, **answer, **more}))


def config(folder: Path, **options: object) -> TrainSettings:
    line = arguments(folder, Path("out"), **options)[3:]
    return parse([*line, f"--train={folder}", f"--valid={folder}", f"--test={folder}"])


@pytest.fixture
def rows(tmp_path: Path) -> list[Record]:
    """Six rows without gold, in shards; four are judged."""
    found = [replace(record, gold=None) for record in word_problems("train", 6)]
    write_split(tmp_path / "run" / "train", found)
    path = tmp_path / "run" / "judgements.jsonl"
    judge(path, found[0], "right")
    judge(path, found[1], "wrong", right="division" if found[1].label != "division" else "addition")
    judge(path, found[2], "wrong")
    bad = {"reasons": "bad", "rationale": text_digest(found[3].rationale)}
    judge(path, found[3], "right", **bad)
    judge(path, found[4], "cannot_tell")
    return found


def test_corrected_labels_are_learnt_and_wrong_rows_are_not(
    tmp_path: Path, rows: list[Record]
) -> None:
    asked = config(tmp_path / "run" / "train", labels="corrected")
    data = read_judged_data(asked)
    learnt = train_set(data.train, asked)
    by_id = {example.id: example for example in learnt.examples}
    assert list(by_id) == [rows[n].id for n in (0, 1, 3, 4, 5)]
    assert by_id[rows[0].id].label == rows[0].label
    assert by_id[rows[1].id].label != rows[1].label
    assert by_id[rows[1].id].rationales == () == by_id[rows[3].id].rationales
    assert by_id[rows[0].id].rationales and by_id[rows[4].id].rationales
    assert data.train.corrections is not None
    facts = data.train.corrections.facts()
    counted = ("golds", "confirmed", "changed", "left_out", "reasons_left_out")
    assert [facts[name] for name in counted] == [3, 2, 1, 1, 1]
    (remark,) = learnt.remarks
    assert "1 changed, 2 confirmed, 1 rows left out" in remark


def test_of_several_reasons_those_that_nobody_called_bad_are_learnt(
    tmp_path: Path, rows: list[Record]
) -> None:
    folder = tmp_path / "several" / "train"
    several = [replace(each, other_rationales=["Said in another way."]) for each in rows]
    write_split(folder, several)
    shutil.copy(tmp_path / "run" / "judgements.jsonl", folder.parent)
    asked = config(folder, labels="corrected", rationales=2)
    learnt = {each.id: each for each in train_set(read_judged_data(asked).train, asked).examples}
    reasons = {id: tuple(one.text for one in each.rationales) for id, each in learnt.items()}
    assert reasons[rows[0].id] == several[0].rationales
    assert reasons[rows[1].id] == ()  # of a label that was wrong
    assert reasons[rows[3].id] == ("Said in another way.",)


def test_judged_rows_are_what_a_student_is_judged_by(tmp_path: Path, rows: list[Record]) -> None:
    folder = tmp_path / "run" / "train"
    unjudged = eval_set(read_data(config(folder)).test)
    assert unjudged.is_by_teacher and len(unjudged.examples) == 6
    asked = config(folder, judgements=tmp_path / "run" / "judgements.jsonl")
    judged = eval_set(read_judged_data(asked).test)
    assert [example.id for example in judged.examples] == [rows[n].id for n in (0, 1, 3)]
    assert not judged.is_by_teacher
    (remark,) = judged.remarks
    assert "3 of 3 gold labels are people's" in remark and "doubtful rows" in remark
    # What is learnt stays: nobody asked for corrected labels.
    assert len(train_set(read_judged_data(asked).train, asked).examples) == 6


def test_other_judgements_make_another_run_and_none_the_same(
    tmp_path: Path, rows: list[Record]
) -> None:
    folder = tmp_path / "run" / "train"
    plain, asked = config(folder), config(folder, labels="corrected")

    def mark(settings: TrainSettings) -> str:
        return fingerprint(settings, data_fingerprint(read_judged_data(settings)))

    before, first = mark(plain), mark(asked)
    judge(tmp_path / "run" / "judgements.jsonl", rows[5], "right")
    assert mark(plain) == before and mark(asked) != first
    assert "judgements" not in plain.identity()


def test_where_judgements_are_missing_it_is_said(tmp_path: Path) -> None:
    folder = write_split(tmp_path / "rows", word_problems("train", 3))
    with pytest.raises(ConfigError, match="name one with --judgements"):
        read_judged_data(config(folder, labels="corrected"))
    with pytest.raises(ConfigError, match="no such file"):
        read_judged_data(config(folder, judgements=tmp_path / "none.jsonl"))


def test_golds_that_were_judged_when_shards_were_written_are_told(tmp_path: Path) -> None:
    folder = write_split(tmp_path / "rows", word_problems("train", 3))
    assert eval_set(read_data(config(folder)).test).remarks == []
    path = folder / "manifest.json"
    manifest = orjson.loads(path.read_bytes())
    manifest["judgements"] = {"sha256": "0" * 64, "golds": 2}
    path.write_bytes(orjson.dumps(manifest))
    (remark,) = eval_set(read_data(config(folder)).test).remarks
    assert remark.startswith("2 gold labels of these shards are people's")
