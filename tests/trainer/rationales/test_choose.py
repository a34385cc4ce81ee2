"""Of several reasons those that help are kept, and what comes out are shards to learn from."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from stepdistill.common.record import Record
from stepdistill.common.shards import read_manifest, read_records, verify
from stepdistill.trainer.main import main
from tests.trainer.made_rows import arguments, word_problems, write_split

FEW = ("--steps", "4", "--quiet")


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Two runs over the same rows: another reason each, but for one row; and a row unexplained."""
    records = [each for each in word_problems("train", 24) if each.rationale]
    records[3] = replace(records[3], rationale=None)
    others = [
        replace(each, rationale=f"Somebody counts {n} things in another way, and that is all.")
        for n, each in enumerate(records)
    ]
    others[3] = replace(others[3], rationale=None)
    others[5] = replace(others[5], rationale=f"{records[5].rationale} Really.")
    other_label = next(each.label for each in records if each.label != records[7].label)
    others[7] = replace(others[7], label=other_label, rationale="Argues for another label.")
    write_split(tmp_path / "a", records)
    write_split(tmp_path / "b", others)
    return tmp_path / "a", tmp_path / "b"


def chosen(out: Path) -> list[Record]:
    manifest = read_manifest(out)
    verify(out, manifest)
    return list(read_records(out, manifest))


def test_reasons_are_chosen_and_learnt_from(
    folders: tuple[Path, Path], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "chosen"
    words = ["rationales", "choose", *map(str, folders), "--keep", "2", "--out", str(out), *FEW]
    assert main([*words, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    records, first = chosen(out), chosen(folders[0])
    assert [each.id for each in records] == [each.id for each in first]
    assert [each.label for each in records] == [each.label for each in first]
    assert len(records[0].rationales) == 2
    assert records[3].rationales == ()  # nobody gave a reason
    assert len(records[5].rationales) == 1  # the other is nearly the same
    assert records[7].rationales == first[7].rationales  # the other argues for another label
    assert facts["rows"] == len(records)
    assert facts["kept"] == sum(len(each.rationales) for each in records)
    lines = [json.loads(line) for line in (out / "choices.jsonl").read_text().splitlines()]
    assert len(lines) == facts["with_reasons"] == len(records) - 1
    for line in lines:
        gains = {each["rationale"]: each["gain"] for each in line["candidates"]}
        kept = next(each for each in records if each.id == line["id"]).rationales
        assert [gains[text] for text in kept] == sorted((gains[t] for t in kept), reverse=True)
    assert main(words) == 2
    assert "--force replaces them" in capsys.readouterr().err
    before = (out / "manifest.json").read_bytes()
    assert main([*words, "--force"]) == 0
    assert (out / "manifest.json").read_bytes() == before
    learn = arguments(data, tmp_path / "student", steps=2, rationales=2, train=out)
    assert main([*learn, "--quiet"]) == 0


def test_those_that_do_not_help_are_left_out(folders: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "helping"
    words = ["rationales", "choose", *map(str, folders), "--helping", "--out", str(out), *FEW]
    assert main(words) == 0
    lines = [json.loads(line) for line in (out / "choices.jsonl").read_text().splitlines()]
    for line in lines:
        kept = [each["gain"] for each in line["candidates"] if each["kept"]]
        assert all(gain > 0 for gain in kept)
        assert bool(kept) is any(each["gain"] > 0 for each in line["candidates"])


def test_other_peoples_files_are_not_replaced(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["rationales", "choose", str(folders[0]), "--force", *FEW]
    for out, said in ((folders[1], "holds other files"), (folders[0], "to choose from")):
        before = (out / "manifest.json").read_bytes()
        assert main([*words, "--out", str(out)]) == 2
        told = capsys.readouterr().err
        assert said in told and told.count("\n") == 1
        assert (out / "manifest.json").read_bytes() == before


CLUES = {
    "addition": "One heap is put upon another one.",
    "subtraction": "A part of it is taken away again.",
    "multiplication": "The same comes over and over.",
    "division": "Everybody gets an equal share.",
}


@pytest.mark.slow
def test_who_merely_states_the_label_does_not_win(tmp_path: Path) -> None:
    """The rows tell nothing, a clue all of it, and a statement of the label nothing but itself."""
    rows = [
        replace(each, input=dict.fromkeys(each.input, "Well."))
        for each in word_problems("train", 400)
    ]
    arguing = [replace(each, rationale=CLUES[str(each.label)]) for each in rows]
    stating = [
        replace(each, rationale=(f"So it is {each.label}.", f"{each.label}, surely!")[n % 2])
        for n, each in enumerate(rows)
    ]
    order = [(stating, arguing), (arguing, stating)]
    for name, pair in zip("ab", zip(*order, strict=True), strict=True):
        halves = [pair[n % 2][n] for n in range(len(rows))]
        write_split(tmp_path / name, halves)
    out = tmp_path / "chosen"
    words = ["rationales", "choose", str(tmp_path / "a"), str(tmp_path / "b"), "--quiet"]
    assert main([*words, "--steps", "250", "--out", str(out)]) == 0
    argues = [each.rationale == CLUES[str(each.label)] for each in chosen(out)]
    assert sum(argues) >= 0.95 * len(argues)
