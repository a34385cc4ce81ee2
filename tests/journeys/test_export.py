"""A file of one's own in, the same file with labels out: row for row, whatever is in its cells."""

import asyncio
import csv
import io
import json
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pytest
import yaml
from aiohttp.test_utils import TestServer

from stepdistill.annotator.cli import make_app
from stepdistill.common.command_line import exit_code_of
from tests.journeys.conftest import Done
from tests.journeys.fake_hub import FakeHub
from tests.warm import WarmProcess, plain_environment

PANDAS = cast(Any, pd)  # its types are known in parts only
HEADER = ["id", "Customer's text", "label", "why", "n"]


def write_rows(folder: Path, n_rows: int = 60) -> None:
    """A CSV with ids that stand twice, cells of several lines, formulas, long integers."""
    rows: list[dict[str, str]] = []
    for n in range(n_rows):
        name = ("joyful", "gloomy", "")[n % 3]
        text = f'row {n}: "{name}"\r\n=SUM(A1), größer 🎈 {n * n}'
        cells = (f"00{n // 2}", text, name, "=1+1", f"12345678901234567890{n}")
        rows.append(dict(zip(HEADER, cells, strict=True)))
    with (folder / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, HEADER)
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def made(warm_annotate: WarmProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a task made of such a file, and a run over two of its splits."""
    folder = tmp_path_factory.mktemp("made")
    write_rows(folder)
    new = ("new", "mine", "rows.csv", "--label", "label", "--text", HEADER[1])
    run = ("run", "mine", "--teacher", "simulated", "--split", "train,test")
    warm_annotate.finish(folder, (*new, "--valid", "0.2", "--test", "0.2"), run)
    return folder


@pytest.fixture
def mine(made: Path, tmp_path: Path) -> list[dict[str, str]]:
    """The same in the folder of this test; the rows of the file."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return read_csv(tmp_path / "rows.csv")


Annotate = Callable[..., Done]


@pytest.fixture
def annotate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Annotate:
    """Calls `annotate` with these words, in the folder of this test: in this process, as each start
    of a program takes a second."""
    monkeypatch.chdir(tmp_path)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)

    def run(*words: str) -> Done:
        capfd.readouterr()
        code = exit_code_of(make_app(words[0]), words)
        shown = capfd.readouterr()
        return Done(code=code, out=shown.out, err=shown.err)

    return run


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_file_comes_back_with_labels_in_its_order(
    annotate: Annotate, tmp_path: Path, mine: list[dict[str, str]]
) -> None:
    done = annotate("export", "mine", "--to", "out/labelled.csv", "--json")
    assert done.code == 0, done.err
    found = read_csv(tmp_path / "out" / "labelled.csv")
    assert [{name: row[name] for name in HEADER} for row in found] == mine
    own = done.json["columns"]
    assert (own["label"], own["rationale"], own["why"]) == ("label_2", "rationale", "why_2")
    asked = [row for row in found if row["rejected"] != "not_asked"]
    assert 0 < done.json["not_asked"] == len(found) - len(asked)
    assert done.json["labelled"] == sum(bool(row["label_2"]) for row in found)
    # The simulated teacher quotes what it reads.
    quoted = [(re.findall(r"row \d+:", row["rationale"]), row) for row in asked]
    assert any(names for names, _ in quoted)
    assert all(set(names) <= {row[HEADER[1]].partition(' "')[0]} for names, row in quoted)
    assert "60 rows" in (tmp_path / "out" / "README.md").read_text()
    assert "WARNING: " in done.err and "--escape-formulas" in done.err
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_every_format_says_the_same(
    annotate: Annotate, tmp_path: Path, mine: list[dict[str, str]]
) -> None:
    for name in ("a.jsonl.gz", "a.parquet", "tame.tsv"):
        words = ("--escape-formulas",) if name == "tame.tsv" else ()
        done = annotate("export", "runs/mine", "--to", name, *words)
        assert done.code == 0 and not done.err, done.err
    lines = PANDAS.read_json(tmp_path / "a.jsonl.gz", lines=True, dtype=False)
    table = PANDAS.read_parquet(tmp_path / "a.parquet")
    tame = PANDAS.read_csv(tmp_path / "tame.tsv", sep="\t", dtype=str, keep_default_na=False)
    for frame in (lines, table):
        assert frame[HEADER].to_dict("records") == mine
        assert frame["label_2"].isna().tolist() == frame["rejected"].notna().tolist()
    assert (lines["label_2"].fillna("") == table["label_2"].fillna("")).all()
    assert (tame["label_2"] == table["label_2"].fillna("")).all()
    assert set(tame["why"]) == {"'=1+1"}


