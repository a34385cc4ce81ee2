"""`cascade`, and `predict --defer` by it: a promise or the reason for none, a teacher that is asked
for the rest alone, within its ceiling, and never twice."""

import asyncio
import csv
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer

try:
    from stepdistill.annotator.simulator.server import Simulator
except ModuleNotFoundError:  # the trainer alone
    pytest.skip("there is no annotator to ask a teacher", allow_module_level=True)
from stepdistill.common.own_command import run_command
from stepdistill.common.shards import read_manifest, read_records
from stepdistill.common.task import LabelSpec
from stepdistill.trainer.inference.predictor import Predictor
from stepdistill.trainer.inference.serve import PredictHandler
from stepdistill.trainer.inference.served_cascade import ServedCascade
from stepdistill.trainer.main import main
from stepdistill.trainer.settings.cascade import DeferringServeSettings
from stepdistill.trainer.settings.train import TrainSettings
from tests.trainer.made_rows import CLASSES, word_problems, write_split

PRICES = """
models:
  priced: [{valid_from: 2026-01-01, source: made up, input: 1, output: 4}]
"""
TASK = """
task: word-problems
fields: {story: story, question: question}
label: {kind: classes, classes: {addition: {}, subtraction: {}, multiplication: {}, division: {}}}
gold: operation
student: {input: "{story} {question}"}
"""
TEMPLATES = """
templates:
- {id: t1, user: "{story} {question} Which operation? Label: and then Rationale:"}
"""
# One request's worst case, and what some ten cost really.
LOW = "0.0035"
Run = Callable[..., tuple[int, str, str]]


@dataclass(slots=True)
class Adder:
    """A teacher that says one word, whatever it is asked; of rows that say so nothing readable."""

    asked: int = 0

    def answer(self, body: Mapping[str, object]) -> str:
        self.asked += 1
        if "unreadable" in str(body):
            return "I would rather not say."
        return "Label: addition\nRationale: The two numbers are put together, so they are added."


