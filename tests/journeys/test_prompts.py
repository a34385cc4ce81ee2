"""`annotate prompts`: what is shown is what a run sends, and what is wrong is said beforehand."""

import asyncio
import json
from pathlib import Path

import pytest

from stepdistill.annotator.simulator.wire import body_digest
from tests.journeys.conftest import Annotate
from tests.journeys.test_row_to_shard import simulator

TASK = """\
task: tiny
fields: {text: text}
label: {kind: classes, classes: {good: {}, bad: {}}}
gold: label
student: {input: "{text}"}
"""
TEMPLATES = """\
templates:
  - {id: fair, user: "Good or bad? {text}"}
  - {id: told, user: "Why is {text} {label}?"}
"""
ROWS = '{"text": "fine", "label": "good"}\n{"text": "poor", "label": "bad"}\n'


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A task with a template that gives the answer away."""
    folder = tmp_path / "prompts" / "tiny"
    folder.mkdir(parents=True)
    (folder / "task.yaml").write_text(TASK)
    (folder / "templates.yaml").write_text(TEMPLATES)
    (tmp_path / "rows.jsonl").write_text(ROWS)
    return tmp_path


async def test_a_rendered_body_is_what_the_teacher_gets_byte_for_byte(
    annotate: Annotate, tmp_path: Path
) -> None:
    rows, mix = 6, ("--mix", "two-voices")
    async with simulator(tmp_path) as teacher:
        where = ("--teacher", "t", "--base-url", teacher.base_url)
        words = ("demo", *where, *mix, "--samples", str(rows))
        before = await asyncio.to_thread(annotate, "prompts", "render", *words, "--json")
        assert "not asked yet" in before.json["requests"][0]["stored"]
        assert not teacher.log.entries
        ran = await asyncio.to_thread(annotate, "run", *words)
        assert ran.code == 0, ran.err
        rendered = [
            await asyncio.to_thread(
                annotate, "prompts", "render", *words, "--row", str(row), "--body"
            )
            for row in range(rows)
        ]
        after = await asyncio.to_thread(annotate, "prompts", "render", *words, "--json")
        sent = {entry.digest for entry in teacher.log.entries}
    assert {body_digest(done.out.removesuffix("\n").encode()) for done in rendered} == sent
    (asked, *_) = after.json["requests"]
    assert "answered" in asked["stored"]
    assert (before.json["requests"][0]["answer"], len(asked["answer"]) > 10) == (None, True)
    shard = tmp_path / "runs" / "demo" / "train" / "shard-00000.jsonl"
    first = json.loads(shard.read_bytes().splitlines()[0])
    assert after.json["requests"][0]["key"] == first["keys"]["label"]


def test_the_list_has_every_template_and_mix(annotate: Annotate) -> None:
    done = annotate("prompts", "list", "demo")
    assert done.code == 0, done.err
    for name in ("label-first", "reason-first", "plain-sentence", "default", "two-voices"):
        assert name in done.out
    facts = annotate("prompts", "list", "demo", "--json").json
    assert [mix["rows_with_one_answer"] for mix in facts["mixes"]] == [1, 1]
    assert facts["templates"][0]["placeholders"] == ["problem"]


def test_the_list_tells_what_experiments_showed_and_what_is_outdated(
    annotate: Annotate, house: Path
) -> None:
    rows = ("--data", "rows.jsonl", "--teacher", "simulated")
    annotate("experiment", "tiny", *rows)
    facts = {
        each["id"]: each for each in annotate("prompts", "list", "tiny", "--json").json["templates"]
    }
    (score,) = facts["fair"]["scores"]
    assert (score["rows"], score["setting"]["teacher"]) == (2, "simulated")
    assert facts["told"]["scores"] == []
    shown = annotate("prompts", "list", "tiny").out
    assert f"{100 * score['accuracy']:.1f} % " in shown
    assert "edited" not in shown
    templates = house / "prompts" / "tiny" / "templates.yaml"
    templates.write_text(templates.read_text().replace("Good or bad?", "Well?"))
    assert "* measured before the template was edited" in annotate("prompts", "list", "tiny").out


def test_show_prints_a_template_whole(annotate: Annotate) -> None:
    done = annotate("prompts", "show", "demo", "--template", "plain-sentence")
    assert done.code == 0, done.err
    assert "Name the operation that answers the question" in done.out
    unknown = annotate("prompts", "show", "demo", "--template", "plain")
    assert unknown.code == 2
    assert "plain-sentence" in unknown.err


def test_a_template_that_prints_the_gold_label_is_a_loud_warning(
    annotate: Annotate, house: Path
) -> None:
    checked = annotate("prompts", "check", "tiny")
    assert checked.code == 0, checked.err
    assert "template told: prints the gold label ({label})" in checked.out
    run = ("run", "tiny", "--data", "rows.jsonl", "--teacher", "simulated", "--template")
    told = annotate(*run, "told", "--quiet")
    assert told.code == 0, told.err
    assert told.err.startswith("WARNING: template told prints the gold label")
    assert "WARNING" not in annotate(*run, "fair").err
    rendered = annotate(
        *("prompts", "render", "tiny", "--data", "rows.jsonl", "--template", "told", "--row", "1"),
    )
    assert "Why is poor bad?" in rendered.out


def test_check_exits_with_2_when_something_cannot_be_run(annotate: Annotate, house: Path) -> None:
    (house / "prompts" / "tiny" / "mixes").mkdir()
    (house / "prompts" / "tiny" / "mixes" / "old.yaml").write_text("label: {gone: 1.0}")
    done = annotate("prompts", "check", "tiny")
    assert done.code == 2
    assert "ERROR    mix old: template gone is missing" in done.out
    assert len(done.err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("list", "nothing"), "no task nothing"),
        (("show", "demo", "--mix", "nothing"), "no mix"),
        (("render", "demo", "--row", "9999"), "has rows 0 to"),
        (("render", "demo", "--template", "a", "--mix", "b"), "exclude each other"),
    ],
)
def test_what_is_not_there_is_one_line(
    annotate: Annotate, words: tuple[str, ...], said: str
) -> None:
    done = annotate("prompts", *words)
    assert done.code == 2
    assert len(done.err.strip().splitlines()) == 1
    assert said in done.err


def test_names_that_would_be_lost_are_refused_before_anybody_pays(
    annotate: Annotate, tmp_path: Path
) -> None:
    (tmp_path / "rows.csv").write_text("text,kind\none,<think>\ntwo,fine\n")
    refused = annotate("new", "mine", "rows.csv", "--label", "kind")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "column kind: `<think>` is lost" in refused.err
    assert not (tmp_path / "prompts" / "mine").exists()

    (tmp_path / "rows.csv").write_text("text,kind\none,good\ntwo,fine\n")
    assert annotate("new", "mine", "rows.csv", "--label", "kind").code == 0
    assert annotate("prompts", "check", "mine").code == 0
    task = tmp_path / "prompts" / "mine" / "task.yaml"
    task.write_text(task.read_text().replace("good", "'</think>'"))
    checked = annotate("prompts", "check", "mine")
    assert checked.code == 2
    assert "ERROR    template label-first: `</think>` is lost" in checked.out
