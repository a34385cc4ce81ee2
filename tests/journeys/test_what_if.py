"""What other votes, templates, mixes, rates and sizes would have come to: nobody is asked, and runs
then come to that."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from stepdistill.annotator.store.answer import Usage
from stepdistill.annotator.store.response_store import ResponseStore
from tests.journeys.conftest import Annotate, write_mood
from tests.journeys.money import with_prices

RUN = ("run", "demo", "--teacher", "simulated", "--quiet")
APART = "label: {plain-sentence: 1.0}\nrationale: {reason-first: 1.0}\nseed: 1\n"


def named(found: dict[str, Any], name: str, part: str = "choices") -> dict[str, Any]:
    (one,) = [each for each in found[part] if each["name"] == name]
    return one


def what_if(annotate: Annotate, *words: str | Path, task: str = "demo") -> dict[str, Any]:
    done = annotate("what-if", task, *words, "--json")
    assert done.code == 0, done.err
    return done.json


def holds(interval: dict[str, float], truth: float) -> bool:
    return interval["low"] <= truth <= interval["high"]


def came_to(out: Path) -> tuple[int, float]:
    """Right labels and USD of a run's train shards."""
    manifest = json.loads((out / "train" / "manifest.json").read_text())
    shards = (out / "train").glob("shard-*.jsonl")
    records = [json.loads(line) for each in shards for line in each.read_text().splitlines()]
    return sum(each["label"] == each["gold"] for each in records), manifest["cost"]["usd"]


def answers_in(folder: Path) -> int:
    with ResponseStore.open(folder / "runs" / "store", write=False) as store:
        return len(store)


def test_it_is_what_a_run_then_comes_to(annotate: Annotate, tmp_path: Path) -> None:
    with_prices(tmp_path)
    annotate(*RUN, "--samples", "120", "--votes", "3")
    before = answers_in(tmp_path)
    words = ("--votes", "1,3,5", "--rows", "100,120,250", "--plot", "pictures/w.png")
    found = what_if(annotate, *words)
    assert answers_in(tmp_path) == before
    assert found["asked"] == 0
    assert [Path(each).suffix for each in found["plot"]] == [".png", ".svg"]
    assert (tmp_path / "pictures" / "w.svg").is_file()

    # Of the rows that are answered it says what runs without asking say, vote for vote.
    for votes in (1, 3):
        out = ("--out", f"runs/{votes}")
        annotate(*RUN, "--samples", "120", "--votes", str(votes), "--offline", *out)
        right, usd = came_to(tmp_path / "runs" / str(votes))
        told = named(found, f"label-first, {votes} vote{'s' if votes > 1 else ''}")
        assert told["accuracy"]["value"] == pytest.approx(right / 120)
        assert told["usd_a_row"]["value"] == pytest.approx(usd / 120, abs=1e-8)
        assert (told["judged_rows"], told["predicted"]) == (120, False)
    size = {each["rows"]: each for each in found["sizes"]}
    known = size[120]["right_labels"]
    assert known["low"] == known["high"] == right
    assert size[120]["usd"]["value"] == pytest.approx(usd, abs=1e-6)
    assert size[100]["requests"] == size[120]["requests"] == 0

    # Five votes are told from three, and more rows from fewer: before they are bought, by the very
    # command that is shown.
    five = named(found, "label-first, 5 votes")
    assert five["predicted"]
    assert five["to_pay_usd"]["value"] > 0
    (command,) = size[250]["command"]
    run = annotate(*command.split()[1:], "--quiet", "--json").json
    right, usd = came_to(tmp_path / "runs" / "demo")
    assert run["asked"] == size[250]["requests"] == 3 * 130
    assert holds(size[250]["right_labels"], right)
    assert holds(size[250]["usd"], usd)
    assert holds(size[250]["to_pay_usd"], run["cost_usd"])


def test_mixes_and_templates_of_some_rows_each(annotate: Annotate, tmp_path: Path) -> None:
    with_prices(tmp_path)
    annotate(*RUN, "--samples", "150", "--template", "label-first", "--out", "runs/a")
    annotate(*RUN, "--samples", "40", "--template", "reason-first", "--out", "runs/b")
    mixes = ("--mixes", "label-first:0.75+reason-first:0.25")
    words = (*mixes, "--templates", "reason-first", "--votes", "1,2")
    found = what_if(annotate, "--out", "runs/a", *words)
    mix = named(found, "label-first:0.75+reason-first:0.25, 1 vote")
    one, other = (named(found, f"{name}, 1 vote") for name in ("label-first", "reason-first"))
    for part in ("accuracy", "usd_a_row"):
        value = 0.75 * one[part]["value"] + 0.25 * other[part]["value"]
        assert mix[part]["value"] == pytest.approx(value)
    wide = other["accuracy"]["high"] - other["accuracy"]["low"]
    assert wide > 1.4 * (one["accuracy"]["high"] - one["accuracy"]["low"])
    assert other["judged_rows"] == 40
    assert other["against_base"] is not None
    assert one["against_base"] is None
    assert mix["command"][0].startswith("echo ")
    assert "--mix mix.yaml" in mix["command"][1]
    # Another choice is written beside the run, not in its place.
    assert f"--out {tmp_path / 'runs' / 'a'} " in f"{one['command'][0]} "
    assert f"--out {tmp_path / 'runs' / 'a'} " not in f"{other['command'][0]} "
    # The line that writes the mix's file is one that a run then reads.
    (tmp_path / "mix.yaml").write_text(mix["command"][0].split("'")[1])
    words = ("--mix", "mix.yaml", "--samples", "40", "--out", "runs/c", "--json")
    assert annotate(*RUN, *words).json["asked"] == 0
    untold = {(each["name"], each["why"]) for each in found["untold"]}
    assert ("reason-first, 2 votes", "one vote is stored") in untold
    assert {each["name"] for each in found["untold"]} >= {"label-first, 2 votes"}


