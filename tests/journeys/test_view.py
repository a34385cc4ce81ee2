"""`annotate view` as its users have it: one line with an address, a page behind it, and an end."""

import json
import signal
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepdistill.annotator.store.response_store import ResponseStore
from tests.journeys.conftest import Annotate
from tests.journeys.viewing import HOSTILE, View, hostile_run, viewings


@pytest.fixture
def view(tmp_path: Path) -> Iterator[View]:
    """Starts `annotate view` with these words; every one is ended."""
    with viewings(tmp_path) as start:
        yield start


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_one_line_and_ends_when_it_is_told_to(
    annotate: Annotate, view: View, number: int
) -> None:
    annotate("run", "demo", "--teacher", "simulated", "--samples", "20")
    viewing = view("runs/demo")
    assert viewing.address.startswith("http://127.0.0.1:")
    assert len(viewing.token) > 20
    assert viewing.whole()["n"] == 20
    assert viewing.end(number) == (0, "")


def test_of_a_run_every_row_has_its_prompt_and_its_answer(annotate: Annotate, view: View) -> None:
    annotate(*("run", "demo", "--teacher", "simulated", "--samples", "40", "--votes", "3"))
    viewing = view("demo")
    page = viewing.whole()
    assert {"split", "label", "gold", "confidence", "disagrees"} <= page["facets"].keys()
    wrong = viewing.get("/api/rows?disagrees=teacher+/+gold")
    assert wrong["n"] == sum(not row["is_right"] for row in page["rows"])
    row = viewing.get("/api/rows/7")
    rendered = annotate(
        "prompts", "render", "demo", "--row", "7", "--teacher", "simulated", "--json"
    )
    (asked,) = [each for each in row["answers"] if each["part"] != "vote"]
    assert asked["messages"] == rendered.json["requests"][0]["body"]["messages"]
    assert asked["key"] == rendered.json["requests"][0]["key"]
    pieces = {each["is"]: each["text"] for each in asked["answer"]}
    assert pieces["label"] == row["label"]
    assert pieces["rationale"] == row["rationale"]
    assert len(row["answers"]) == 3
    counts = {value: n for value, n, _ in page["facets"]["disagrees"]}
    assert counts["vote / vote"] == sum(len(each["votes"]) > 1 for each in page["rows"])
    assert "template / template" not in counts  # only one was asked
    assert row["remarks"] == []


def test_what_other_templates_got_stands_beside(annotate: Annotate, view: View) -> None:
    more = ("--teacher", "simulated", "--samples", "30", "--out")
    annotate("run", "demo", "--template", "reason-first", *more, "other")
    annotate("run", "demo", "--template", "label-first", *more, "runs/demo")
    viewing = view("runs/demo")
    page = viewing.whole()
    counts = {value: n for value, n, _ in page["facets"]["disagrees"]}
    each = [viewing.get(f"/api/rows/{row['n']}") for row in page["rows"]]
    assert {other["template"] for row in each for other in row["others"]} == {"reason-first"}
    differ = sum(not row["others"][0]["agrees"] for row in each)
    assert counts.get("template / template", 0) == differ


def test_a_task_without_a_run_shows_what_its_store_has(annotate: Annotate, view: View) -> None:
    annotate(*("run", "demo", "--teacher", "simulated", "--samples", "20", "--out", "elsewhere"))
    viewing = view("demo", "--split", "train")
    page = viewing.whole()
    assert page["n"] == 20
    assert all(row["label"] for row in page["rows"])
    assert "Not written as shards" in viewing.get("/api/about")["remarks"][0]


def test_rejected_rows_have_their_texts_their_reason_and_their_request(
    annotate: Annotate, view: View
) -> None:
    annotate("run", "demo", "--teacher", "simulated", "--samples", "20")
    annotate("run", "demo", "--teacher", "simulated", "--samples", "30", "--offline")
    viewing = view("runs/demo/train")
    assert viewing.whole()["n"] == 30
    rejected = viewing.get("/api/rows?rejected=no_answer")
    assert [row["index"] for row in rejected["rows"]] == list(range(20, 30))
    row = viewing.get("/api/rows/25")
    assert row["input"][0][1]
    assert row["template"] == "label-first"
    assert row["answers"][0]["messages"]
    assert "answer" not in row["answers"][0]


