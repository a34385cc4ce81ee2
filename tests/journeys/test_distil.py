"""`stepdistill distil`: one command from a file to a student, stopped, gone on with, refused."""

import asyncio
import csv
import html
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from stepdistill.annotator.simulator.server import Simulator
from stepdistill.trainer.distil.journal import Entry, Journal
from tests.journeys.conftest import Done
from tests.warm import WarmProcess

STEPDISTILL = Path(sys.executable).parent / "stepdistill"
TEAMS = ("billing", "delivery", "returns")
SHORT = ("--student", "micro", "--steps", "4", "--test-size", "20")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Ninety messages that name their team."""
    path = tmp_path / "notes.csv"
    with path.open("w", newline="") as out:
        csv.writer(out).writerow(["message", "team"])
    add_messages(path, range(90))
    return path


def add_messages(file: Path, numbers: range) -> None:
    with file.open("a", newline="") as out:
        teams = [TEAMS[n % 3] for n in numbers]
        more = zip(numbers, teams, strict=True)
        csv.writer(out).writerows([f"Message {n} about {team}.", team] for n, team in more)


def world(home: Path) -> dict[str, str]:
    """No rank, no key, a cache of its own."""
    left_out = {"RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "OPENAI_API_KEY"}
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    return {**kept, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(home / "cache")}


Distil = Callable[..., Done]


@pytest.fixture
def distil(warm_stepdistill: WarmProcess) -> Distil:
    """Runs `stepdistill distil` on a file, in the file's folder."""

    def run(file: Path, *words: str) -> Done:
        line = ("distil", file.name, "--out", "runs/notes", *words)
        done = warm_stepdistill.start(*line, cwd=file.parent, env=world(file.parent)).wait()
        return Done(code=done.returncode, out=done.stdout, err=done.stderr)

    return run


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_whole_way_and_nothing_of_it_twice(distil: Distil, file: Path) -> None:
    words = ("--label", "team", "--teacher", "simulated", *SHORT, "--json")
    done = distil(file, *words)
    assert done.code == 0, done.err
    steps = done.json["steps"]
    assert list(steps) == ["new", "estimate", "experiment", "run", "train", "evaluate"]
    assert [line for line in done.err.splitlines() if len(line) > 80] == []
    home = file.parent / "runs" / "notes"
    page = html.unescape(re.sub(r"<[^>]+>", "", (home / "index.html").read_text()))
    for step in steps.values():
        assert step["command"][0] in ("annotate", "deepspeed", "stepdistill")
        assert step["found"] and all(line in page for line in step["found"])
    assert (home / "student" / "model" / "config.json").exists()

    before = {path: path.stat().st_mtime_ns for path in home.rglob("*.js*")}
    again = distil(file, *words)
    assert again.code == 0, again.err
    assert {step["remark"] for step in again.json["steps"].values()} == {"done before"}
    assert again.json["student"] == done.json["student"]
    assert {path: path.stat().st_mtime_ns for path in home.rglob("*.js*")} == before

    results = (home / "student" / "results.json").read_bytes()
    words = (*words, "--steps", "5")
    other = distil(file, *words)
    assert other.code == 0, other.err
    assert "runs/notes/student is of other options or answers" in other.err
    assert (home / "student-1" / "results.json").read_bytes() == results
    assert other.json["steps"]["run"]["remark"] == "done before"
    other = distil(file, *words, "--text", "message")
    assert other.code == 2 and "was made by other options" in other.err
    with file.open("a") as rows:
        rows.write("One more about returns.,returns\n")
    other = distil(file, *words)
    assert other.code == 2 and "other rows than notes.csv has now" in other.err


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_file_without_labels_makes_a_student_that_is_judged_by_its_teacher(
    distil: Distil, file: Path
) -> None:
    rows = file.read_text().splitlines()
    file.write_text("\n".join(row.partition(",")[0] for row in rows))
    words = ("--labels", ",".join(TEAMS), "--teacher", "simulated", *SHORT, "--json")
    done = distil(file, *words, "--baseline", "micro")
    assert done.code == 0, done.err
    steps = done.json["steps"]
    assert steps["baseline"]["found"][0].startswith("A classifier on `micro`, of labels alone: ")
    assert done.json["classifier"]["n"] == done.json["student"]["n"]
    assert "7/7  baseline" in done.err and "classifier" in (
        file.parent / "runs/notes/index.html"
    ).read_text("utf-8")
    assert steps["experiment"]["remark"] == "left out"
    assert "right is what the teacher says" in steps["evaluate"]["found"][-1]
    card = (file.parent / "runs/notes/student/model/README.md").read_text()
    assert "right is what the teacher says" in card


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_stopped_in_the_middle_it_goes_on(
    distil: Distil, file: Path, number: signal.Signals
) -> None:
    words = ("--label", "team", "--teacher", "simulated", *SHORT, "--json")
    command = [str(STEPDISTILL), "distil", file.name, "--out", "runs/notes", *words]
    home = file.parent
    with subprocess.Popen(
        command,
        cwd=home,
        env=world(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("$ annotate experiment"):
                break
        time.sleep(0.5)
        process.send_signal(number)
        told = process.stderr.read()
        code = process.wait()
    if number == signal.SIGTERM:
        assert code == 130 and "the same command goes on" in told
    while (done := distil(file, *words)).code == 2 and "is at work there" in done.err:
        time.sleep(0.5)  # what a killed one has started comes to its end
    assert done.code == 0, done.err
    assert done.json["steps"]["new"]["remark"] == "done before"
    assert "90 of 90 rows have a label" in " ".join(done.json["steps"]["run"]["found"])


@dataclass(frozen=True, slots=True)
class Bored:
    """A model whose every answer is the same."""

    def answer(self, body: Mapping[str, object]) -> str:
        return "Label: billing"


async def test_nothing_is_paid_unless_somebody_says_so(distil: Distil, file: Path) -> None:
    offer = "{valid_from: 2026-01-01, source: an offer, input: 1, output: 2}"
    (file.parent / "prices.yaml").write_text(f"models:\n  dear: [{offer}]\n")
    async with Simulator(Bored()) as server:
        words = ("--label", "team", "--teacher", "dear", "--base-url", server.base_url, *SHORT)
        done = await asyncio.to_thread(distil, file, *words, "--max-cost", "1")
        assert done.code == 2
        assert "--yes says so" in done.err
        assert "No more than 1 USD is spent in any case" in done.err
        assert not server.log.entries
        done = await asyncio.to_thread(distil, file, *words, "--yes")
        assert done.code == 2 and "--yes without --max-cost" in done.err
        # A rehearsal that nothing was paid for agrees to nothing.
        journal = Journal(file.parent / "runs" / "notes")
        rehearsed = Entry(words=["annotate", "experiment", "--teacher", "simulated"], inputs="")
        for step in ("experiment", "run"):
            journal.write(step, rehearsed)
        done = await asyncio.to_thread(distil, file, *words, "--max-cost", "1")
        assert done.code == 2 and "--yes says so" in done.err
        assert not server.log.entries


def started_asking(file: Path, *words: str) -> bool:
    """Whether a distil comes to its first question to the teacher; it is stopped there."""
    command = [str(STEPDISTILL), "distil", file.name, "--out", "runs/notes", *words]
    with subprocess.Popen(
        command,
        cwd=file.parent,
        env=world(file.parent),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        comes = any(line.startswith("$ annotate experiment") for line in process.stderr)
        time.sleep(0.5)  # until it is at work
        process.terminate()
        process.stderr.read()
    return comes


@pytest.mark.slow
async def test_what_was_agreed_to_is_not_asked_again(file: Path) -> None:
    offer = "{valid_from: 2026-01-01, source: an offer, input: 1, output: 2}"
    (file.parent / "prices.yaml").write_text(f"models:\n  dear: [{offer}]\n")
    async with Simulator(Bored()) as server:
        words = ("--label", "team", "--teacher", "dear", "--base-url", server.base_url, *SHORT)
        words = (*words, "--max-cost", "1")
        assert not await asyncio.to_thread(started_asking, file, *words)
        assert await asyncio.to_thread(started_asking, file, *words, "--yes")
        assert await asyncio.to_thread(started_asking, file, *words)
        assert not await asyncio.to_thread(started_asking, file, *words[:-1], "2")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--label", "mood"), "step new: notes.csv: no column mood"),
        (("--label", "team", "--labels", "a,b"), "--label and --labels exclude each other"),
        (("--label", "team", "--max-cost", "much"), "--max-cost much: US dollars, as 5 or 0.25"),
        (("--label", "team", "--gpu-hour", "2"), "--gpu-hour goes with --budget"),
        (
            ("--label", "team", "--budget", "2", "--max-cost", "1"),
            "--budget has the teacher's cost within it: leave out --max-cost",
        ),
        (("--label", "team", "--student", "no-such-folder"), "no-such-folder: cannot be loaded"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_asked(
    distil: Distil, file: Path, words: tuple[str, ...], line: str
) -> None:
    done = distil(file, "--teacher", "simulated", *SHORT, *words)
    assert done.code == 2
    assert line in done.err.splitlines()[-1]
    assert not (file.parent / "runs" / "store").exists()


def test_a_file_that_is_not_there_is_named(distil: Distil, file: Path) -> None:
    done = distil(file.with_name("none.csv"), "--teacher", "simulated", *SHORT)
    assert (done.code, done.err) == (2, "error: none.csv: no such file\n")


def test_folders_of_somebody_else_are_left_alone(distil: Distil, file: Path) -> None:
    mine = file.parent / "runs" / "notes" / "data" / "mine.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    done = distil(file, "--label", "team", "--teacher", "simulated", *SHORT)
    assert done.code == 2
    assert "runs/notes/data is there, and no distil has made it" in done.err
    assert mine.read_text() == "mine"


def test_a_broken_off_first_step_is_begun_anew(distil: Distil, file: Path) -> None:
    home = file.parent / "runs" / "notes"
    (home / "prompts" / "notes").mkdir(parents=True)
    begun = {"words": ["annotate", "new"], "inputs": "", "seconds": 0, "result": None}
    (home / "distil.json").write_text(json.dumps({"steps": {"new": begun}}))
    done = distil(file, "--label", "team", "--teacher", "dear", *SHORT)
    assert done.code == 2
    assert "prices.yaml" in done.err
    assert (home / "prompts" / "notes" / "task.yaml").exists()


@dataclass(frozen=True, slots=True)
class Knows:
    """A model that reads the team in a message, but for a share of the messages."""

    share: float
    efforts: set[object] = field(default_factory=set[object])  # that it was asked with

    def answer(self, body: Mapping[str, object]) -> str:
        self.efforts.add(body.get("reasoning_effort"))
        text = str(body["messages"]).rpartition("Message ")[2]
        number, team = int(text.split()[0]), text.split(" about ")[1].split(".")[0]
        is_right = (number * 7919) % 100 < 100 * self.share
        label = team if is_right else TEAMS[(TEAMS.index(team) + 1) % 3]
        return f"Label: {label}\nRationale: the message says in so many words what it is about."


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_a_budget_is_planned_kept_and_accounted_for(distil: Distil, file: Path) -> None:
    offers = {"small": (1, 2), "large": (4, 8)}
    lines = [
        f"  {name}: [{{valid_from: 2026-01-01, source: made up, input: {i}, output: {o}}}]"
        for name, (i, o) in offers.items()
    ]
    (file.parent / "prices.yaml").write_text("models:\n" + "\n".join(lines) + "\n")
    add_messages(file, range(90, 400))
    async with Simulator(Knows(0.6)) as small, Simulator(Knows(1.0)) as large:
        teachers = f"small@{small.base_url},large@{large.base_url}"
        words = ("--label", "team", "--teacher", teachers, "--student", "micro", "--steps", "60")
        words = (*words, "--gpu-hour", "6", "--target", "0.9", "--yes", "--json")
        done = await asyncio.to_thread(distil, file, *words, "--budget", "2")
        asked = [entry.digest for each in (small, large) for entry in each.log.entries]
        again = await asyncio.to_thread(distil, file, *words, "--budget", "2")
        assert len(asked) == len(set(asked))
        assert len(asked) == sum(len(each.log.entries) for each in (small, large))
        poor = await asyncio.to_thread(distil, file, *words, "--budget", "0.3")
    assert done.code == 0, done.err
    assert "2.0000 USD in all, and never more:" in done.err
    assert "`large` is bought" in done.err
    spent = {name: usd for name, _, usd in done.json["money"]}
    names = [*spent]
    assert names == ["choosing", "rows", "training", "all"]
    assert 0 < spent["choosing"] <= 0.3 and 0 < spent["training"] <= 0.5
    assert spent["all"] == pytest.approx(sum(spent[name] for name in names[:3]))
    assert spent["all"] <= 2
    page = (file.parent / "runs/notes/index.html").read_text("utf-8")
    assert "What the money was for" in page and 'src="frontier.svg"' in page
    assert "<p>large labelled the rows" in page
    if done.json.get("cascade") is not None:
        assert f"large@{large.base_url}" in done.json["steps"]["cascade"]["command"]
        assert "--defer --prompts runs/notes/prompts" in page
    assert again.code == 0, again.err
    assert again.json["money"] == done.json["money"]
    remarks = {name: step["remark"] for name, step in again.json["steps"].items()}
    assert {remarks[name] for name in ("new", "experiment", "run", "train")} == {"done before"}
    # Less than was spent already: what is there counts, and it stops with a line.
    assert poor.code in (2, 3) and "error: " in poor.err.splitlines()[-1]


async def test_a_race_that_its_part_does_not_pay_for_asks_nobody(
    distil: Distil, file: Path
) -> None:
    price = "[{valid_from: 2026-01-01, source: made up, input: 10, output: 40}]"
    (file.parent / "prices.yaml").write_text(f"models:\n  a: {price}\n  b: {price}\n")
    words = ("--label", "team", "--student", "micro", "--yes", "--json", "--budget", "0.5")
    async with Simulator(Knows(0.6)) as one, Simulator(Knows(1.0)) as other:
        teachers = f"a@{one.base_url},b@{other.base_url}"
        done = await asyncio.to_thread(distil, file, *words, "--teacher", teachers)
        assert not one.log.entries and not other.log.entries
    last = done.err.splitlines()[-1]
    assert done.code == 2 and "and 0.1000 are for that" in last and "--budget to" in last, last


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_one_teacher_may_be_named_with_address_and_effort(distil: Distil, file: Path) -> None:
    words = (*SHORT, "--label", "team", "--max-cost", "1", "--yes", "--json", "--target", "0.9")
    (file.parent / "prices.yaml").write_text(
        "models:\n  own: [{valid_from: 2026-01-01, source: made up, input: 1, output: 2}]\n"
    )
    async with Simulator(teacher := Knows(1.0)) as server:
        named = f"own@effort=low@{server.base_url}"
        done = await asyncio.to_thread(distil, file, *words, "--teacher", named)
        assert done.code == 0, done.err
        assert teacher.efforts == {"low"}
    page = (file.parent / "runs/notes/index.html").read_text("utf-8")
    assert "<p>own@effort=low labelled the rows" in page
    twice = await asyncio.to_thread(
        distil, file, *words, "--teacher", named, "--base-url", "http://h/v1"
    )
    assert twice.code == 2 and "not both" in twice.err


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_a_raised_budget_goes_on_from_what_was_bought(distil: Distil, file: Path) -> None:
    price = "[{valid_from: 2026-01-01, source: made up, input: 10, output: 40}]"
    (file.parent / "prices.yaml").write_text(f"models:\n  large: {price}\n")
    add_messages(file, range(90, 900))
    async with Simulator(Knows(1.0)) as large:
        words = ("--label", "team", "--teacher", "large", "--base-url", large.base_url)
        words = (*words, "--student", "micro", "--steps", "20", "--yes", "--json")
        # Too little to try templates, so that rows are the first that is bought.
        poorest = await asyncio.to_thread(distil, file, *words, "--budget", "0.9")
        poor = await asyncio.to_thread(distil, file, *words, "--budget", "2")
        richer = await asyncio.to_thread(distil, file, *words, "--budget", "4")
        n_asked = len(large.log.entries)
        again = await asyncio.to_thread(distil, file, *words, "--budget", "4")
        assert len(large.log.entries) == n_asked
        assert len({entry.digest for entry in large.log.entries}) == n_asked
    assert poorest.code == 0, poorest.err
    assert poor.code == 0, poor.err
    assert richer.code == 0, richer.err
    for done, budget_usd in ((poor, 2), (richer, 4)):
        money = {name: (planned, spent) for name, planned, spent in done.json["money"]}
        assert 0 < money["choosing"][1] <= money["choosing"][0]
        assert money["all"][1] <= budget_usd
    spent = {name: spent for name, _, spent in richer.json["money"]}
    assert spent["rows"] > {name: spent for name, _, spent in poor.json["money"]}["rows"]
    assert again.code == 0, again.err
    assert again.json["money"] == richer.json["money"]
