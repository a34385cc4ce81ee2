"""`annotate new` as it is called: by people at a terminal, by scripts, with labels and without."""

import json
import os
import pty
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.journeys.conftest import ANNOTATE, Annotate
from tests.journeys.golden.commands import many


@pytest.fixture
def unsure(tmp_path: Path) -> Path:
    """A file with two columns that may be its label."""
    rows = [
        {"text": f"words {n}", "team": "abc"[n % 3], "channel": ("mail", "chat")[n % 2]}
        for n in range(40)
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def typed(folder: Path, answer: str, *words: str) -> tuple[int, str]:
    """The exit code, and what a person saw who typed this at a terminal."""
    ours, theirs = pty.openpty()
    screen = {**os.environ, "TERM": "dumb", "COLUMNS": "80"}
    process = subprocess.Popen(
        [str(ANNOTATE), *words], cwd=folder, env=screen, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    os.write(ours, answer.encode())
    seen = b""
    while True:
        try:
            chunk = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not chunk:
            break
        seen += chunk
    os.close(ours)
    return process.wait(60), seen.decode().replace("\r", "")


def task_of(folder: Path) -> dict[str, Any]:
    return yaml.safe_load((folder / "prompts" / "mine" / "task.yaml").read_text())


@pytest.mark.parametrize(
    ("answer", "gold", "kind"),
    [
        ("\n", "team", "classes"),
        ("channel\n", "channel", "classes"),
        ("nothing such\nchannel, team\n", "labels", "multi"),
        ("good, bad\n", None, "classes"),
        ("-\n", None, "text"),
    ],
)
def test_a_person_is_asked_what_is_not_sure(
    tmp_path: Path, unsure: Path, answer: str, gold: str | None, kind: str
) -> None:
    code, seen = typed(tmp_path, answer, "new", "mine", unsure.name)
    assert code == 0, seen
    assert "Label [team]:" in seen
    assert (task_of(tmp_path).get("gold"), task_of(tmp_path)["label"]["kind"]) == (gold, kind)
    asked = seen.partition("Label [team]:")[0]
    assert all(len(line.rstrip()) <= 80 for line in asked.splitlines())


def test_no_answer_makes_nothing(tmp_path: Path, unsure: Path) -> None:
    code, seen = typed(tmp_path, "\x04", "new", "mine", unsure.name)
    assert code == 2
    assert "is the label team (3 different values) or channel (2 different values)?" in seen
    assert not (tmp_path / "prompts").exists()


def test_a_script_is_never_asked(tmp_path: Path, unsure: Path) -> None:
    refused, made, named, free = many(
        tmp_path,
        ("new", "mine", unsure.name),
        ("new", "guess", unsure.name, "--yes", "--json"),
        ("new", "named", unsure.name, "--labels", "good,bad", "--text", "text", "--json"),
        ("new", "free", unsure.name, "--unlabelled", "--json"),
    )
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "--label (--yes takes the first)" in refused.err
    assert made.json["label"] == ["team"]
    assert made.json["classes"] == {"a": 14, "b": 13, "c": 13}
    assert named.json["text"] == ["text"]
    assert (named.json["label"], named.json["classes"]) == ([], {"good": 0, "bad": 0})
    assert free.json["kind"] == "text"
    assert {each["role"] for each in made.json["columns"]} == {"text", "label"}
    assert len(made.json["first_rows"]) == 3
    assert len(made.json["next"]) == 3


def test_the_next_commands_work_as_they_are_shown(annotate: Annotate, unsure: Path) -> None:
    made = annotate("new", "mine", unsure.name, "--label", "team", "--json").json
    for command in made["next"]:
        done = annotate(*command.split()[1:])
        assert done.code == 0, (command, done.err)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("nowhere.csv",), "nowhere.csv"),
        (("nowhere://x/rows.csv",), "nowhere"),
        (("rows.jsonl", "--label", "sort"), "no column sort (has: text, team, channel)"),
        (("rows.jsonl", "--label", "team", "--text", "team"), "others than the label's"),
        (("rows.jsonl", "--labels", "a"), "no choice"),
        (("rows.jsonl", "--label", "team", "--unlabelled"), "exclude each other"),
        (("rows.docx",), "rows are read from"),
    ],
)
def test_what_cannot_be_is_one_line(
    annotate: Annotate, unsure: Path, words: tuple[str, ...], says: str
) -> None:
    refused = annotate("new", "mine", *words)
    assert (refused.code, refused.err.count("\n")) == (2, 1), refused.err
    assert says in refused.err
    assert not (unsure.parent / "prompts").exists()


@pytest.mark.parametrize(
    ("words", "blocked"),
    [
        (("--prompts", "a-file"), "a-file"),
        (("--data-out", "a-file"), "a-file"),
        (("--data-out", "data/mine"), "data/mine.origin.json.part/x"),
        (("--prompts", "prompts"), "prompts"),
    ],
)
def test_what_fails_leaves_nothing_behind(
    annotate: Annotate, unsure: Path, words: tuple[str, str], blocked: str
) -> None:
    home = unsure.parent
    (home / blocked).parent.mkdir(parents=True, exist_ok=True)
    (home / blocked).write_text("mine")
    refused = annotate("new", "mine", unsure.name, "--label", "team", "--json", *words)
    assert (refused.code, refused.err.count("\n")) == (2, 1), refused.err
    assert {path for path in home.rglob("*") if path.is_file()} == {unsure, home / blocked}
    made = annotate(
        "new", "mine", unsure.name, "--label", "team", "--prompts", "p", "--data-out", "d"
    )
    assert made.code == 0, made.err