def test_a_file_that_changed_is_said_and_its_rows_come_from_the_splits(
    annotate: Annotate, tmp_path: Path, mine: list[dict[str, str]]
) -> None:
    (tmp_path / "rows.csv").rename(tmp_path / "kept.csv")
    done = annotate("export", "mine", "--to", "a.csv")
    assert done.code == 0 and "rows are taken from data/mine" in done.err, done.err
    assert [row["id"] for row in read_csv(tmp_path / "a.csv")] == [row["id"] for row in mine]
    named = annotate("export", "mine", "--to", "b.csv", "--data", "kept.csv")
    assert named.code == 0 and "rows are taken from" not in named.err
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()

    train = tmp_path / "data" / "mine" / "train.jsonl"
    train.write_bytes(b"".join(train.read_bytes().splitlines(keepends=True)[1:]))
    done = annotate("export", "mine", "--to", "c.csv")
    assert (done.code, done.out) == (2, "")
    assert "train.jsonl: has changed since" in done.err and "--data" in done.err
    assert not (tmp_path / "c.csv").exists()


def test_no_file_of_the_run_or_its_rows_is_written_over(
    annotate: Annotate, tmp_path: Path, mine: list[dict[str, str]]
) -> None:
    """Even where the rows are read from elsewhere: what was edited since is nowhere else."""
    with (tmp_path / "rows.csv").open("a", encoding="utf-8") as file:
        file.write("99,written by hand,joyful,,1\n")
    lines = (tmp_path / "data" / "mine" / "valid.jsonl").read_text()
    (tmp_path / "other.jsonl").write_text(lines)
    names = ("rows.csv", "./data/../rows.csv", "data/mine/train.jsonl", "data/mine/valid.jsonl")
    names = (*names, "runs/mine/train/shard-00000.jsonl", "runs/mine/test/rejects.jsonl")
    for words in ((), ("--data", "data/mine"), ("--data", "rows.csv")):
        for name in names:
            before = (tmp_path / name).read_bytes()
            done = annotate("export", "mine", "--to", name, *words)
            assert (done.code, done.out) == (2, ""), name
            assert f"--to {Path(name)}: this is a file of the run or of its rows" in done.err
            assert (tmp_path / name).read_bytes() == before
    assert annotate("export", "mine", "--to", "other.jsonl").code == 0


def test_rows_of_the_splits_are_no_remark_where_they_are_asked_for(
    annotate: Annotate, tmp_path: Path, mine: list[dict[str, str]]
) -> None:
    done = annotate("export", "mine", "--to", "a.csv", "--data", "data/mine")
    assert done.code == 0 and "rows are taken from" not in done.err, done.err
    assert [row["id"] for row in read_csv(tmp_path / "a.csv")] == [row["id"] for row in mine]
    note = tmp_path / "data" / "mine.origin.json"
    note.write_text(json.dumps({**json.loads(note.read_text()), "sha256": None}))
    done = annotate("export", "mine", "--to", "b.csv")  # as of a file that was several
    assert done.code == 0 and "rows are taken from" not in done.err, done.err


def test_rows_that_no_new_made_are_exported_too(annotate: Annotate, tmp_path: Path) -> None:
    """The demo task, whose rows are generated, and a file that a run was given with --data."""
    run = ("demo", "--teacher", "simulated", "--samples", "20", "--split", "test,train")
    assert annotate("run", *run).code == 0
    done = annotate("export", "demo", "--to", "a.jsonl", "--json")
    assert (done.json["rows"], done.json["not_asked"]) == (1500, 1460), done.err
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_bytes().splitlines()]
    assert [lines[n]["split"] for n in (0, 1200)] == ["train", "test"]
    assert lines[0]["label"] and lines[0]["rationale_2"] and lines[0]["rationale"]

    rows = [json.dumps({"id": n, "problem": f"p {n}", "operation": "addition"}) for n in range(9)]
    (tmp_path / "own.jsonl").write_text("\n".join(rows))
    run = ("demo", "--teacher", "simulated", "--data", "own.jsonl", "--out", "runs/own")
    assert annotate("run", *run).code == 0
    done = annotate("export", "runs/own", "--to", "b.csv", "--json")
    assert (done.json["rows"], done.json["labelled"]) == (9, 9), done.err
    found = read_csv(tmp_path / "b.csv")
    assert list(found[0])[:4] == ["id", "problem", "operation", "label"]
    (tmp_path / "own.jsonl").write_text(rows[0])
    done = annotate("export", "runs/own", "--to", "c.csv")
    assert done.code == 2 and "own.jsonl: not the rows of runs/own/train" in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_what_cannot_be_is_one_line(
    annotate: Annotate, tmp_path: Path, mine: list[dict[str, str]]
) -> None:
    before = (tmp_path / "rows.csv").read_bytes()
    for words, said in (
        (("mine", "--to", "a.csv", "--prompts", "data"), "stand where the run was started"),
        (("nobody", "--to", "a.csv"), "no finished run in nobody nor runs/nobody"),
        (("mine", "--to", "a.doc"), "--to a.doc: the ending says what is written"),
        (("mine", "--to", "rows.csv"), "--to rows.csv: this is a file of the run or of its rows"),
        (("mine", "--to", "a.parquet", "--escape-formulas"), "is no CSV"),
        (("mine", "--to", "hub:a/b/c"), "not a name on the hub"),
        (("mine", "--to", "a.csv", "--public"), "--public goes with --to hub:NAME"),
        (("mine",), "--to is missing"),
    ):
        done = annotate("export", *words)
        assert (done.code, done.out) == (2, ""), words
        assert said in done.err and len(done.err.strip().splitlines()) == 1, done.err
    assert (tmp_path / "rows.csv").read_bytes() == before
    assert not (tmp_path / "a.csv").exists()