def test_a_rate_saves_what_reasons_cost_apart(annotate: Annotate, tmp_path: Path) -> None:
    with_prices(tmp_path)
    (tmp_path / "apart.yaml").write_text(APART)
    words = ("--mix", "apart.yaml", "--samples", "120")
    annotate(*RUN, *words)
    found = what_if(annotate, "--rationale-rates", "0,0.25,0.5", "--votes", "1")
    all_of_them = named(found, "apart.yaml, 1 vote")
    for rate in (0.25, 0.5):
        told = named(found, f"apart.yaml, 1 vote, rate {rate:g}", "rates")
        out = ("--out", f"runs/{rate:g}", "--offline", "--rationale-rate", str(rate))
        annotate(*RUN, *words, *out)
        _, usd = came_to(tmp_path / "runs" / f"{rate:g}")
        assert told["usd_a_row"]["value"] == pytest.approx(usd / 120, rel=0.1)
        assert told["rationales"] == pytest.approx(rate, abs=0.01)
        assert told["accuracy"] == all_of_them["accuracy"]
    none = named(found, "apart.yaml, 1 vote, rate 0", "rates")
    assert none["usd_a_row"]["value"] < 0.6 * all_of_them["usd_a_row"]["value"]


def test_without_gold_it_says_how_often_answers_agree(annotate: Annotate, tmp_path: Path) -> None:
    write_mood(tmp_path, 60)
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    bare = "".join(json.dumps({**row, "label": None}) + "\n" for row in rows)
    (tmp_path / "rows.jsonl").write_text(bare)
    words = ("run", "mood", "--teacher", "simulated", "--data", "rows.jsonl", "--quiet")
    annotate(*words, "--votes", "3", "--template", "one", "--out", "runs/mood")
    found = what_if(annotate, task="mood")
    assert found["rows_with_gold"] == 0
    once, thrice = (named(found, f"one, {n}") for n in ("1 vote", "3 votes"))
    assert once["accuracy"] is None
    assert once["agreement"]["value"] > 0.5
    assert thrice["agreement"] is None  # all its answers are its own votes
    assert thrice["kept"]["value"] == 1
    assert any("gold" in each for each in found["remarks"])
    done = annotate("what-if", "mood")
    assert done.code == 0, done.err
    assert "agree %" in done.out


def test_what_is_wrong_is_one_line(annotate: Annotate, tmp_path: Path) -> None:
    write_mood(tmp_path, 20)
    empty = annotate("what-if", "mood")
    assert (empty.code, empty.err.count("\n")) == (2, 1)
    words = ("run", "mood", "--teacher", "simulated", "--data", "rows.jsonl", "--quiet")
    annotate(*words, "--template", "one", "--out", "runs/mood")
    shutil.copytree(tmp_path / "prompts" / "mood", tmp_path / "prompts" / "other")
    task = tmp_path / "prompts" / "other" / "task.yaml"
    task.write_text(task.read_text().replace("task: mood", "task: other"))
    for wrong, said in (
        (("other",), "no run of other"),
        (("mood", "--out", "runs/nowhere"), "no run"),
        (("mood", "--templates", "none"), "no template none"),
        (("mood", "--mixes", "one:0.5+odd:0.6"), "sum to 1.1"),
        (("mood", "--mixes", "one:x"), "is no share"),
        (("mood", "--votes", "9"), "whole numbers from 1 to 5"),
        (("mood", "--teacher", "nobody", "--data", "rows.jsonl"), "has no answer to these rows"),
        (("mood", "--run", "x", "--teacher", "simulated"), "none of"),
    ):
        done = annotate("what-if", *wrong)
        assert (done.code, done.err.count("\n")) == (2, 1), done.err
        assert said in done.err
        assert "Traceback" not in done.err
    free = annotate("what-if", "mood", "--plot", "w.png")  # a free teacher: tokens stand for money
    assert free.code == 0, free.err


def test_odd_answers_are_taken_as_a_run_takes_them(annotate: Annotate, tmp_path: Path) -> None:
    with_prices(tmp_path)
    annotate(*RUN, "--samples", "60", "--votes", "2")
    with ResponseStore.open(tmp_path / "runs" / "store", write=True) as store:
        with store.reading() as stored:
            answers = list(stored.answers())
        store.forget([key for key, _ in answers[:6]])
        lacking = Usage(is_whole=False)
        store.put([(key, each._replace(usage=lacking)) for key, each in answers[6:16]], [])
        store.put([(key, each._replace(text="Hm.")) for key, each in answers[16:26]], [])
    found = what_if(annotate, "--votes", "1,2,3")
    once, twice = (named(found, f"label-first, {n}") for n in ("1 vote", "2 votes"))
    annotate(*RUN, "--samples", "60", "--votes", "2", "--offline", "--out", "runs/again")
    right, _ = came_to(tmp_path / "runs" / "again")
    assert twice["known_rows"] == twice["judged_rows"] < once["judged_rows"] <= 60
    assert twice["accuracy"]["value"] == pytest.approx(right / twice["judged_rows"])
    assert once["kept"]["value"] < twice["kept"]["value"] <= 1
    assert named(found, "label-first, 3 votes")["kept"]["value"] >= twice["kept"]["value"] - 0.02
    assert any("without token counts" in each for each in found["remarks"])
    assert twice["usd_a_row"]["low"] > 0
    # Its first rows are not all known: there is no smaller size than all.
    assert [each["rows"] for each in found["sizes"]] == [1_200]
