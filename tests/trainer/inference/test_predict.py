"""`predict` takes the files that people have and gives them back, and goes on only where it was."""

import csv
import io
import json
import os
import shutil
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import orjson
import pandas as pd
import pytest

from stepdistill.common.files.row_file import read_file
from stepdistill.common.tables.table_file import table_file
from stepdistill.trainer.inference.kept_answers import Identity, KeptAnswers
from stepdistill.trainer.main import main
from stepdistill.trainer.settings.train import TrainSettings
from tests.trainer.made_rows import CLASSES, word_problems
from tests.warm import WarmProcess, plain_environment

PANDAS = cast(Any, pd)  # its types are known in parts only
COLUMNS = ["id", "story", "question", "note", "label"]
Row = dict[str, object]


@pytest.fixture(scope="module")
def model(finished: TrainSettings) -> str:
    return str(finished.output / "model")


@pytest.fixture
def predict(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Calls `stepdistill predict MODEL` with these words in the folder of this test."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str, student: str = model) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main(["predict", student, *words])
        sys.stdout.flush()
        shown = capfd.readouterr()
        return code, shown.out, shown.err

    return run


Predict = Callable[..., tuple[int, str, str]]


def rows_of(n: int = 20) -> list[Row]:
    """Ids that stand twice, cells of several lines, a label of one's own."""
    made: list[Row] = []
    for number, problem in enumerate(word_problems("new", n)):
        cells = (f"00{number // 2}", *problem.input.values(), f'=1,\r\n"größer" {number}', "mine")
        made.append(dict(zip(COLUMNS, cells, strict=True)))
    return made


def write(path: Path, rows: list[Row]) -> Path:
    with table_file(path, COLUMNS) as table:
        for row in rows:
            table.write(row)
    return path


def lines(text: str) -> list[Row]:
    return [orjson.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv.gz", "a.parquet", "a.jsonl.zst"])
def test_a_file_comes_back_with_answers_beside_its_columns(
    predict: Predict, tmp_path: Path, name: str
) -> None:
    rows = rows_of()
    write(tmp_path / name, rows)
    for to in ("out/b.jsonl", "out/b.csv", "out/b.parquet"):
        code, out, err = predict(name, "--to", to, "--explain")
        assert (code, out) == (0, ""), err
        assert f"20 rows in {to}: yours, then label_2, probability, rationale" in err
        found = list(read_file(tmp_path / to))
        assert [{column: row[column] for column in COLUMNS} for row in found] == rows
        assert {row["label_2"] for row in found} <= set(CLASSES)
        assert all(0.25 <= float(str(row["probability"])) <= 1 for row in found)
        assert list(found[0])[5:] == ["label_2", "probability", "rationale"]
    assert "20 cells begin with = + - or @" in predict(name, "--to", "out/c.csv")[2]
    assert predict(name, "--to", "tame.csv", "--escape-formulas")[0] == 0
    assert {str(row["note"])[:2] for row in read_file(tmp_path / "tame.csv")} == {"'="}


def test_standard_input_and_files_without_an_ending_are_known_by_their_looks(
    predict: Predict, model: str, tmp_path: Path
) -> None:
    rows = rows_of(4)
    labels = [line["label"] for line in lines(predict(str(write(tmp_path / "a.csv", rows)))[1])]
    for name in ("a.csv", "a.parquet", "a.jsonl", "a.tsv.gz"):
        plain = tmp_path / f"plain-{name.partition('.')[2]}"
        write(tmp_path / name, rows).rename(plain)
        code, out, err = predict(plain.name)
        assert code == 0, err
        assert [line["label"] for line in lines(out)] == labels
    assert [line["id"] for line in lines(out)] == [row["id"] for row in rows]


def test_sheets_documents_packed_files_and_urls_are_rows_too(
    predict: Predict, tmp_path: Path
) -> None:
    rows = rows_of(4)
    (tmp_path / "a.json").write_bytes(orjson.dumps({"data": rows}))
    PANDAS.DataFrame(rows).to_excel(tmp_path / "a.xlsx", index=False)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.write(write(tmp_path / "a.csv", rows), "a.csv")
    found = [predict(str(tmp_path / f"a.{ending}")) for ending in ("json", "xlsx", "zip")]
    found.append(predict((tmp_path / "a.csv").as_uri()))
    for ending in ("json", "xlsx", "zip"):
        found.append(predict(str((tmp_path / f"a.{ending}").rename(tmp_path / ending))))
    assert [code for code, _, _ in found] == [0] * 7
    assert len({out for _, out, _ in found}) == 1


def test_what_can_be_read_once_is_kept_meanwhile(predict: Predict, tmp_path: Path) -> None:
    """As `<(zcat rows.csv.gz)` is."""
    rows = rows_of(4)
    os.mkfifo(tmp_path / "pipe")
    content = write(tmp_path / "a.csv", rows).read_bytes()
    thread = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(content,))
    thread.start()
    code, _, err = predict("pipe", "--to", "a.jsonl")
    thread.join()
    assert code == 0, err
    found = list(read_file(tmp_path / "a.jsonl"))
    assert [{column: row[column] for column in COLUMNS} for row in found] == rows


def test_standard_input_is_read_and_a_reader_may_leave(
    warm_stepdistill: WarmProcess, model: str, tmp_path: Path
) -> None:
    """As a program, whose standard input and output these are."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, delimiter=";")
    writer.writeheader()
    writer.writerows(rows_of(4))
    (asked, asks), (answers, answered) = os.pipe(), os.pipe()
    os.write(asks, text.getvalue().encode())
    os.close(asks)
    with os.fdopen(answers, "rb", 0) as reader:
        with os.fdopen(asked, "rb") as stdin, os.fdopen(answered, "wb") as stdout:
            run = warm_stepdistill.start(
                *("predict", model, "-"),
                cwd=tmp_path,
                env=plain_environment(),
                streams={0: stdin, 1: stdout},
            )
        begun = reader.read(5)
    ended = run.wait()
    assert (begun, "Traceback" in ended.stderr) == (b'{"id"', False), ended.stderr


def test_columns_by_any_of_their_names(predict: Predict, tmp_path: Path, model: str) -> None:
    own = tmp_path / "own"
    shutil.copytree(model, own)
    settings = own / "stepdistill.json"
    columns = {"id": "Nr", "fields": {"story": "content.text[0]", "question": "Q"}}
    settings.write_bytes(orjson.dumps({**orjson.loads(settings.read_bytes()), "columns": columns}))
    row = rows_of(1)[0]
    story, question = row["story"], row["question"]
    shapes: list[Row] = [
        {"Nr": 7, "content": {"text": [story]}, "Q": question, "question": "another"},
        {"story": story, "question": question},
        {"id": 1, "input": {"story": story, "question": question}},
        {"story!": story, " question": question},  # as `annotate new` would call them
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, shapes)))
    code, out, err = predict("a.jsonl", student=str(own))
    assert code == 0, err
    assert [line["id"] for line in lines(out)] == ["7", "2", "1", "4"]
    assert len({line["label"] for line in lines(out)}) == 1
    assert len({line["probability"] for line in lines(out)}) == 1

    (tmp_path / "b.jsonl").write_text(json.dumps({"Erzählung": story, "Frage": question}))
    code, _, err = predict("b.jsonl")
    assert code == 2
    assert "b.jsonl line 1: the fields story, question are missing (has: Erzählung, Frage)" in err
    assert "--column story=COLUMN" in err and len(err.splitlines()) == 1
    given = ("--column", "story=Erzählung", "--column", "question=Frage")
    assert lines(predict("b.jsonl", *given)[1])[0]["probability"] == lines(out)[0]["probability"]
    assert "this student reads story, question" in predict("b.jsonl", "--column", "a=Frage")[2]
    assert "there is no such column" in predict("b.jsonl", "--column", "story=X")[2]


def test_what_some_lines_leave_out_is_empty_as_null_is(predict: Predict, tmp_path: Path) -> None:
    given = ('{"story": "", ', "{", '{"story": null, ', '{"id": null, "story": "None", ')
    (tmp_path / "a.jsonl").write_text("\n".join(f'{start}"question": "?"}}' for start in given))
    code, out, err = predict("a.jsonl")
    assert code == 0, err
    empty, left_out, null, word = (line["probability"] for line in lines(out))
    assert empty == left_out == null != word
    assert [line["id"] for line in lines(out)] == ["1", "2", "3", "4"]


def test_what_is_wrong_is_said_before_anything_is_answered(
    predict: Predict, tmp_path: Path
) -> None:
    rows = [json.dumps({"story": "a", "question": "b"})] * 70
    (tmp_path / "a.jsonl").write_text("\n".join([*rows, '{"story": ']))
    (tmp_path / "b.csv").write_text("story,text\na,b\n")
    (tmp_path / "c.csv").write_text("story,question\na,b\n")
    for words, said in (
        (("a.jsonl",), "a.jsonl line 71: not JSON"),
        (("b.csv", "--to", "out.csv"), "b.csv row 1: the field question is missing"),
        (("c.csv", "--to", "out.doc"), "--to out.doc: the ending says what is written"),
        (("c.csv", "--to", "c.csv"), "--to c.csv: these are your rows"),
        (("c.csv", "--output", "c.csv", "--force"), "--output c.csv: these are your rows"),
        (("c.csv", "--to", "a.csv", "--output", "b"), "--to and --output exclude each other"),
        (("c.csv", "--escape-formulas"), "--escape-formulas goes with --to FILE.csv"),
        (("c.csv", "--column", "a"), "--column a: FIELD=COLUMN"),
        (("nowhere.csv",), "nowhere.csv: cannot be read"),
        ((".",), "cannot be read"),
        (("--explain",), "INPUT is missing"),
        (("--expalin",), "--expalin is an option: name a file before it"),
    ):
        code, out, err = predict(*words)
        assert (code, out) == (2, ""), (words, err)
        assert said in err and len(err.splitlines()) == 1, err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "b.csv", "c.csv"]


def stop(path: Path, n_lines: int, torn: bytes = b"") -> None:
    """Leave behind what a kill leaves after so many answers to `--output path`."""
    kept = path.read_bytes().splitlines(keepends=True)[:n_lines]
    path.with_name(f"{path.name}.answers.part").write_bytes(b"".join(kept) + torn)
    path.unlink()
    note = path.with_name(f".{path.name}.predict.json")
    note.write_bytes(orjson.dumps({**orjson.loads(note.read_bytes()), "sha256": None}))


def test_a_killed_one_goes_on_where_it_stopped(predict: Predict, tmp_path: Path) -> None:
    write(tmp_path / "a.csv", rows_of())
    out = tmp_path / "out.jsonl"
    assert predict("a.csv", "--output", out.name, "--batch-size", "2")[0] == 0
    whole = out.read_bytes()
    stop(out, 7, torn=b'{"id": "00')
    marked = out.with_name(f"{out.name}.answers.part")
    marked.write_bytes(marked.read_bytes().replace(b'"id":"000"', b'"id":"kept"'))
    assert predict("a.csv", "--output", out.name, "--batch-size", "2")[0] == 0
    assert out.read_bytes() == whole.replace(b'"id":"000"', b'"id":"kept"')
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".out.jsonl.predict.json",
        "a.csv",
        "out.jsonl",
    ]


def test_force_takes_nothing_from_one_that_is_at_work(predict: Predict, tmp_path: Path) -> None:
    write(tmp_path / "a.csv", rows_of())
    target = tmp_path / "out.jsonl"
    assert predict("a.csv", "--output", target.name)[0] == 0
    note = orjson.loads((tmp_path / ".out.jsonl.predict.json").read_bytes())
    note.pop("sha256")
    with KeptAnswers(target, Identity(**note), "--output").lines(force=True) as (file, done):
        file.write(b'{"id": "000"}\n')
        file.flush()
        for words in ((), ("--force",), ("--force", "--explain")):
            code, _, err = predict("a.csv", "--output", target.name, *words)
            assert code == 2 and "another predict is writing it" in err, words
    part = target.with_name("out.jsonl.answers.part")
    assert done == 0 and part.read_bytes() == b'{"id": "000"}\n'
    assert predict("a.csv", "--output", target.name, "--force")[0] == 0
    assert len(target.read_bytes().splitlines()) == 20 and not part.exists()


def test_what_is_finished_says_so_and_what_is_of_something_else_is_refused(
    predict: Predict, model: str, tmp_path: Path
) -> None:
    write(tmp_path / "a.csv", rows_of())
    write(tmp_path / "b.csv", rows_of(19))
    shutil.copytree(model, tmp_path / "again")
    config = tmp_path / "again" / "config.json"
    config.write_bytes(config.read_bytes() + b"\n")
    words = ("--to", "out.csv")
    assert predict("a.csv", *words)[0] == 0
    before = (tmp_path / "out.csv").read_bytes()
    code, _, err = predict("a.csv", *words)
    assert code == 0 and "nothing to do: out.csv holds these very answers" in err
    again = str(tmp_path / "again")
    for given, student, said in (
        (("b.csv", *words), model, "answers to other rows: name another file, or add --force"),
        (("a.csv", *words, "--explain"), model, "holds answers without --explain"),
        (("a.csv", *words, "--abstain-below", "0.9"), model, "answers with --abstain-below 0.0"),
        (("a.csv", *words), again, "of another model, or of this one before it was trained"),
        (("a.csv", "--output", "out.csv"), model, "--output out.csv: holds answers by --to"),
    ):
        code, _, err = predict(*given, student=student)
        assert code == 2 and said in err and len(err.splitlines()) == 1, err
    assert (tmp_path / "out.csv").read_bytes() == before

    (tmp_path / "out.csv").write_bytes(before + b"x")
    assert "was changed since it was written" in predict("a.csv", *words)[2]
    (tmp_path / "foreign.csv").write_text("mine")
    code, _, err = predict("a.csv", "--to", "foreign.csv")
    assert code == 2 and "is there, and not of a predict known here" in err
    assert (tmp_path / "foreign.csv").read_text() == "mine"
    assert predict("a.csv", "--to", "foreign.csv", "--force")[0] == 0
    assert (tmp_path / "foreign.csv").read_bytes() == before
    assert predict("b.csv", *words, "--force", "--quiet") == (0, "", "")
    assert len(list(read_file(tmp_path / "out.csv"))) == 19


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_is_one_line(predict: Predict, tmp_path: Path) -> None:
    write(tmp_path / "a.csv", rows_of())
    (tmp_path / "out.csv.part").symlink_to("/dev/full")
    code, _, err = predict("a.csv", "--to", "out.csv")
    assert code == 2 and "--to out.csv: cannot be written (No space left on device)" in err
    assert not (tmp_path / "out.csv").exists()
    code, _, err = predict("a.csv", "--to", "out.csv")  # the answers are kept
    assert code == 0 and len(list(read_file(tmp_path / "out.csv"))) == 20


def test_no_row_is_no_answer(predict: Predict, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("story,question\n")
    (tmp_path / "empty").write_text("")
    for name, to in (("a.csv", "b.csv"), ("empty", "c.jsonl")):
        assert predict(name, "--to", to)[0] == 0
        assert list(read_file(tmp_path / to)) == []
