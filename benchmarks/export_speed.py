#!/usr/bin/env python3
"""How fast an exported student is on one core, times the student that torch computes.

A T5 of 7 million weights learns, in a minute, to say one of four labels of texts of 15 to 60 words:
how well does not matter, but one that says no label is computed otherwise. Then it is exported to
each engine in fp32 and int8 by the command itself, which labels the same rows by both in turns, and
takes the time of the core.

Example:

    python benchmarks/export_speed.py --check --json benchmarks/results/export_speed.json
"""

import random
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from made_student import CLASSES, texts_of, write_student
from measuring import Figure, Results, environment, parser, report

WIDTH, LAYERS, STEPS, BATCH, ROWS = 256, 4, 40, 16, 128
NAMES = ("ctranslate2 fp32", "ctranslate2 int8", "onnx fp32", "onnx int8")
EQUAL_BAR = 0.995  # of labels, in fp32


def make_student(folder: Path, steps: int) -> None:
    """Write one that has learnt to say labels."""
    import torch
    from transformers.utils import logging

    from stepdistill.trainer.model.student import from_scratch
    from stepdistill.trainer.model.tokenizer import encoder_of
    from stepdistill.trainer.settings.train import Size

    logging.disable_progress_bar()
    torch.set_num_threads(1)
    size = Size(width=WIDTH, layers=LAYERS, lr=1e-3)
    # A label is a word or two of any real vocabulary; one learnt from these few texts spells it.
    words = sorted({word for text in (*texts_of(50), *CLASSES) for word in text.split()})
    marks = [(mark, 0.0) for mark in ("<pad>", "</s>", "<unk>")]
    letters = [(letter, -9.0) for letter in "\u2581abcdefghijklmnopqrstuvwxyz0123456789:"]
    pieces = [*marks, *letters, *((f"\u2581{word}", -2.0) for word in words)]
    student = from_scratch(size, pieces, seed=0, dropout=None)
    learner = torch.optim.AdamW(student.model.parameters(), lr=size.lr)
    encode, tokenizer, rng = encoder_of(student.tokenizer), student.tokenizer, random.Random(0)
    for first in range(0, steps * BATCH, BATCH):
        texts = [f"predict: {text}" for text in texts_of(steps * BATCH)[first : first + BATCH]]
        inputs: Any = tokenizer(texts, padding=True, return_tensors="pt")
        answers = [torch.tensor(ids) for ids in encode(rng.choices(CLASSES, k=BATCH), 64)]
        labels = torch.nn.utils.rnn.pad_sequence(answers, batch_first=True, padding_value=-100)
        student.model(**inputs, labels=labels).loss.backward()
        learner.step()  # pyright: ignore[reportUnknownMemberType]
        learner.zero_grad()
    write_student(student, folder)


def exported(student: Path, engine: str, precision: str, rows: Path) -> dict[str, Any]:
    """What the command says of one export."""
    output = student.with_name(f"{engine}-{precision}")
    command = [Path(sys.executable).parent / "stepdistill", "export", student, "--to", engine]
    command += ["--precision", precision, "--output", output, "--rows", rows, "--agree", "0"]
    subprocess.run(
        [*map(str, command), "--quiet"],
        env={**environment(), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return orjson.loads((output / "export.json").read_bytes())


def measure(results: Results, home: Path, names: Iterable[str], steps: int, n: int) -> None:
    """Each engine in each precision. Raw: all that the command says."""
    student, rows = home / "student", home / "rows.jsonl"
    student.mkdir()
    make_student(student, steps)
    texts = texts_of(n + 10_000)[-n:]  # none that it has learnt from
    rows.write_bytes(b"\n".join(orjson.dumps({"text": text}) for text in texts))
    for name in names:
        engine, precision = name.split()
        bar = EQUAL_BAR if precision == "fp32" else None
        found = exported(student, engine, precision, rows)
        results.raw.append(found)
        check, size = found["check"], found["bytes"]
        rate = check["rows_per_s"]
        speed = rate["export"] / rate["student"]
        share = size["export"] / size["student"]
        results.figures += [
            Figure(name=f"{name}: rows/s, x torch", samples=[speed], unit="x"),
            Figure(name=f"{name}: labels equal", samples=[check["share"]], unit="", at_least=bar),
            Figure(name=f"{name}: size, x the student", samples=[share], unit="x"),
        ]


def main() -> int:
    given = parser(__doc__, rounds=1).parse_args()
    steps, n = (4, 16) if given.smoke else (STEPS, ROWS)
    names = [name for name in NAMES if "onnx" not in name or not given.smoke]  # it takes a minute
    settings: dict[str, object] = {"width": WIDTH, "layers": LAYERS, "steps": steps, "rows": n}
    results = Results(benchmark="export_speed", settings=settings)
    with tempfile.TemporaryDirectory() as home:
        measure(results, Path(home), names, steps, n)
    return report(results, given)


if __name__ == "__main__":
    sys.exit(main())