def test_label_and_rationale_of_two_templates_stand_apart_and_are_compared(
    annotate: Annotate, view: View, tmp_path: Path
) -> None:
    mix = "seed: 1\nlabel: {label-first: 1.0}\nrationale: {reason-first: 1.0}\n"
    (tmp_path / "two.yaml").write_text(mix, encoding="utf-8")
    asked = ("run", "demo", "--teacher", "simulated", "--samples", "40")
    annotate(*asked, "--mix", tmp_path / "two.yaml")
    viewing = view("runs/demo")
    viewing.whole()
    row = viewing.get("/api/rows/0")
    assert [each["part"] for each in row["answers"]] == ["label", "rationale"]
    assert row["template"] == "label-first + reason-first"
    assert row["others"] == []
    rows = [viewing.get(f"/api/rows/{n}")["answers"] for n in range(40)]
    differ = sum(label["label"] != reasons["label"] for label, reasons in rows)
    assert viewing.get("/api/rows?disagrees=template+/+template")["n"] == differ


def test_prompts_that_have_changed_are_not_shown_as_what_was_sent(
    annotate: Annotate, view: View, tmp_path: Path
) -> None:
    hostile_run(annotate, tmp_path)
    templates = tmp_path / "prompts/mood/templates.yaml"
    templates.write_text(templates.read_text(encoding="utf-8").replace("Joyful or", "Glad or"))
    viewing = view("runs/mood")
    viewing.whole()
    row = viewing.get("/api/rows/0")
    assert "no longer what was sent" in row["remarks"][0]
    assert "messages" not in row["answers"][0]
    assert "".join(each["text"] for each in row["answers"][0]["answer"])


def test_a_run_that_was_stopped_is_looked_at_through_its_store(
    annotate: Annotate, view: View, tmp_path: Path
) -> None:
    annotate("run", "demo", "--teacher", "simulated", "--samples", "20")
    (tmp_path / "runs/demo/train/manifest.json").unlink()
    viewing = view("runs/demo")
    assert viewing.whole()["n"] == 20
    assert viewing.get("/api/rows/3")["answers"][0]["messages"]


def test_a_split_that_is_not_written_yet_stands_beside_the_one_that_is(
    annotate: Annotate, view: View, tmp_path: Path
) -> None:
    asked = ("run", "demo", "--teacher", "simulated", "--samples", "20", "--split", "train,test")
    annotate(*asked)
    (tmp_path / "runs/demo/test/manifest.json").unlink()
    viewing = view("runs/demo")
    page = viewing.whole()
    assert page["facets"]["split"] == [["train", 20, False], ["test", 20, False]]
    assert "Split test is not written" in viewing.get("/api/about")["remarks"][0]
    assert view("runs/demo", "--split", "train").whole()["n"] == 20


def test_what_the_store_learns_later_is_compared_later(annotate: Annotate, view: View) -> None:
    asked = ("run", "demo", "--teacher", "simulated", "--samples", "40", "--out")
    annotate(*asked, "runs/demo", "--template", "label-first")
    first = view("runs/demo")
    known = [value for value, _, _ in first.whole()["facets"]["disagrees"]]
    assert "template / template" not in known
    first.end()
    annotate(*asked, "other", "--template", "reason-first")
    page = view("runs/demo").whole()
    counts = {value: n for value, n, _ in page["facets"]["disagrees"]}
    assert counts["template / template"] > 0
    assert page["compared"] == 40


def test_rows_are_looked_at_while_a_run_goes_on(annotate: Annotate, view: View) -> None:
    annotate("run", "demo", "--teacher", "simulated", "--samples", "20")
    viewing = view("demo")
    done = annotate("run", "demo", "--teacher", "simulated", "--samples", "60")
    assert done.code == 0, done.err
    assert viewing.whole()["state"] in ("done", "failed")
    assert viewing.end()[0] == 0
    again = view()
    assert again.whole()["n"] == 60


def test_shards_that_are_written_anew_under_it_are_a_line(
    annotate: Annotate, view: View, tmp_path: Path
) -> None:
    annotate("run", "demo", "--teacher", "simulated", "--samples", "20")
    viewing = view("runs/demo")
    viewing.whole()
    (tmp_path / "runs/demo/train/shard-00000.jsonl").write_bytes(b"{}\n")
    with pytest.raises(urllib.error.HTTPError) as refused:
        viewing.get("/api/rows/3")
    assert b"was written anew" in refused.value.read()
    assert viewing.end()[0] == 0


def test_a_store_shows_its_answers(annotate: Annotate, view: View) -> None:
    annotate("run", "demo", "--teacher", "simulated", "--samples", "20")
    viewing = view("runs/store")
    assert viewing.whole()["n"] == 20
    assert viewing.get("/api/rows/3")["answers"][0]["answer"]


