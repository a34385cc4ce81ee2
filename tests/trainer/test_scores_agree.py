"""One student has one score: in its exam, by `evaluate`, and of the lines of `predict`; and what it
answers to a row depends on that row alone."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from stepdistill.common.kinds.registry import kind_of
from stepdistill.common.record import Record
from stepdistill.common.task import ClassSpec, LabelSpec
from stepdistill.trainer.main import main
from tests.trainer.made_rows import arguments, word_problem, write_split

Fields = dict[str, str]
Made = tuple[Fields, str, str]
"""(more fields, gold, what the teacher says)."""

CASED = {name: ClassSpec() for name in ("US", "us", "not", "not good", "1", "10")}
MOODS = {name: ClassSpec() for name in ("joy", "fear", "anger")}
PETS = ("cat", "dog", "cow", "horse")


def _classes(rng: random.Random) -> Made:
    gold = rng.choice([*CASED])
    return {}, gold, gold


def _multi(rng: random.Random) -> Made:
    names = [name for name in MOODS if rng.random() < 0.4]
    return {}, "; ".join(names) or "none", ", ".join(reversed(names)) or "none"


def _options(rng: random.Random) -> Made:
    """Rows of three, of two that differ in case, and of one and the same thrice."""
    sets = (rng.sample(PETS, 3), ["Polish", "polish", "wax"], ["cow"] * 3)
    options = rng.choice(sets)
    gold = rng.choice(options)
    return dict(zip("abc", options, strict=True)), gold, gold


def _number(rng: random.Random) -> Made:
    gold = rng.randint(0, 12)
    return {}, str(gold), f"{gold}.0"


def _equation(rng: random.Random) -> Made:
    """The gold label is a number, and the teacher's the longer way to it."""
    one, other = rng.randint(1, 9), rng.randint(1, 9)
    return {}, str(one + other), f"( {one}.0 + {other}.0 )"


def _text(rng: random.Random) -> Made:
    gold = rng.choice(["a short text", "something longer that is said", "caf\u00e9"])
    return {}, gold, gold.upper()


KINDS: dict[str, tuple[LabelSpec, Callable[[random.Random], Made]]] = {
    "classes": (LabelSpec(kind="classes", classes=CASED), _classes),
    "multi": (LabelSpec(kind="multi", classes=MOODS), _multi),
    "options": (LabelSpec(kind="options", options=["a", "b", "c"]), _options),
    "number": (LabelSpec(kind="number", maximum=9, tolerance=1), _number),
    "equation": (LabelSpec(kind="equation"), _equation),
    "text": (LabelSpec(kind="text"), _text),
}
MODES = ("step-by-step", "standard", "label-rationale")
QUICK = {
    *(("classes", "label-rationale"), ("options", "step-by-step"), ("multi", "standard")),
    *(("equation", "step-by-step"), ("text", "label-rationale")),
}
EVERY = [
    pytest.param(kind, mode, marks=() if (kind, mode) in QUICK else pytest.mark.slow)
    for kind in KINDS
    for mode in MODES
]


def _record(kind: str, split: str, index: int) -> Record:
    rng = random.Random(f"{kind}/{split}/{index}")
    more, gold, teacher = KINDS[kind][1](rng)
    row = word_problem(split, index)
    fields = {"story": f"It says {gold} {rng.randint(0, 9)}.", "question": "What is it?", **more}
    return replace(row, input=fields, gold=gold, label=teacher, rationale=f"It says {gold}.")


def _write(kind: str, home: Path) -> dict[str, list[Record]]:
    rows = {
        split: [_record(kind, split, index) for index in range(n)]
        for split, n in (("train", 48), ("valid", 8), ("test", 30))
    }
    for split, records in rows.items():
        write_split(home / split, records, label=KINDS[kind][0])
    return rows


def _predicted(model: Path, rows: list[Record], home: Path, size: int) -> dict[str, Any]:
    """The lines of `predict`, by id."""
    source, lines = home / f"rows-{size}.jsonl", home / f"lines-{size}.jsonl"
    source.write_bytes(b"".join(orjson.dumps({"id": r.id, "input": r.input}) + b"\n" for r in rows))
    line = ["predict", str(model), str(source), "--output", str(lines), "--quiet"]
    assert main([*line, "--batch-size", str(size)]) == 0
    return {found["id"]: found for found in map(orjson.loads, lines.read_bytes().splitlines())}


