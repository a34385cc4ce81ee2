"""Word problems made on the spot, their shards, and the folders that a run reads."""

import hashlib
import random
from collections.abc import Iterable, Sequence
from pathlib import Path

import orjson

from stepdistill.common.manifest import (
    CostEntry,
    Counts,
    Hashes,
    Manifest,
    ReaderEntry,
    ShardEntry,
    TeacherEntry,
    TokenTotals,
)
from stepdistill.common.record import PartRef, Record
from stepdistill.common.task import ClassSpec, LabelSpec, StudentSpec

NAMES = [
    "Ada",
    "Ben",
    "Chloe",
    "Dev",
    "Emma",
    "Farid",
    "Grace",
    "Hugo",
    "Ines",
    "Jonas",
    "Kira",
    "Liam",
    "Mona",
    "Noor",
    "Omar",
    "Pia",
]
THINGS = [
    "apples",
    "books",
    "coins",
    "marbles",
    "pencils",
    "shells",
    "stamps",
    "stickers",
    "cards",
    "tickets",
]
PLACES = ("at the market", "after school", "in the garden", "at the harbour", "near the station")
CLASSES = ("addition", "subtraction", "multiplication", "division")
INPUT = "{story} {question}"

_ASIDES = (
    "It was a warm afternoon and {n} people were waiting {place}.",
    "The bus on line {n} had stopped running {place}.",
    "{other} had been there for {n} minutes, reading a long book.",
    "A shop close by had been open for {n} years.",
)
_STORIES = {
    "addition": (
        "{name} has {a} {things}. {other} gives {name} {b} more {things}.|"
        "How many {things} does {name} have altogether?",
        "{name} found {a} {things} in the morning and {b} {things} in the evening.|"
        "What is the total number of {things}?",
    ),
    "subtraction": (
        "{name} has {a} {things}. {name} gives {b} {things} to {other}.|"
        "How many {things} does {name} have left?",
        "{name} has {a} {things} and {other} has {b} {things}.|"
        "How many more {things} does {name} have than {other}?",
    ),
    "multiplication": (
        "{name} fills {a} boxes. Each box holds {b} {things}.|"
        "How many {things} are in the boxes in all?",
        "{name} buys {a} bags with {b} {things} in every bag.|How many {things} does {name} get?",
    ),
    "division": (
        "{name} shares {a} {things} equally among {b} friends.|"
        "How many {things} does each friend get?",
        "{name} packs {a} {things} into bags of {b} {things}.|How many bags does {name} need?",
    ),
}
_REASONS = {
    "addition": "{a} and {b} are put together, so the numbers are added.",
    "subtraction": "{b} is taken from {a}, so one number is subtracted from the other.",
    "multiplication": "There are {a} groups of {b}, so the numbers are multiplied.",
    "division": "{a} is split into equal parts of {b}, so the numbers are divided.",
}


def word_problem(split: str, index: int, *, noise: float = 0.1, unexplained: float = 0.0) -> Record:
    """One row. noise: share of wrong teacher labels. unexplained: share without a rationale."""
    rng = random.Random(f"{split}/{index}")
    gold = rng.choice(CLASSES)
    label = rng.choice(CLASSES) if rng.random() < noise else gold
    name, other = rng.sample(NAMES, 2)
    numbers = {"a": str(rng.randint(12, 99)), "b": str(rng.randint(2, 11))}
    words = {"name": name, "other": other, "things": rng.choice(THINGS), **numbers}
    story, question = rng.choice(_STORIES[gold]).split("|")
    asides = [
        aside.format(n=rng.randint(2, 60), place=rng.choice(PLACES), other=other)
        for aside in rng.sample(_ASIDES, 2)
    ]
    reason = _REASONS[label].format(**numbers)
    return Record(
        id=f"{split}-{index}",
        split=split,
        index=index,
        input={
            "story": " ".join([asides[0], story.format(**words), asides[1]]),
            "question": question.format(**words),
        },
        label=label,
        rationale=None if rng.random() < unexplained else reason,
        gold=gold,
        templates=PartRef(label="t1", rationale="t1"),
        keys=PartRef(label="k1", rationale="k1"),
        confidence=None,
    )


def word_problems(split: str, rows: int, **wanted: float) -> list[Record]:
    return [word_problem(split, index, **wanted) for index in range(rows)]


def write_split(
    folder: Path, records: Sequence[Record], *, label: LabelSpec | None = None, shards: int = 1
) -> Path:
    """Write records as shards with a manifest; gives the folder back."""
    folder.mkdir(parents=True)
    size = -(-len(records) // shards) or 1
    entries = [
        _write_shard(folder / f"shard-{number:05d}.jsonl", records[number * size :][:size])
        for number in range(shards)
    ]
    manifest = Manifest(
        task="word-problems",
        split=folder.name,
        counts=Counts(rows=len(records), records=len(records), rejected={}),
        shards=entries,
        hashes=Hashes(task="0", prompts="0", data="0"),
        fingerprint=hashlib.sha256("".join(e.sha256 for e in entries).encode()).hexdigest(),
        teacher=TeacherEntry(model="simulated", endpoint="localhost"),
        reader=ReaderEntry(name="verdict", version=1),
        answers=len(records),
        tokens=TokenTotals(),
        cost=CostEntry(usd=None, price="unknown"),
        label=label or LabelSpec(kind="classes", classes={name: ClassSpec() for name in CLASSES}),
        student=StudentSpec(input=INPUT),
    )
    (folder / "manifest.json").write_text(manifest.model_dump_json(indent=2))
    return folder


def _write_shard(path: Path, records: Iterable[Record]) -> ShardEntry:
    lines = [orjson.dumps(record.content) for record in records]
    content = b"".join(line + b"\n" for line in lines)
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    return ShardEntry(file=path.name, rows=len(lines), bytes=len(content), sha256=digest)


def arguments(data: Path, output: Path, **options: object) -> list[str]:
    """A command line for the folders data/train, data/valid and data/test and a tiny student."""
    line = [f"--{split}={data / split}" for split in ("train", "valid", "test")]
    line += ["--model=tiny", f"--output={output}"]
    return line + [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
