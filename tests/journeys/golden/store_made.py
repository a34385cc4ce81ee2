"""Makes `store.mdb.gz`: a small store in which every kind of value lies that a store can hold.

Answers of each mode and finish, packed before there was a dictionary and with it; failures; notes
of runs, an experiment, a search and a probe; a budget that has paid, and holds money for a batch;
of the ledger a part that is collected, one that was cancelled half answered, so that some of its
requests are free to be asked again, and one that is open.
"""

import gzip
import hashlib
import json
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

import lmdb

from tests.journeys.conftest import ANNOTATE
from tests.journeys.golden.commands import Words, results
from tests.journeys.golden.scenes import SIMULATED
from tests.journeys.golden.store_scenes import BUDGET, EXPERIMENT, PACKED, SEARCH, STORE, run_of

_FAULTS = ("content_policy=0.06", "content_filter=0.1", "length=0.1")
_FILLERS = 1000
_PAYING = (*BUDGET, "--max-cost", "1")


def make_store(folder: Path) -> None:
    """Write `store.mdb.gz`. folder: where the commands are run; prompts and prices lie there."""
    faults = [word for each in _FAULTS for word in ("--fault", each)]
    with _teacher(folder, "--mix", "two-voices", *faults) as url:
        _run(folder, (*run_of("voted"), *_PAYING, "--base-url", url))
    _let_it_train(folder)
    _run(folder, EXPERIMENT)
    _run(folder, SEARCH)
    _run(folder, ("estimate", "demo", *SIMULATED, "--split", "valid", "--probe", "3"))
    with _teacher(folder, "--split", "valid") as url:
        _run(folder, (*run_of("batched"), *_PAYING, "--batch-api", "--base-url", url))
    leaving = ("--batch-api", "--no-wait", "--base-url")
    with _teacher(folder, "--split", "test", "--batch-fault", "finished=0.5") as url:
        _run(folder, (*run_of("half"), *leaving, url))
        _run(folder, ("batch", "cancel", "2"))
        _run(folder, ("batch", "collect"))
    slow = ("--template", "reason-first", "--batch-seconds", "3600")
    with _teacher(folder, "--split", "test", *slow) as url:
        _run(folder, (*run_of("held"), *_PAYING, *leaving, url))
    _pack(folder / STORE)


def _run(folder: Path, words: Words) -> None:
    results(folder, words)
    time.sleep(1.1)  # whose an answer is follows from the second in which it was asked


@contextmanager
def _teacher(folder: Path, *words: str) -> Generator[str]:
    """The address of a simulated teacher of the demo task."""
    command = [ANNOTATE, "simulate", "demo", "--prompts", "prompts", "--port", "0", *words]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()


def _let_it_train(folder: Path) -> None:
    """Bring in as many answers as a dictionary is trained on, and take them out again."""
    results(folder, ("store", "export", "few.jsonl"))
    few = [json.loads(line) for line in (folder / "few.jsonl").read_text().splitlines()]
    keys = [hashlib.sha256(b"filler %d" % number).hexdigest() for number in range(_FILLERS)]
    lines = [
        json.dumps({**few[number % len(few)], "key": key, "request_id": f"filler-{number}"})
        for number, key in enumerate(keys)
    ]
    (folder / "many.jsonl").write_text("".join(f"{line}\n" for line in lines))
    results(folder, ("store", "import", "many.jsonl"))
    with closing(lmdb.open(str(folder / STORE), max_dbs=8, map_size=1 << 30)) as env:
        answers = env.open_db(b"responses")
        with env.begin(answers, write=True) as txn:
            for key in keys:
                assert txn.delete(bytes.fromhex(key))


def _pack(store: Path) -> None:
    """Its pages without gaps; values are left as they were packed, as `store compact` would not."""
    with tempfile.TemporaryDirectory() as folder:
        with closing(lmdb.open(str(store), max_dbs=8, map_size=1 << 30)) as env:
            env.copy(folder, compact=True)
        PACKED.write_bytes(gzip.compress((Path(folder) / "data.mdb").read_bytes(), mtime=0))
