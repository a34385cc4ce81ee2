"""Scenes: commands in an empty folder, and the digests and keys of what comes of them.

Each is a function of a folder. What it returns is compared with `expected.json`, where `record.py`
wrote it. No time, place or version is in the bytes that are held: manifests are held whole. Prices
are this folder's own, so that no list of a package decides what is in a manifest.
"""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from tests.journeys.conftest import digests
from tests.journeys.golden.commands import Words, results

GOLDEN = Path(__file__).parent
EXPECTED = GOLDEN / "expected.json"
Found = dict[str, Any]

SIMULATED = ("--teacher", "simulated", "--prompts", "prompts")
_DEMO = ("run", "demo", *SIMULATED)
_PICK = ("run", "pick", *SIMULATED, "--data", "rows")
_FILTERS = ("--filter", "contradiction", "--filter", "repetition", "--max-student-tokens", "55")
_SUMS = (
    *("run", "sums", "--teacher", "gpt-3.5-turbo", "--prompts", "prompts", "--offline"),
    *("--data", "thesis/datasets/sums"),
)


def set_out(folder: Path) -> None:
    """The tasks, rows, prices and the original's folder that the commands are given."""
    for name in ("prompts", "rows", "thesis"):
        shutil.copytree(GOLDEN / name, folder / name)
    for name in ("prices.yaml", "own-models.yaml"):
        shutil.copy(GOLDEN / name, folder / name)


def demo(folder: Path) -> Found:
    """The demo task and a simulated teacher: plain, with votes and filters, and every kind of mix.

    The row of a record, what it was asked with, its draw and its answer are all in these bytes.
    """
    voted = ("--votes", "3", "--mix", "two-voices", "--rationale-rate", "0.5", *_FILTERS)
    commands: dict[str, Words] = {
        "plain": (*_DEMO, "--split", "train,valid", "--samples", "20"),
        "voted": (
            *(*_DEMO, "--split", "train,test", "--samples", "40", *voted),
            *("--rows-per-shard", "15"),
        ),
        "apart": (*_DEMO, "--samples", "30", "--mix", "apart", "--rationale-rate", "0.4"),
        "labels": (*_DEMO, "--samples", "10", "--mix", "labels"),
        "shuffled": (*_DEMO, "--samples", "20", "--split", "test", "--mix", "shuffled"),
    }
    return _of_runs(folder, commands)


def pick(folder: Path) -> Found:
    """Rows of a file: choices, structured answers, a model's own fields in the request's body."""
    return _of_runs(
        folder,
        {
            "own-fields": (*_PICK, "--models", "own-models.yaml"),
            "explained": (*_PICK, "--mix", "explained", "--votes", "2"),
        },
    )


def original(folder: Path) -> Found:
    """The original's folder: imported, and read by its own regexes and by rules of language."""
    by_regexes = ("--reader", "original")
    found = _of_runs(
        folder,
        {
            "one": (*_SUMS, "--template", "1", *by_regexes),
            "swapped": (*_SUMS, "--template", "2", *by_regexes),
            "mixed": (*_SUMS, "--mix", "original-5", *by_regexes),
            "by-rules": (*_SUMS, "--mix", "original-5"),
        },
        ("import-original", "thesis", "--prompts", "prompts"),
    )
    return {"prompts": digests(folder / "prompts" / "sums"), **found}


# Who is asked what: each is rendered, which says the key.
_ASKED: dict[str, Words] = {
    "the simulated teacher": ("demo",),
    "OpenAI": ("demo", "--teacher", "gpt-6-luna"),
    "another row and template": (
        *("demo", "--teacher", "gpt-6-luna", "--split", "test", "--row", "3"),
        *("--template", "reason-first"),
    ),
    "a host, a port and a path": (
        *("demo", "--teacher", "gpt-6-luna"),
        *("--base-url", "https://Teacher.Example:8443/deep/er/v2/"),
    ),
    "a secret in the address": (
        *("demo", "--teacher", "gpt-6-luna"),
        *("--base-url", "http://me:secret@teacher.example/v1"),
    ),
    "this machine": ("demo", "--teacher", "m", "--base-url", "http://127.0.0.1:9999/v1"),
    "structured, with options": ("pick", "--data", "rows", "--template", "as-json"),
    "a model's own fields": (
        *("pick", "--data", "rows", "--template", "as-json", "--row", "4"),
        *("--teacher", "o-large", "--models", "own-models.yaml"),
    ),
    "label and reasons apart": ("pick", "--data", "rows", "--mix", "explained", "--row", "4"),
    "the original's shuffle": ("demo", "--mix", "shuffled", "--samples", "20", "--row", "6"),
}


def keys(folder: Path) -> Found:
    """The keys of requests: stores that people paid for hang on them."""
    render = ("prompts", "render")
    shown = results(
        folder, *((*render, *words, "--prompts", "prompts") for words in _ASKED.values())
    )
    return {
        name: [request["key"] for request in each["requests"]]
        for name, each in zip(_ASKED, shown, strict=True)
    }


def new(folder: Path) -> Found:
    """A file of one's own: which rows are learnt from, selected by and judged on."""
    rows = [{"text": f"text number {n}", "kind": "odd" if n % 2 else "even"} for n in range(60)]
    (folder / "own.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    words = ("new", "own", "own.jsonl", "--label", "kind", "--prompts", "prompts")
    results(folder, (*words, "--data-out", "split"))
    return {"files": digests(folder / "split")}


def _of_runs(folder: Path, commands: dict[str, Words], *before: Words) -> Found:
    """The files of these runs, the first keys in them, and the keys of all that was answered."""
    run = [(*words, "--out", f"out/{name}") for name, words in commands.items()]
    done = results(folder, *before, *run, ("store", "export", "answers.jsonl"))
    of_runs = zip(commands, done[len(before) :], strict=False)
    return {
        "asked": {name: each["asked"] for name, each in of_runs},
        "files": digests(folder / "out"),
        "first keys": {str(path): found for path, found in _first_keys(folder / "out")},
        "keys in the store": _digest_of_keys(folder / "answers.jsonl"),
    }


def _first_keys(out: Path) -> list[tuple[Path, list[object]]]:
    """Of the first record of each split: its id, and the keys of label and rationale."""
    found: list[tuple[Path, list[object]]] = []
    for path in sorted(out.rglob("shard-00000.jsonl")):
        record = json.loads(path.read_text(encoding="utf-8").partition("\n")[0])
        asked = record["keys"]
        found.append(
            (path.parent.relative_to(out), [record["id"], asked["label"], asked["rationale"]])
        )
    return found


def _digest_of_keys(exported: Path) -> list[object]:
    """How many answers were exported, and the sha256 of their keys, a line each."""
    lines = exported.read_text(encoding="utf-8").splitlines()
    found = "".join(f"{json.loads(line)['key']}\n" for line in lines)
    return [len(lines), hashlib.sha256(found.encode()).hexdigest()]


SCENES = {"demo": demo, "pick": pick, "original": original, "keys": keys, "new": new}