def push(annotate: WarmProcess, folder: Path, *words: str, **environment: str) -> Done:
    """Export to the hub, as a program: what it is told by the environment is read once."""
    known = {"HF_HOME": str(folder / "hf"), "HF_HUB_DISABLE_XET": "1"}
    line = ("export", "mine", "--to", "hub:team/mine", *words)
    done = annotate.start(*line, cwd=folder, env=plain_environment(**known, **environment)).wait()
    return Done(code=done.returncode, out=done.stdout, err=done.stderr)


def test_the_hub_wants_a_token(
    warm_annotate: WarmProcess, tmp_path: Path, mine: list[dict[str, str]]
) -> None:
    done = push(warm_annotate, tmp_path, HF_TOKEN="", HF_ENDPOINT="http://127.0.0.1:9")
    assert (done.code, done.out) == (2, "")
    assert "no token of the Hugging Face hub: log in first" in done.err
    assert len(done.err.strip().splitlines()) == 1, done.err


async def test_a_table_is_pushed_to_the_hub(
    warm_annotate: WarmProcess, tmp_path: Path, mine: list[dict[str, str]]
) -> None:
    hub = FakeHub()
    hub.files["data/train-00000-of-00001.parquet"] = b"of an earlier push"
    hub.files["README.md"] = b"---\ntags: [stepdistill]\n---\n"
    async with TestServer(hub.application()) as server:
        address = {"HF_ENDPOINT": str(server.make_url("")).rstrip("/")}
        pushed = partial(push, warm_annotate, tmp_path, **address)
        refused = await asyncio.to_thread(pushed, HF_TOKEN="hf_secret")
        done = await asyncio.to_thread(pushed, HF_TOKEN="hf_known")
    assert refused.code == 2 and "the hub refused it (401): log in first" in refused.err
    assert "hf_secret" not in refused.err and len(refused.err.splitlines()) == 1
    assert done.code == 0, done.err
    assert (done.err, hub.commits) == ("", 1)
    assert hub.created["visibility"] == "private"
    head = yaml.safe_load(hub.files["README.md"].decode().split("---\n")[1])
    listed = {each["split"]: each["path"] for each in head["configs"][0]["data_files"]}
    assert {*listed.values()} == {*hub.files} - {"README.md"}
    frames = {
        split: PANDAS.read_parquet(io.BytesIO(hub.files[path])) for split, path in listed.items()
    }
    assert sum(map(len, frames.values())) == len(mine)
    assert set(frames["valid"]["rejected"]) == {"not_asked"}
    assert frames["train"]["label_2"].notna().any()
    gone = await asyncio.to_thread(pushed, HF_TOKEN="hf_known")
    assert gone.code == 2 and "the hub could not be reached, or did not take it" in gone.err


async def test_nothing_is_pushed_into_a_dataset_of_others(
    warm_annotate: WarmProcess, tmp_path: Path, mine: list[dict[str, str]]
) -> None:
    """Nor where others would see what is to be private."""
    hub = FakeHub()
    async with TestServer(hub.application()) as server:
        address = {"HF_ENDPOINT": str(server.make_url("")).rstrip("/"), "HF_TOKEN": "hf_known"}
        for is_private, card, words, said in (
            (False, "tags: [stepdistill]", (), "is there and public: change that"),
            (False, "{}", (), "in its settings, push with --public, or take another name"),
            (True, "tags: [stepdistill]", ("--public",), "is there and private: change that"),
            (True, "{}", ("--public",), "in its settings, push without --public, or take"),
            (True, "tags: [other]", (), "holds 2 files that no export pushed, such as README.md"),
            (True, "{}", (), "holds 2 files that no export pushed"),
        ):
            hub.is_private = is_private
            hub.files = {"README.md": f"---\n{card}\n---\n".encode(), "data/a.csv": b"a"}
            before = {**hub.files}
            done = await asyncio.to_thread(push, warm_annotate, tmp_path, *words, **address)
            assert (done.code, done.out) == (2, "") and said in done.err, done.err
            assert len(done.err.splitlines()) == 1
            assert hub.files == before
        hub.files = {".gitattributes": b"x"}
        done = await asyncio.to_thread(push, warm_annotate, tmp_path, **address)
        assert done.code == 0, done.err
    assert hub.commits == 1
