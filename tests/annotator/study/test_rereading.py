"""Two readings of an answer held against each other, and lines written and read back."""

import json
from pathlib import Path

import pytest

from stepdistill.annotator.reading.reading import Reading, unread
from stepdistill.annotator.study.rereading import (
    AnswerId,
    ReadingTally,
    StoredAnswer,
    change_line,
    is_file,
    kind_of,
    reading_line,
    readings_in,
    rule_name,
)
from stepdistill.common.errors import DatasetError
from tests.annotator.made import a_key

ANSWER = ("plain", "train", 7)


def reading(label: str, rationale: str | None = None, rule: str = "statement") -> Reading:
    span = (0, 5) if rationale else None
    return Reading(
        label=label,
        rationale=rationale,
        rationale_span=span,
        rule=rule,
        confidence=0.9,
        reason=None,
    )


def line_of(place: AnswerId, read: Reading) -> bytes:
    """The line of an answer of 300 characters that was read so."""
    stored = StoredAnswer(id=place, key=a_key(1), begins="x" * 200, readings=(read,))
    return reading_line(stored, read)


def test_lines_of_earlier_versions_can_be_read(tmp_path: Path) -> None:
    first, path = reading("a", "It is so."), tmp_path / "readings.jsonl"
    line = json.loads(line_of(ANSWER, first))
    path.write_text(json.dumps({name: line[name] for name in [*line][:-2]}))
    assert readings_in(path) == {ANSWER: first}


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (reading("a"), reading("a", rule="bare"), None),
        (reading("a"), reading("b"), "other"),
        (unread("no_match"), reading("b"), "found"),
        (reading("a"), unread("refusal"), "lost"),
        (reading("a", "It is so."), reading("a", "It is."), "rationale"),
        (None, reading("a"), "found"),
        (None, unread("refusal"), None),
    ],
)
def test_kinds_of_change(before: Reading | None, after: Reading | None, kind: str | None) -> None:
    assert kind_of(before, after) == kind


def test_changes_are_counted_by_both_rules() -> None:
    tally = ReadingTally()
    pairs = [
        (ANSWER, unread("no_match"), reading("b")),
        (ANSWER, reading("a"), reading("a")),
        (ANSWER, unread("no_match"), reading("a")),
    ]
    assert len(list(tally.changes(pairs))) == 2
    assert tally.compared == 3
    assert tally.by_rules == {("none: no_match", "statement"): {"found": 2}}
    assert rule_name(None) == "not read"


def test_a_line_has_exactly_these_fields_and_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "readings.jsonl"
    first = reading("a", "It is so.")
    path.write_bytes(line_of(ANSWER, first) + line_of(("plain", "train", 8), unread("refusal")))
    line = json.loads(path.read_bytes().splitlines()[0])
    assert list(line) == [
        *("template", "split", "index", "label", "rationale", "rationale_span", "rule"),
        *("confidence", "reason", "key", "answer"),
    ]
    assert (line["key"], line["answer"]) == (a_key(1).hex(), "x" * 200)
    assert readings_in(path)[ANSWER] == first
    assert readings_in(path)["plain", "train", 8] == unread("refusal")


def test_a_changes_line() -> None:
    (change,) = ReadingTally().changes([(ANSWER, None, reading("a"))])
    line = json.loads(change_line(change))
    assert (line["template"], line["change"], line["before"]) == ("plain", "found", None)
    assert line["after"]["label"] == "a"


@pytest.mark.parametrize("change", [{"more": 1}, {"index": "x"}, {"rule": None}, {"split": ...}])
def test_a_line_with_other_fields_is_named(tmp_path: Path, change: dict[str, object]) -> None:
    line = json.loads(line_of(ANSWER, reading("a", "It is so."))) | change
    path = tmp_path / "other.jsonl"
    path.write_text(json.dumps({name: value for name, value in line.items() if value != ...}))
    with pytest.raises(DatasetError, match=r"other\.jsonl line 1: not a line of"):
        readings_in(path)


@pytest.mark.parametrize("content", ["{}\n", "no\n", '{"template": 1}\n'])
def test_another_file_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "other.jsonl"
    path.write_text(content)
    with pytest.raises(DatasetError, match=r"other\.jsonl line 1: not a line of"):
        readings_in(path)


def test_a_file_is_no_readers_name(tmp_path: Path) -> None:
    assert is_file("old.jsonl")
    assert is_file("old/readings")
    assert not is_file("verdict")
    with pytest.raises(DatasetError, match="cannot be read"):
        readings_in(tmp_path / "none.jsonl")
