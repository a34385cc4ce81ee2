"""What a run did cost: as planned, by what it was for, to the last answer; on every screen."""

import csv
import html
import json
import shutil
import subprocess
import time
from io import StringIO
from pathlib import Path

import pytest

from stepdistill.annotator.dataset.demo import demo_rows
from tests.journeys.conftest import Annotate
from tests.journeys.money import demo_data, with_prices

# A phone's window with the page in it, and what a script of ours sees there.
PHONE = """<!doctype html><title>around</title>
<iframe style="width: 390px; height: 800px; border: 0" srcdoc="{page}"></iframe><p id="seen"></p>
<script>onload = () => {{
    const inner = document.querySelector("iframe").contentDocument;
    const {{ scrollWidth, clientWidth }} = inner.documentElement;
    document.getElementById("seen").textContent =
        [inner.title, inner.querySelector("h2").textContent, scrollWidth - clientWidth].join(" | ");
}}</script>"""
EVIL = "<script>document.title = 'taken over'</script>"


def next_second() -> None:
    """Wait for it: an answer knows the second in which it was asked, and so which run paid."""
    time.sleep(1.01)


@pytest.mark.parametrize(
    "rows", [300, pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(600)])]
)
def test_a_run_costs_what_was_estimated(annotate: Annotate, tmp_path: Path, rows: int) -> None:
    with_prices(tmp_path)
    words = ("demo", "--teacher", "simulated", "--data", demo_data(tmp_path, rows))
    before = annotate("estimate", *words, "--probe", "60", "--mix", "two-voices", "--json").json
    next_second()
    run = annotate("run", *words, "--mix", "two-voices", "--json").json
    done = annotate("report", "runs/demo", "--json")
    assert done.code == 0, done.err
    report = done.json

    assert report["paid_by_this_run_usd"] == pytest.approx(run["cost_usd"], abs=1e-6)
    assert report["paid_by_this_run_usd"] == pytest.approx(before["online_usd"]["likely"], rel=0.03)
    assert abs(report["difference"]) < 0.03
    assert report["saved_usd"] > 0  # what the probe had asked
    assert report["total"]["answers"] == report["rows"] == rows
    assert {each["template"] for each in report["accuracy_against_cost"]} == {
        "label-first",
        "reason-first",
    }
    for by in ("by_split", "by_template", "by_part", "by_mode"):
        parts = report[by].values()
        assert sum(each["usd"] for each in parts) == pytest.approx(report["total"]["usd"])
    assert report["usd_per"]["correct_label"] > report["usd_per"]["row"]
    (start,) = report["starts"]
    assert report["by_run"][report["run"]]["answers"] == start["asked"]
    assert (start["asked"], start["usd"]) == (run["asked"], pytest.approx(run["cost_usd"]))
    lines = list(csv.DictReader(StringIO(annotate("report", "runs/demo", "--csv", "-").out)))
    assert sum(float(line["usd"]) for line in lines) == pytest.approx(report["total"]["usd"])


def evil_rows(folder: Path) -> Path:
    """Rows whose problems are markup."""
    path = folder / "evil.jsonl"
    rows = [{**row, "problem": f"{EVIL} {row['problem']}"} for row in demo_rows("train", 20)]
    rows += [{**row, "operation": None} for row in rows[:3]]
    for number, row in enumerate(rows):
        row["id"] = f"{EVIL}{number}"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_page_is_whole_and_what_teachers_say_is_text(
    annotate: Annotate, tmp_path: Path
) -> None:
    with_prices(tmp_path)
    annotate("run", "demo", "--teacher", "simulated", "--data", evil_rows(tmp_path))
    done = annotate("report", "runs/demo", "--html", "cost.html")
    assert done.code == 0, done.err
    page = (tmp_path / "cost.html").read_text()

    assert "<script" not in page
    assert "http" not in page
    assert page.count("<svg") == page.count("</svg>") == 2
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium on this machine: the page was not opened in a browser")
    phone = tmp_path / "phone.html"
    phone.write_text(PHONE.format(page=html.escape(page)))
    flags = ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/profile")
    seen = subprocess.run(
        [chromium, *flags, "--dump-dom", phone.as_uri()],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    ).stdout
    # The title is ours, not that of a script in an answer; the page does not scroll sideways.
    assert 'id="seen">demo: what came of it, and what it cost | What to do now | 0<' in seen


