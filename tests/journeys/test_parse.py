"""Stored answers are read again with `annotate parse`: line by line, as a table, compared."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.conftest import Annotate, Done

FIELDS = [
    *("template", "split", "index", "label", "rationale", "rationale_span", "rule"),
    *("confidence", "reason", "key", "answer"),
]


def lines_of(done: Done) -> list[dict[str, Any]]:
    assert done.code == 0, done.err
    return [json.loads(line) for line in done.out.splitlines()]


@pytest.fixture
def asked(annotate: Annotate) -> Annotate:
    """A store with forty answers of the demo task to two templates."""
    for template in ("label-first", "plain-sentence"):
        done = annotate(
            *("run", "demo", "--teacher", "simulated", "--samples", "20"),
            *("--template", template, "--out", template, "--quiet"),
        )
        assert done.code == 0, done.err
    return annotate


def test_one_line_for_each_stored_answer(asked: Annotate, tmp_path: Path) -> None:
    lines = lines_of(asked("parse", "demo", "--jsonl"))
    assert len(lines) == 40
    assert all(list(line) == FIELDS for line in lines)
    assert {line["template"] for line in lines} == {"label-first", "plain-sentence"}
    shard = tmp_path / "label-first" / "train" / "shard-00000.jsonl"
    records = {each["index"]: each for each in map(json.loads, shard.read_bytes().splitlines())}
    assert len(records) > 15
    for line in lines:
        if line["template"] == "label-first" and line["index"] in records:
            record = records[line["index"]]
            assert (line["label"], line["rationale"]) == (record["label"], record["rationale"])
            assert line["key"] == record["keys"]["label"]
            assert line["label"].split()[0] in line["answer"].lower()
            assert len(line["answer"]) <= 200


def test_a_table_by_template_and_rule(asked: Annotate) -> None:
    done = asked("parse", "demo", "--template", "label-first")
    assert done.code == 0, done.err
    assert "label-line" in done.out
    assert "20 answers: " in done.out
    assert "plain-sentence" not in done.out


def test_what_changes_between_an_older_reading_and_now(asked: Annotate, tmp_path: Path) -> None:
    before = asked("parse", "demo", "--jsonl").out.splitlines(keepends=True)
    (tmp_path / "old.jsonl").write_text("".join(before))
    assert "40 answers, 0 read differently" in asked("parse", "demo", "--diff", "old.jsonl",
                                                     "verdict").out  # fmt: skip
    first = json.loads(before[0])
    changed = first | {"label": "something else"}
    (tmp_path / "old.jsonl").write_text(json.dumps(changed) + "\n" + "".join(before[2:]))
    changes = lines_of(asked("parse", "demo", "--diff", "old.jsonl", "verdict", "--jsonl"))
    assert len(changes) == 2
    assert changes[0]["before"]["label"] == "something else"
    assert changes[0]["after"]["label"] == first["label"]
    assert changes[1]["before"] is None
    shown = asked("parse", "demo", "--diff", "old.jsonl", "verdict").out
    assert "40 answers, 2 read differently" in shown
    assert "something else" in shown


def test_what_cannot_be_read_is_said(asked: Annotate) -> None:
    for words, line in [
        (("--reader", "best"), "--reader best: choose from verdict, original"),
        (("--reader", "original"), "task demo has no imported templates"),
        (("--template", "none"), "no template none"),
        (("--teacher", "nobody"), "has no answer to these rows by nobody"),
        (("--store", "elsewhere"), "no store here"),
        (("--diff", "none.jsonl", "verdict"), "none.jsonl: cannot be read"),
    ]:
        done = asked("parse", "demo", *words)
        assert done.code == 2
        assert line in done.err
        assert len(done.err.splitlines()) == 1


@pytest.mark.slow
def test_the_originals_answers_by_both_readers(
    annotate: Annotate, tmp_path: Path, real_data: Path
) -> None:
    annotate("import-original", real_data, "--prompts", "p", "--store", "s")
    where = ("--data", real_data / "datasets" / "svamp", "--split", "test")
    where += ("--prompts", "p", "--store", "s")
    for reader in ("original", "verdict"):
        lines = lines_of(annotate("parse", "svamp", *where, "--reader", reader, "--jsonl"))
        assert len(lines) == 252
        assert {line["template"] for line in lines} == {"1", "3"}
    shown = annotate("parse", "svamp", *where, "--diff", "original", "verdict").out
    assert "252 answers, " in shown
    assert "last-number" in shown
    words = ("run", "svamp", *where, "--template", "1", "--teacher", "gpt-3.5-turbo", "--offline")
    by_verdict = annotate(*words, "--out", "o", "--json")
    by_original = annotate(*words, "--out", "o", "--json", "--reader", "original")
    assert by_original.code == 0, by_original.err
    assert not by_original.json["already_done"]
    assert by_original.json["records"] != by_verdict.json["records"]
    manifest = json.loads((tmp_path / "o" / "test" / "manifest.json").read_bytes())
    assert manifest["reader"] == {"name": "original", "version": 1}


def test_a_run_refuses_a_reader_that_its_templates_are_not_made_for(annotate: Annotate) -> None:
    refused = annotate("run", "demo", "--teacher", "simulated", "--reader", "original")
    assert refused.code == 2
    assert "has no regexes of the original" in refused.err