@pytest.fixture
def home(finished: TrainSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the student, prompts, prices and a priced teacher's shards of new rows."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished.output, tmp_path / "run")
    (tmp_path / "prices.yaml").write_text(PRICES)
    task = tmp_path / "prompts" / "word-problems"
    (task / "mixes").mkdir(parents=True)
    (task / "task.yaml").write_text(TASK)
    (task / "templates.yaml").write_text(TEMPLATES)
    by("priced", write_split(tmp_path / "valid", word_problems("more", 200)))
    return tmp_path


def by(teacher: str, folder: Path, **other: Any) -> Path:
    """The shards as those of this teacher."""
    manifest = read_manifest(folder)
    changed = {"teacher": manifest.teacher.model_copy(update={"model": teacher}), **other}
    (folder / "manifest.json").write_text(manifest.model_copy(update=changed).model_dump_json())
    return folder


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Calls `stepdistill` with these words."""

    def call(*words: object) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main([str(word) for word in words])
        sys.stdout.flush()
        shown = capfd.readouterr()
        return code, shown.out, shown.err

    return call


def cascade(run: Run, *words: object, target: object = 0.7) -> tuple[int, str, str]:
    line = ("cascade", "run/model", "--teacher", "priced", "--quiet", "--target", target)
    return run(*line, *([] if "--valid" in words else ["--valid", "valid"]), *words)


def test_it_finds_a_threshold_and_says_what_is_promised(home: Path, run: Run) -> None:
    code, out, err = cascade(run, "--json")
    assert code == 0, err
    found = orjson.loads(out)
    assert {"threshold", "deferred", "guarantee", "cost", "temperature"} <= found.keys()
    made = found["guarantee"]
    assert (made["promise"], made["target"], made["risk"]) == ("system", 0.7, 0.05)
    assert made["rows"] + made["tuning_rows"] == 200
    assert made["p_value"] <= made["level"] == 0.05
    assert (made["right_is"], made["looks"]) == ("gold", 1)
    assert 0 < found["deferred"] <= 1 and found["template"] == "t1"
    assert found["cost"] == {"usd_per_1000": None, "teacher_usd_per_1000": None}
    assert (home / "run" / "model" / "cascade.json").exists()
    code, told, _ = cascade(run)
    assert "Of all answers" not in told and "at least 70.0% are right" in told
    assert max(map(len, told.splitlines())) <= 100


def test_of_no_gold_label_the_promise_is_about_the_teacher(home: Path, run: Run) -> None:
    from dataclasses import replace

    rows = [replace(row, gold=None) for row in word_problems("silent", 200)]
    by("priced", write_split(home / "silent", rows))
    code, out, err = cascade(run, "--valid", "silent", "--json", target=0.95)
    assert code == 0, err
    found = orjson.loads(out)
    assert found["guarantee"]["right_is"] == "teacher"
    assert "no row has a gold label" in found["remarks"][0]


def test_what_cannot_be_promised_is_said_in_one_line(home: Path, run: Run) -> None:
    code, out, err = cascade(run, target=0.99)
    assert (code, out) == (2, "")
    assert err.startswith("error: no threshold keeps --target 0.99 at --risk 0.05 by these 1")
    assert "is within reach" in err and "the teacher itself is right on" in err
    assert err.count("\n") == 1
    assert not (home / "run" / "model" / "cascade.json").exists()
    few = by("priced", write_split(home / "few", word_problems("few", 30, noise=0.0)))
    code, _, err = cascade(run, "--valid", few, target=0.95)
    assert code == 2 and "validation rows would do" in err
    one = by("priced", write_split(home / "one", word_problems("one", 1)))
    assert cascade(run, "--valid", one)[0] == 2


def test_rows_that_it_may_not_be_found_by_are_refused(home: Path, run: Run) -> None:
    data = orjson.loads((home / "run" / "results.json").read_bytes())["config"]
    by_default = run("cascade", "run/model", "--teacher", "simulated", "--target", 0.5, "--quiet")
    assert "these rows chose the student among 2 checkpoints" in by_default[1] + by_default[2] or (
        by_default[0] == 2 and "rows" in by_default[2]
    )
    learnt = run(*("cascade", "run/model", "--teacher", "simulated", "--valid", data["train"][0]))
    assert learnt[0] == 2 and "has learnt from these rows" in learnt[2]
    other = cascade(run, "--teacher", "another")
    assert other[0] == 2 and "are priced's" in other[2]
    texts = LabelSpec(kind="text")
    by("priced", write_split(home / "texts", word_problems("texts", 40), label=texts))
    assert cascade(run, "--valid", "texts")[0] == 2


def test_rows_without_a_label_count_as_wrong(home: Path, run: Run) -> None:
    manifest = read_manifest(home / "valid")
    counts = manifest.counts.model_copy(update={"rows": 300, "rejected": {"refused": 100}})
    by("priced", home / "valid", counts=counts)
    code, _, err = cascade(run)
    assert code == 2, "a third of the rows is right by nobody"
    code, out, err = cascade(run, "--json", target=0.5)
    assert code == 0, err
    assert orjson.loads(out)["guarantee"]["unlabelled"] == 100


def write_rows(path: Path, n: int, *, unreadable: int = 0) -> list[dict[str, str]]:
    rows = [
        {"id": f"0{number // 2}", **problem.input, "note": f'"{number}"'}
        for number, problem in enumerate(word_problems("asked", n))
    ]
    for row in rows[:unreadable]:
        row["question"] = f"This is unreadable. {row['question']}"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return rows


def answered(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def set_threshold(home: Path, threshold: float) -> None:
    """As if that had been found: what comes of it is another question."""
    path = home / "run" / "model" / "cascade.json"
    rule = orjson.loads(path.read_bytes())
    path.write_bytes(orjson.dumps({**rule, "threshold": threshold}))


def median_probability(run: Run) -> float:
    out = run("predict", "run/model", "rows.csv", "--quiet")[1]
    found = sorted(orjson.loads(line)["probability"] for line in out.splitlines())
    return found[len(found) // 2]


async def test_the_teacher_is_asked_for_the_rest_alone_and_the_books_agree(
    home: Path, run: Run
) -> None:
    given = write_rows(home / "rows.csv", 40)
    assert cascade(run)[0] == 0
    teacher = Adder()
    async with Simulator(teacher) as server:
        line = ["predict", "run/model", "rows.csv", "--to", "out.csv", "--defer", "--explain"]
        line += ["--base-url", server.base_url, "--max-cost", "5"]
        code, _, err = await asyncio.to_thread(run, *line)
        assert code == 0, err
        found = answered(home / "out.csv")
        assert [{name: row[name] for name in given[0]} for row in found] == given
        theirs = [row for row in found if row["answered_by"] == "teacher"]
        own = [row for row in found if row["answered_by"] == "student"]
        assert len(theirs) + len(own) == 40 and theirs
        assert {(row["label"], row["probability"]) for row in theirs} == {("addition", "")}
        assert all("are put together" in row["rationale"] for row in theirs)
        assert all(row["label"] in CLASSES and row["probability"] for row in own)
        # Its books are ours: a request for each deferred row, at the price of its tokens.
        assert teacher.asked == len(theirs)
        [shards] = (home / "out.csv.deferred" / "shards").iterdir()
        manifest = read_manifest(shards)
        usd = sum(
            (entry.outcome.prompt_tokens * 1 + entry.outcome.completion_tokens * 4) / 1e6
            for entry in server.log.entries
        )
        assert manifest.cost.usd == pytest.approx(usd, abs=1e-6)
        assert f"for {usd:.4f} USD: {usd / 40 * 1000:.4f} for 1,000 rows" in err
        # What was deferred are rows to learn from.
        learnt = list(read_records(shards, manifest))
        assert [row.input["story"] for row in learnt] == [row["story"] for row in theirs]
        assert str(shards.relative_to(home)) in err
        again = await asyncio.to_thread(run, *line)
        assert again[0] == 0 and "nothing to do" in again[2]
        other = [word if word != "out.csv" else "other.jsonl" for word in line]
        assert (await asyncio.to_thread(run, *other))[0] == 0
        assert teacher.asked == len(theirs)


def test_rows_unlike_the_validation_rows_are_told_with_what_changed(home: Path, run: Run) -> None:
    assert cascade(run)[0] == 0
    set_threshold(home, 0.0)  # nobody is asked
    line = ("predict", "run/model", "rows.csv", "--defer", "--to")
    write_rows(home / "rows.csv", 150)
    code, _, err = run(*line, "before.csv")
    assert code == 0 and "DRIFT" not in err, err
    header, first, *_ = (home / "rows.csv").read_text().splitlines()
    (home / "rows.csv").write_text("\n".join([header, *[first] * 150]))
    code, _, err = run(*line, "out.csv")
    assert code == 0 and "% of these rows have a confidence below" in err.partition("DRIFT: ")[2]


@pytest.mark.slow
async def test_where_the_teacher_stops_it_goes_on(home: Path, run: Run) -> None:
    write_rows(home / "rows.csv", 30, unreadable=3)
    assert cascade(run)[0] == 0
    set_threshold(home, 1.01)
    teacher = Adder()
    async with Simulator(teacher) as server:
        line = ["predict", "run/model", "rows.csv", "--to", "out.csv", "--defer"]
        line += ["--base-url", server.base_url]
        low = await asyncio.to_thread(run, *line, "--max-cost", LOW)
        assert low[0] == 3 and "the same command goes on" in low[2]
        assert not (home / "out.csv").exists()
        before = teacher.asked
        assert 0 < before < 30
        some = await asyncio.to_thread(run, *line, "--max-cost", LOW, "--fall-back")
        assert some[0] == 3 and "student's own answers stand" in some[2], some[2]
        found = [row["answered_by"] for row in answered(home / "out.csv")]
        assert found.count("teacher") <= before and "student_unsure" in found
        assert teacher.asked == before
        whole = await asyncio.to_thread(run, *line, "--max-cost", "5", "--fall-back")
        assert whole[0] == 0, whole[2]
        found = [row["answered_by"] for row in answered(home / "out.csv")]
        assert found == ["student_unsure"] * 3 + ["teacher"] * 27
        assert "3 rows have the student's own answer though it is unsure" in whole[2]
        assert teacher.asked == 30
    # And where nobody is there any more.
    write_rows(home / "new.csv", 45)
    gone = [*line[:2], "new.csv", "--to", "new-out.csv", *line[5:]]
    code, _, err = await asyncio.to_thread(run, *gone)
    assert code == 3 and "the teacher was not asked for all" in err, err
    assert not (home / "new-out.csv").exists()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ctranslate2", "onnx"])
async def test_an_export_asks_its_teacher_by_a_rule_of_its_own(
    home: Path, run: Run, kind: str
) -> None:
    code, _, err = run("export", "run/model", "--to", kind, "--output", "exported")
    assert code == 0, err
    words = ("exported", "--teacher", "priced", "--target", "0.7", "--valid", "valid", "--quiet")
    code, _, err = run("cascade", *words)
    assert code == 0, err
    write_rows(home / "rows.csv", 12)
    async with Simulator(teacher := Adder()) as server:
        line = ["predict", "exported", "rows.csv", "--to", "out.csv", "--defer"]
        code, _, err = await asyncio.to_thread(run, *line, "--base-url", server.base_url)
    assert code == 0, err
    by = [row["answered_by"] for row in answered(home / "out.csv")]
    assert by.count("teacher") == teacher.asked > 0 and len(by) == 12


def test_what_does_not_go_together_is_refused(home: Path, run: Run) -> None:
    write_rows(home / "rows.csv", 4)
    for words, message in (
        (["--defer"], "--defer needs --to or --output"),
        (["--to", "o.csv", "--defer"], "run/model/cascade.json is not there"),
        (["--to", "o.csv", "--max-cost", "5"], "--max-cost goes with --defer"),
        (["--to", "o.csv", "--fall-back"], "--fall-back goes with --defer"),
        (["--to", "o.csv", "--defer", "--abstain-below", "0.5"], "exclude each other"),
    ):
        code, _, err = run("predict", "run/model", "rows.csv", *words)
        assert code == 2 and message in err, err
    assert cascade(run)[0] == 0
    (home / "text.jsonl").write_text('{"input": "two and two"}\n')
    code, _, err = run("predict", "run/model", "text.jsonl", "--to", "o.csv", "--defer")
    assert code == 2 and "the teacher is asked with the fields story, question" in err
    (home / "run" / "model" / "config.json").write_text("{}")
    code, _, err = run("predict", "run/model", "rows.csv", "--to", "o.csv", "--defer")
    assert code == 2 and "is of another student" in err


async def test_a_server_says_who_answered_and_keeps_what_it_asked(home: Path, run: Run) -> None:
    assert cascade(run)[0] == 0
    set_threshold(home, 1.01)
    rows = write_rows(home / "rows.csv", 3, unreadable=1)
    teacher = Adder()
    async with Simulator(teacher) as simulator:
        settings = DeferringServeSettings(
            model=Path("run/model"),
            defer=True,
            base_url=(simulator.base_url,),
            max_cost="5",
            defer_timeout_s=300,
        )
        served = ServedCascade(settings)
        server = TestServer(PredictHandler(Predictor(settings.model), 4, served).application())
        async with server, ClientSession() as session:
            url = server.make_url("/predict")
            bodies = [{"rows": [row]} for row in (*rows, *rows)]
            asked = [await session.post(url, json=bodies[0])]
            asked += await asyncio.gather(*(session.post(url, json=each) for each in bodies[1:]))
            found = [(await each.json())["answers"][0] for each in asked]
            bare = await session.post(url, json={"rows": [{"input": "alone"}]})
            about = (await (await session.get(server.make_url("/"))).json())["cascade"]
            told = await (await session.get(server.make_url("/metrics"))).text()
    assert teacher.asked == 3  # though each was asked for twice
    by_whom = ["student_unsure", "teacher", "teacher"]
    assert [each["answered_by"] for each in found] == by_whom * 2
    assert found[0]["why"] == "no_verdict" and isinstance(found[0]["probability"], float)
    assert found[1]["label"] == "addition" and found[1]["probability"] is None
    assert bare.status == 400
    assert about["answered_by"] == {"student": 0, "teacher": 4, "student_unsure": 2}
    assert about["usd"] > 0 and about["failure"] is None and about["drift"] is None
    assert 'stepdistill_answers_total{by="teacher"} 4.0' in told
    kept = (home / "run" / "deferred" / "rows.jsonl").read_bytes().splitlines()
    assert [orjson.loads(line)["story"] for line in kept] == [row["story"] for row in rows]
    # One command makes rows to learn from of them, and asks for nothing again.
    done = await asyncio.to_thread(run_command, [*served.queue.command(), "--offline"], print)
    assert done.code == 0, done.last_words
    assert read_manifest(home / "run" / "deferred" / "shards" / "deferred").counts.records == 2


async def test_a_server_answers_itself_where_its_teacher_is_gone(home: Path, run: Run) -> None:
    assert cascade(run)[0] == 0
    set_threshold(home, 1.01)
    rows = write_rows(home / "rows.csv", 3)
    settings = DeferringServeSettings(
        model=Path("run/model"),
        defer=True,
        base_url=("http://127.0.0.1:9/v1",),
        max_cost="5",
        defer_timeout_s=1.0,
    )
    served = ServedCascade(settings)
    server = TestServer(PredictHandler(Predictor(settings.model), 4, served).application())
    async with server, ClientSession() as session:
        began = time.monotonic()
        answer = await session.post(server.make_url("/predict"), json={"rows": rows})
        found = (await answer.json())["answers"]
        assert time.monotonic() - began < 5
    assert {(each["answered_by"], each["why"]) for each in found} == {("student_unsure", "late")}
    assert {each["label"] for each in found} <= set(CLASSES)