def test_a_run_without_its_store_or_its_prompts_is_shown_all_the_same(
    annotate: Annotate, view: View, tmp_path: Path
) -> None:
    annotate("run", "demo", "--teacher", "simulated", "--samples", "20")
    viewing = view("runs/demo", "--store", "nowhere")
    assert viewing.whole()["n"] == 20
    row = viewing.get("/api/rows/3")
    assert row["label"]
    assert row["answers"][0]["messages"]
    assert "there is no store" in row["remarks"][0]


def test_a_student_stands_beside_its_teacher(
    annotate: Annotate, view: View, tmp_path: Path
) -> None:
    annotate("run", "demo", "--teacher", "simulated", "--samples", "20")
    shard = (tmp_path / "runs/demo/train/shard-00000.jsonl").read_text(encoding="utf-8")
    records = [json.loads(line) for line in shard.splitlines()]
    said = [{"id": each["id"], "label": "addition", "probability": 0.9} for each in records]
    lines = "".join(json.dumps(each) + "\n" for each in said)
    (tmp_path / "said.jsonl").write_text(lines, encoding="utf-8")
    viewing = view("runs/demo", "--predictions", "said.jsonl")
    viewing.whole()
    differs = viewing.get("/api/rows?disagrees=teacher+/+student")
    assert differs["n"] == sum(each["label"] != "addition" for each in records)
    assert viewing.get("/api/rows?student=addition")["n"] == 20


def test_nothing_to_look_at_is_one_line(annotate: Annotate, tmp_path: Path) -> None:
    for words in ((), ("demo",), ("nowhere/at/all",), ("runs/demo", "--predictions", "none")):
        done = annotate("view", "--no-browser", *words)
        assert done.code == 2, words
        assert done.out == ""
        assert len(done.err.splitlines()) == 1
        assert done.err.startswith("annotate: ")
    assert "annotate run demo --teacher simulated" in annotate("view", "--no-browser").err


def test_a_hostile_run_is_text(annotate: Annotate, view: View, tmp_path: Path) -> None:
    hostile_run(annotate, tmp_path)
    viewing = view("runs/mood")
    page = viewing.whole()
    assert page["n"] == len(HOSTILE) + 1
    assert viewing.get("/api/rows?q=onerror")["n"] == 1
    long = viewing.get(f"/api/rows/{len(HOSTILE)}")
    assert len(long["input"][0][1]) == 1 << 20
    assert len(json.dumps(page)) < 50_000
    text = json.dumps([page, viewing.get("/api/rows/2")], ensure_ascii=False)
    assert not any(letter in text for letter in "\u202e\u2069\x1b\x07")


def test_the_index_is_taken_up_again_and_the_store_stays_as_it_was(
    annotate: Annotate, view: View, tmp_path: Path
) -> None:
    annotate("run", "demo", "--teacher", "simulated", "--samples", "20")
    before = (tmp_path / "runs/store/data.mdb").read_bytes()
    for _ in range(2):
        viewing = view("runs/demo")
        viewing.whole()
        viewing.end()
    assert len(list((tmp_path / "index").glob("*.sqlite"))) == 1
    assert (tmp_path / "runs/store/data.mdb").read_bytes() == before
    with (
        ResponseStore.open(tmp_path / "runs/store", write=False) as store,
        store.reading() as stored,
    ):
        assert sum(1 for _ in stored.answers()) == 20


def test_two_ways_of_reading_stand_side_by_side(
    annotate: Annotate, view: View, real_data: Path
) -> None:
    annotate("import-original", real_data, "--prompts", "p", "--store", "s")
    where = ("--prompts", "p", "--store", "s", "--data", real_data / "datasets" / "anli1")
    annotate(
        *("run", "anli1", "--split", "test", "--teacher", "gpt-3.5-turbo", "--template", "100"),
        *("--samples", "300", "--offline", "--out", "o", *where),
    )
    viewing = view("o", *where)
    viewing.whole()
    differ = viewing.get("/api/rows?disagrees=reader+/+reader")
    assert differ["n"] > 0
    for row in differ["rows"]:
        (asked, *_) = viewing.get(f"/api/rows/{row['n']}")["answers"]
        assert asked["otherwise"]["reader"] == "original"
        assert asked["otherwise"]["label"] != asked["label"]
        assert asked["messages"]
        assert any(each["is"] == "label" for each in asked["answer"])
