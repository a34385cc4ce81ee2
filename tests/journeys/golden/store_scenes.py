"""Scenes over the store that an earlier version wrote: opened, read, replayed and continued.

`store.mdb.gz` was made by `store_made.py`, and is made again only where another schema is meant:
what it stands for are the stores that people have.
"""

import gzip
import hashlib
from contextlib import closing
from pathlib import Path

import lmdb

from tests.journeys.conftest import digests
from tests.journeys.golden.commands import Words, many, results
from tests.journeys.golden.scenes import GOLDEN, SIMULATED, Found

PACKED = GOLDEN / "store.mdb.gz"
STORE = Path("runs") / "store"
BUDGET = ("--budget", "golden")

_RUN = ("run", "demo", *SIMULATED)
VOTED = (*_RUN, "--mix", "two-voices", "--votes", "3")
BATCHED = (*_RUN, "--split", "valid")
HALF = (*_RUN, "--split", "test")
HELD = (*_RUN, "--split", "test", "--template", "reason-first")
# How many rows of each the store was asked about.
ROWS = {"voted": (VOTED, 24), "batched": (BATCHED, 12), "half": (HALF, 10), "held": (HELD, 6)}
EXPERIMENT = ("experiment", "demo", *SIMULATED, "--test-size", "8")
SEARCH = (
    *("optimize", "demo", *SIMULATED, "--seed", "7", "--iterations", "2", "--candidates", "3"),
    *("--test-size", "12", "--held-out", "8", "--problems", "2", "--out", "search"),
)
# A little more than `BUDGET` has paid and holds: nothing else can be afforded under it.
_CEILING_USD = "0.0301"
_OF_A_PART = ("number", "run", "task", "sha256", "requests", "tokens", "state", "done", "cancelled")


def unpack(folder: Path) -> None:
    """The store, where commands look for it."""
    (folder / STORE).mkdir(parents=True)
    (folder / STORE / "data.mdb").write_bytes(gzip.decompress(PACKED.read_bytes()))


def run_of(name: str, rows: int | None = None, out: str = "out") -> Words:
    """The run of this name, over as many rows as the store was asked about, or as these."""
    words, asked = ROWS[name]
    return (*words, "--samples", str(rows or asked), "--out", f"{out}/{name}")


def opened(folder: Path) -> Found:
    """All that it holds is read: answers and failures, runs and what they paid, parts of batches.

    A report says more than these figures; how it is laid out may change, what it counts may not.
    """
    unpack(folder)
    info, verified, _, report, batches = results(
        folder,
        ("store", "info"),
        ("store", "verify"),
        ("store", "export", "answers.jsonl"),
        ("report", STORE),
        ("batch", "list"),
    )
    return {
        "info": info,
        "verified": verified,
        "exported": hashlib.sha256((folder / "answers.jsonl").read_bytes()).hexdigest(),
        "paid": {by: report[by] for by in ("total", "by_run", "by_mode", "by_template")},
        "runs": {
            run["name"]: {
                **{name: run[name] for name in ("kind", "task", "teacher", "saved_usd", "paid")},
                "starts": run["starts"],
            }
            for run in report["runs"]
        },
        "parts": [{name: part[name] for name in _OF_A_PART} for part in batches["parts"]],
    }


def replayed(folder: Path) -> Found:
    """Shards from its answers alone, before and after it is written anew by `store compact`."""
    unpack(folder)
    before = [(*run_of(name), "--offline") for name in ROWS]
    after = [(*run_of(name, out="again"), "--offline") for name in ROWS]
    done = results(folder, *before, ("store", "compact"), *after)
    return {
        "rejected": {
            name: each["rejected_by_reason"] for name, each in zip(ROWS, done, strict=False)
        },
        "files": digests(folder / "out"),
        "files after compacting": digests(folder / "again"),
    }


def studied(folder: Path) -> Found:
    """An experiment and a search are played again: the same rows and proposals are asked."""
    unpack(folder)
    experiment, search = results(folder, EXPERIMENT, SEARCH)
    return {
        "asked": {"experiment": experiment["asked"], "search": search["asked"]},
        "winner": search["winner"]["id"],
        "experiment": digests(folder / "runs" / "demo"),
        "search": digests(folder / "search"),
        "known as": _names(folder / STORE, "accounts"),
    }


def continued(folder: Path) -> Found:
    """More rows, or as many: only what is missing is asked, and what had failed."""
    unpack(folder)
    more = {"batched": 20, "half": 10, "voted": 30}
    first = [run_of(name, rows) for name, rows in more.items()]
    second = [run_of(name, rows, "again") for name, rows in more.items()]
    done = results(folder, *first, *second)
    done, again = done[: len(more)], done[len(more) :]
    return {
        "rows": more,
        "asked": {name: each["asked"] for name, each in zip(more, done, strict=True)},
        "cached": {name: each["cached"] for name, each in zip(more, done, strict=True)},
        "asked again": {name: each["asked"] for name, each in zip(more, again, strict=True)},
        "files": digests(folder / "out"),
        "known as": _names(folder / STORE, "accounts"),
    }


def spent(folder: Path) -> Found:
    """Its open batch can be given up: its requests are known, and are then free to be asked; what
    is held for it is lost, so its budget has nothing left where another of that ceiling has."""
    unpack(folder)
    ceiling = ("--max-cost", _CEILING_USD)
    given_up, poor, rich, held = many(
        folder,
        ("batch", "cancel", "3", "--forget", "--json"),
        (*run_of("voted", 30), *BUDGET, *ceiling, "--json"),
        (*run_of("voted", 30), "--budget", "another", *ceiling, "--json"),
        (*run_of("held"), "--json"),
    )
    return {
        "exit codes": [done.code for done in (given_up, poor, rich, held)],
        "state of the batch": given_up.json["parts"][0]["state"],
        "asked under another budget": rich.json["asked"],
        "asked of the batch's": held.json["asked"],
        "batches": _names(folder / STORE, "batches"),
        "claims": {key.hex(): claim.hex() for key, claim in _entries(folder / STORE, "claims")},
    }


def _names(store: Path, database: str) -> list[str]:
    """What entries are called in a store; no command tells it."""
    return [key.decode() for key, _ in _entries(store, database)]


def _entries(store: Path, database: str) -> list[tuple[bytes, bytes]]:
    with closing(lmdb.open(str(store), max_dbs=8, readonly=True)) as env:
        opened = env.open_db(database.encode(), create=False)
        with env.begin(opened) as txn:
            return [(bytes(key), bytes(value)) for key, value in txn.cursor()]


STORE_SCENES = {
    "store opened": opened,
    "store replayed": replayed,
    "store studied": studied,
    "store continued": continued,
    "store spent": spent,
}
