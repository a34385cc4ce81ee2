"""What runs, data, tokens and steps are known by, computed from this folder's shards and files.

The shards are an earlier version's; so is `finished`, the folder of a run of a sweep. Only that is
held which is the same on every machine: identities, counts and names of fields. Weights, losses and
the vocabulary that sentencepiece trains are sums of floats, which another processor may round
otherwise; the precision in results.json is the machine's own.
"""

import csv
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import orjson
import yaml

from stepdistill.trainer.data.examples import train_set
from stepdistill.trainer.data.plan import StepPlan, StepSettings
from stepdistill.trainer.data.shards import data_fingerprint, read_data
from stepdistill.trainer.data.tokens import LengthLimits, kept, tokenise
from stepdistill.trainer.main import main
from stepdistill.trainer.model.tokenizer import fingerprint_of, from_pieces
from stepdistill.trainer.settings.train import parse

GOLDEN = Path(__file__).parent
EXPECTED = GOLDEN / "identity.json"
FINISHED = GOLDEN / "finished"
Found = dict[str, Any]

_VALID = "--valid=shards/valid"
_BASE = ("--test=shards/test", "--model=micro", "--steps=2", "--batch-size=4", "--quiet")
_TRAIN = "--train=shards/train"
# Runs that are told apart: by their settings, by their data.
RUNS: dict[str, tuple[str, ...]] = {
    "plain": (_TRAIN, _VALID),
    "seed": (_TRAIN, _VALID, "--seed=7"),
    "gold alone": (_TRAIN, _VALID, "--mode=standard", "--labels=gold", "--model=tiny"),
    "one target": (_TRAIN, _VALID, "--mode=label-rationale", "--alpha=0.8", "--curve=cosine"),
    "own tasks": (_TRAIN, _VALID, "--tasks=tasks.json"),
    "votes": (_TRAIN, _VALID, "--soft-labels", "--row-weight=confidence", "--mutual=0.1"),
    "put aside": (_TRAIN, "--valid-share=0.3", "--subsample=0.5", "--evaluate-by=scoring"),
    "told": (_TRAIN, _VALID, "--cot=cot.jsonl", "--rationales=2"),
    "more rows": (
        "--train",
        "shards/train",
        "more.jsonl",
        _VALID,
        "--dropout=0.1",
        "--lr=0.001",
        "--zero=1",
    ),
    "original": (_TRAIN, _VALID, "--preset=original", "--batch-size=8", "--max-input-tokens=99"),
}
_ONE: Found = {
    "output": "study",
    "options": {"model": "micro", "steps": 2, "batch-size": 4, "valid": "shards/valid"},
    "runs": [{"train": "shards/train", "test": "shards/test"}],
}
_SWEEP: Found = {
    "output": "study",
    "options": {"model": "tiny", "steps": 3, "test": "shards/test", "valid": "shards/valid"},
    "grid": {
        "data": {
            "all": {"train": "shards/train"},
            "more": {"train": ["shards/train", "more.jsonl"]},
        },
        "method": {
            "baseline": {"mode": "standard", "labels": "gold"},
            "distilled": {"mode": "step-by-step"},
        },
        "seed": [0, 1],
    },
    "runs": [
        {"data": "all", "method": "distilled", "alpha": 0.8, "soft-labels": True},
        {"data": "all", "cot": "cot.jsonl", "subsample": 0.25},
        {"data": "all", "method": "distilled", "tasks": "tasks.json"},
    ],
}
_PIECES = [
    *(("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -2.0), ("\u2581the", -2.5)),
    *((letter, -3.0 - number / 64) for number, letter in enumerate("abdefinoprt125%.()ï")),
]
_OF_A_RUN = ("source", "key", "study", "data", "settings", "templates", "seed")


def set_out(folder: Path) -> None:
    """The files that the commands are given, by the same names wherever they lie."""
    for name in ("shards", "finished"):
        if (GOLDEN / name).exists():
            shutil.copytree(GOLDEN / name, folder / name)
    for name in ("tasks.json", "more.jsonl", "cot.jsonl", "tracking.csv"):
        shutil.copy(GOLDEN / name, folder / name)
    for name, content in (("one.yaml", _ONE), ("study.yaml", _SWEEP)):
        (folder / name).write_text(yaml.safe_dump(content, sort_keys=False))


def line_of(name: str, output: str) -> list[str]:
    """The command line of a run."""
    return [*_BASE, *RUNS[name], f"--output={output}"]


def missing_runs(sweep: str) -> list[str]:
    """The folders of a sweep's runs that are not there yet, each with its key's first letters."""
    out = StringIO()
    with redirect_stdout(out):
        assert main(["sweep", sweep, "--print-commands"]) == 0
    return [line.split()[-1] for line in out.getvalue().splitlines()]


def make_finished() -> None:
    """Make the folder of a finished run anew, by a sweep of one."""
    assert main(["sweep", "one.yaml"]) == 0
    [folder] = Path("study").iterdir()
    FINISHED.mkdir(exist_ok=True)
    for name in ("results.json", "sweep.json"):
        shutil.copy(folder / name, FINISHED / name)


def _data() -> Found:
    """What the data of each run is known by; which rows are put aside, and which are learnt from
    where a share is taken."""
    config = parse(line_of("put aside", "unused"))
    data = read_data(config)
    return {
        "fingerprints": {
            name: data_fingerprint(read_data(parse(line_of(name, "unused")))) for name in RUNS
        },
        "put aside": [record.id for record in data.valid.records()],
        "learnt from": [example.id for example in train_set(data.train, config).examples],
    }


def _tokens() -> Found:
    """What a tokenizer is known by, and for each run's texts the folder of their tokens."""
    tokenizer, limits = fingerprint_of(from_pieces(_PIECES)), LengthLimits(input=64, target=32)
    folders: dict[str, str] = {}
    for name in RUNS:
        config = parse(line_of(name, "unused"))
        texts = train_set(read_data(config).train, config).examples
        folders[name] = kept(Path(), texts, config.table(), tokenizer, limits).name
    return {"tokenizer": tokenizer, "folders": folders}


def _steps() -> Found:
    """Which rows make up the first steps, over two epochs and more."""
    config = parse(line_of("plain", "unused"))
    texts = train_set(read_data(config).train, config).examples
    tokens = tokenise(texts, config.table(), _spell, LengthLimits(input=64, target=32))
    plan = StepPlan(tokens, StepSettings(batch_size=4, seed=3))
    return {"rows": [plan.rows(number).tolist() for number in range(12)]}


def _spell(texts: Sequence[str], longest: int) -> list[list[int]]:
    """A token for each word, which is how long it is; then the end of the sequence."""
    return [[*(2 + len(word) for word in text.split()[: longest - 1]), 1] for text in texts]


def _runs() -> Found:
    """Each is trained, for two steps: what its results.json says it is."""
    for name in RUNS:
        assert main(line_of(name, f"student/{name}")) == 0
    found = {name: _results(Path("student") / name) for name in RUNS}
    plain = found["plain"]
    return {
        "fingerprints": {name: results["fingerprint"] for name, results in found.items()},
        "fields": sorted(set(_fields(plain))),
        "config": {name: value for name, value in plain["config"].items() if name != "precision"},
        **{name: plain[name] for name in ("tasks", "data", "steps")},
    }


def _results(folder: Path) -> Found:
    return orjson.loads((folder / "results.json").read_bytes())


def _fields(value: object, path: str = "", depth: int = 3) -> Iterator[str]:
    """The fields down to this depth, as `test.student.accuracy`; those of a list's entries once."""
    if isinstance(value, list):
        entries: list[object] = value
        for entry in entries:
            yield from _fields(entry, path, depth)
    elif isinstance(value, dict) and depth:
        named: dict[str, object] = value
        for name, inner in named.items():
            yield f"{path}{name}"
            yield from _fields(inner, f"{path}{name}.", depth - 1)


def _sweeps() -> Found:
    """The folder of each run of two sweeps."""
    return {"one": missing_runs("one.yaml"), "study": missing_runs("study.yaml")}


def _tracked() -> Found:
    """What a tracking file knows the finished run by, and runs of the original's."""
    tracking = ("track", "--tracking=tracking.sqlite")
    for words in (("add", "finished"), ("import", "tracking.csv"), ("export", "all.csv", "--full")):
        assert main([*tracking, *words]) == 0
    with Path("all.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {"runs": [{name: row[name] for name in _OF_A_RUN} for row in rows]}


IDENTITIES: dict[str, Callable[[], Found]] = {
    "data": _data,
    "tokens": _tokens,
    "steps": _steps,
    "runs": _runs,
    "sweeps": _sweeps,
    "tracked": _tracked,
}
"""Each computes its identities in a working folder that `set_out` filled."""