def test_a_run_in_two_modes_is_told_apart(annotate: Annotate, tmp_path: Path) -> None:
    with_prices(tmp_path)
    words = ("run", "demo", "--teacher", "simulated", "--quiet")
    annotate(*words, "--samples", "20")
    annotate(*words, "--samples", "60", "--batch-api")
    report = annotate("report", "runs/demo", "--json").json

    assert report["by_mode"]["online"]["answers"] == 20
    assert report["by_mode"]["batch"]["answers"] == 40


def test_a_store_tells_of_every_run_and_of_each_answer_once(
    annotate: Annotate, tmp_path: Path
) -> None:
    with_prices(tmp_path)
    words = ("demo", "--teacher", "simulated", "--quiet")
    annotate("estimate", *words, "--samples", "50", "--probe", "20")
    next_second()
    study = annotate("experiment", *words, "--test-size", "20", "--html", "x.html", "--json").json
    alone = annotate("report", "runs/demo", "--json").json
    next_second()
    run = annotate("run", *words, "--samples", "50", "--json").json
    whole = annotate("report", "runs/store", "--json").json

    assert {each["kind"] for each in whole["runs"]} == {"probe", "experiment", "run"}
    paid = {each["kind"]: each["paid"] for each in whole["runs"]}
    assert alone["kind"] == "experiment"  # until there was a run, the folder had no other
    assert alone["rows"] == 60
    assert alone["by_template"].keys() == {"label-first", "reason-first", "plain-sentence"}
    assert alone["templates"]["label-first"]["accuracy"] == pytest.approx(
        next(each["accuracy"] for each in study["ranking"] if each["template"] == "label-first")
    )
    assert paid["experiment"]["usd"] == pytest.approx(study["cost_usd"])
    assert paid["run"]["usd"] == pytest.approx(run["cost_usd"])
    assert paid["run"]["answers"] == run["asked"]
    assert whole["total"]["answers"] == sum(each["answers"] for each in paid.values())

    seen = annotate("report", "runs/store", "--html", "store.html", "--csv", "store.csv")
    lines = list(csv.DictReader(StringIO((tmp_path / "store.csv").read_text())))
    assert sum(float(line["usd"]) for line in lines) == pytest.approx(whole["total"]["usd"])
    assert all(each["name"] in seen.out for each in whole["runs"])
    assert "<h1>What runs/store cost</h1>" in (tmp_path / "store.html").read_text()
    none = annotate("report", "runs/store", "--run", "x")
    assert (none.code, len(none.err.splitlines())) == (2, 1)


def test_both_folders_of_a_run_that_was_written_twice_can_be_reported(
    annotate: Annotate, tmp_path: Path
) -> None:
    with_prices(tmp_path)
    words = ("run", "demo", "--teacher", "simulated", "--samples", "10", "--prices", "prices.yaml")
    for out in ("one", "two", "one/again"):
        assert annotate(*words, "--out", out).code == 0
    reports = {out: annotate("report", out, "--json") for out in ("one", "two", "one/again/train")}
    for out, done in reports.items():
        assert done.code == 0, done.err
        assert done.json["out"] == str(tmp_path / out.removesuffix("/train"))
        assert done.json["total"]["answers"] == 10
    assert [len(done.json["starts"]) for done in reports.values()] == [3, 3, 3]


def test_what_cannot_be_reported_is_said_in_one_line(annotate: Annotate, tmp_path: Path) -> None:
    annotate("run", "demo", "--teacher", "simulated", "--samples", "3", "--quiet")
    (tmp_path / "elsewhere").mkdir()
    for words, said in (
        (("nowhere",), "nowhere: not there"),
        (("elsewhere",), "no run of --store runs/store wrote there"),
        (("runs/demo", "--store", "none"), "no store here"),
    ):
        done = annotate("report", *words)
        assert done.code == 2
        assert said in done.err
        assert len(done.err.splitlines()) == 1


def test_a_store_of_imported_answers_alone_is_reported(annotate: Annotate, tmp_path: Path) -> None:
    annotate("run", "demo", "--teacher", "simulated", "--samples", "5", "--quiet")
    annotate("store", "export", "answers.jsonl")
    assert annotate("store", "import", "answers.jsonl", "--store", "other").code == 0
    done = annotate("report", "other", "--json")

    assert done.code == 0, done.err
    assert done.json["by_run"]["(no run)"]["answers"] == 5