@pytest.mark.parametrize(("kind", "mode"), EVERY)
def test_exam_evaluate_and_predict_agree(kind: str, mode: str, tmp_path: Path) -> None:
    tests, label_kind = _write(kind, tmp_path)["test"], kind_of(KINDS[kind][0])
    # Half learnt: some answers are right, some are no labels at all.
    options = {"mode": mode, "steps": 40, "eval_every": 20, "batch_size": 16, "warmup": 2}
    options["model"] = "micro"
    assert main([*arguments(tmp_path, tmp_path / "out", **options), "--quiet"]) == 0
    exam = orjson.loads((tmp_path / "out" / "results.json").read_bytes())["test"]["student"]
    model, kept = tmp_path / "out" / "model", tmp_path / "out.json"

    assert main(["evaluate", str(model), str(tmp_path / "test"), "--json", str(kept)]) == 0
    found = orjson.loads(kept.read_bytes())
    assert (found["student"]["right"], found["student"]["n"]) == (exam["right"], exam["n"])

    first: dict[str, Any] | None = None
    for size in (1, 7, 64):
        rows = tests if size == 7 else random.Random(size).sample(tests, len(tests))
        lines = _predicted(model, rows, tmp_path, size)
        right = sum(
            lines[row.id]["label"] is not None
            and label_kind.same(
                lines[row.id]["label"], str(row.gold), label_kind.choices(row.input)
            )
            for row in tests
        )
        assert right == exam["right"]
        first = first or lines
        for name, line in lines.items():
            assert line["label"] == first[name]["label"]
            assert line["probability"] == pytest.approx(first[name]["probability"], abs=1e-5)
    if kind == "options":
        for row in tests:
            assert lines[row.id]["label"] in label_kind.choices(row.input)


def test_an_option_beyond_the_limit_is_refused_wherever_it_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each option is scored, however long it is: one of thousands of tokens takes gigabytes."""
    tests = _write("options", tmp_path)["test"]
    options = {"steps": 2, "batch_size": 8, "model": "micro", "max_target_tokens": 40}
    assert main([*arguments(tmp_path, tmp_path / "out", **options), "--quiet"]) == 0
    model, odd = str(tmp_path / "out" / "model"), tests[3]
    odd = replace(odd, input={**odd.input, "b": "and so on " * 30})
    write_split(tmp_path / "odd", [*tests[:3], odd], label=KINDS["options"][0])
    rows = tmp_path / "odd.jsonl"
    rows.write_bytes(b"".join(orjson.dumps(each.input) + b"\n" for each in (tests[0], odd)))
    exam = arguments(tmp_path, tmp_path / "again", **options, test=tmp_path / "odd")
    for words, said in (
        (["predict", model, str(rows)], "odd.jsonl line 2: option 2 is longer than the 40 tokens"),
        (["evaluate", model, str(tmp_path / "odd")], "row test-3: option 2 is longer than the 40"),
        ([*exam, "--quiet"], "--max-target-tokens 40: the label 'and so on "),
    ):
        assert main(words) == 2
        assert said in capsys.readouterr().err.splitlines()[-1]


def test_a_neighbour_without_options_changes_nothing(tmp_path: Path) -> None:
    """A text where others have options is answered as it is, and the others as if it were not."""
    tests = _write("options", tmp_path)["test"][:6]
    options = {"steps": 2, "batch_size": 8, "model": "micro"}
    assert main([*arguments(tmp_path, tmp_path / "out", **options), "--quiet"]) == 0
    alone = _predicted(tmp_path / "out" / "model", tests, tmp_path, 9)
    mixed = tmp_path / "mixed.jsonl"
    texts = [orjson.dumps({"id": f"t{n}", "input": "It says cow 3."}) for n in range(3)]
    lines = [orjson.dumps({"id": row.id, "input": row.input}) for row in tests]
    mixed.write_bytes(b"\n".join([*texts, *lines, b""]))
    output = tmp_path / "mixed-lines.jsonl"
    line = ["predict", str(tmp_path / "out" / "model"), str(mixed), "--output", str(output)]
    assert main(line) == 0
    found = {one["id"]: one for one in map(orjson.loads, output.read_bytes().splitlines())}
    for row in tests:
        assert found[row.id]["label"] == alone[row.id]["label"]
        assert found[row.id]["probability"] == pytest.approx(alone[row.id]["probability"], abs=1e-5)
