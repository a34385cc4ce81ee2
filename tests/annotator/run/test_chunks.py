"""Chunks of rows: whoever works on them, and whatever happens to him, the same comes of them."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stepdistill.annotator.dataset.sources import open_source
from stepdistill.annotator.plan.plan import Plan, RowCursor
from stepdistill.annotator.prompt.mix import Mix, single
from stepdistill.annotator.run.chunks import ONE_CORE, Cores, in_chunks, usable_cores
from stepdistill.annotator.run.conclusions import ConcludeChunk, ConcludedChunk, Concluder
from stepdistill.annotator.run.rationale_rate import ration
from stepdistill.annotator.run.write import SplitWriter
from stepdistill.annotator.settings.rows import RowShard
from stepdistill.annotator.settings.shards import ShardSettings
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.common.errors import DatasetError, DistillError, StoreError
from stepdistill.common.judgements import answer_digest, row_digest
from tests.annotator.dataset.made import a_task, write_rows
from tests.annotator.made import an_answer
from tests.annotator.plan.test_plan import a_plan

N = 120
HALVES = {"plain": 0.5, "long": 0.5}
APART = Mix(label={"plain": 1.0}, rationale={"long": 1.0})
ORIGINAL = Mix(assignment="original", label=HALVES, rationale=HALVES)
# Of the four chunks of seven rows that this process may be ahead, the other gets two.
TWO = Cores(processes=2, chunk_rows=7, from_answers=1, at_once=True)


def a_plan_of_many(folder: Path, mix: Mix, name: str = "many.jsonl", **changes: Any) -> Plan:
    rows = [{"uid": str(n), "text": f"text {n}"} for n in range(N)]
    task = a_task(id="uid")
    source = open_source(task, str(write_rows(folder / name, rows)), "train")
    return a_plan(folder, mix, source=source, **changes)


def answer_all(store: ResponseStore, plan: Plan, rows: slice = slice(None)) -> None:
    """Most have a label, some of these no reasons; some repeat the row, and some are cut off."""
    keys = [each.key for row in list(plan.rows())[rows] for each in row.requests]
    store.put([(key, an_answer(**answer_to(key))) for key in keys], [])


def answer_to(key: bytes) -> dict[str, Any]:
    if key[0] % 7 == 0:
        return {"text": "Label:", "finish": "length", "limit": 5}
    reasons = ("", "\nRationale: It is said in so many words.", "\nRationale: text")[key[1] % 3]
    return {"text": f"Label: {key[2] % 3}{reasons}", "cost_usd": key[3] / 1e5}


def judge(path: Path, plan: Plan) -> Path:
    """Somebody says another label of every third row."""
    lines: list[str] = []
    for planned in list(plan.rows())[::3]:
        row = row_digest(planned.row.id, planned.row.fields)
        line = {"at": 1.0, "judge": "ann", "split": "train", "id": planned.row.id, "row": row}
        said = {"answer": answer_digest(row, "1"), "label": "1", "verdict": "wrong", "right": "9"}
        lines.append(json.dumps({**line, **said}))
    path.write_text("\n".join(lines) + "\n")
    return path


def written(
    plan: Plan, store: ResponseStore, folder: Path, settings: ShardSettings, cores: Cores
) -> dict[str, bytes]:
    with SplitWriter(plan, folder, settings, None, cores) as split:
        if settings.rationale_rate < 1:
            ration([split], settings.rationale_rate, store, lambda _: None)
        split.write_rest(store, lambda _: None)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("mix", "name", "changes"),
    [
        (single("plain"), "many.csv", {"votes": 3, "row_shard": RowShard(1, 3)}),
        (APART, "many.jsonl.gz", {"samples": 101}),
        (ORIGINAL, "many.jsonl", {}),
    ],
)
def test_shards_are_the_same_by_two_processes_as_by_one(
    tmp_path: Path, store: ResponseStore, mix: Mix, name: str, changes: dict[str, Any]
):
    plan = a_plan_of_many(tmp_path, mix, name, **changes)
    answer_all(store, plan)
    settings = ShardSettings(
        rows_per_shard=13,
        rationale_rate=1.0 if "votes" in changes else 0.3,
        filters=frozenset({"repetition"}),
        judgements=judge(tmp_path / "judged.jsonl", plan),
    )

    one = written(plan, store, tmp_path / "one", settings, ONE_CORE)
    assert written(plan, store, tmp_path / "two", settings, TWO) == one
    manifest = json.loads(one["manifest.json"])
    assert manifest["counts"]["rejected"] or "votes" in changes
    assert manifest["judgements"]["golds"]
    assert children() == []


def test_on_from_where_answers_ended_the_shards_are_the_same(tmp_path: Path, store: ResponseStore):
    plan = a_plan_of_many(tmp_path, single("plain"))
    settings = ShardSettings(rows_per_shard=13)
    answer_all(store, plan, slice(0, 60))
    with SplitWriter(plan, tmp_path / "two", settings, None, TWO) as split:
        assert not split.write_answered(store, lambda _: None)
        assert split.written == 60
        answer_all(store, plan)
        split.write_rest(store, lambda _: None)

    one = written(plan, store, tmp_path / "one", settings, ONE_CORE)
    assert {path.name: path.read_bytes() for path in (tmp_path / "two").iterdir()} == one


def chunks_of(
    plan: Plan, store: ResponseStore, cores: Cores = TWO
) -> "closing[Generator[ConcludedChunk]]":
    concluder = Concluder(plan=plan, settings=ShardSettings())
    work = ConcludeChunk(concluder=concluder, stop_unanswered=False)
    return closing(in_chunks(work, RowCursor(plan), 0, store, cores))


def children() -> list[int]:
    """The processes of this one that work on chunks."""
    return working_for(os.getpid())


def working_for(parent: int) -> list[int]:
    found: list[int] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            owner = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            words = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if owner == parent and b"run.workers" in words:
            found.append(int(folder.name))
    return found


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_what_a_killed_process_had_is_done_by_this_one(
    tmp_path: Path, store: ResponseStore, ending: signal.Signals
):
    plan = a_plan_of_many(tmp_path, single("plain"))
    answer_all(store, plan)
    with chunks_of(plan, store) as chunks:
        ids = [next(chunks).records.blocks()]
        (child,) = children()
        os.kill(child, ending)
        ids += [chunk.records.blocks() for chunk in chunks]
    with chunks_of(plan, store, Cores(processes=1, chunk_rows=7)) as chunks:
        assert ids == [chunk.records.blocks() for chunk in chunks]
    assert children() == []


def test_who_leaves_early_leaves_no_process(tmp_path: Path, store: ResponseStore):
    plan = a_plan_of_many(tmp_path, single("plain"))
    answer_all(store, plan)
    with chunks_of(plan, store) as chunks:
        next(chunks)
        assert len(children()) == 1
    assert children() == []


def break_a_row(folder: Path, plan: Plan, store: ResponseStore) -> None:
    lines = (folder / "many.jsonl").read_bytes().splitlines(keepends=True)
    lines[80] = b"{}\n"
    (folder / "many.jsonl").write_bytes(b"".join(lines))


def break_an_answer(folder: Path, plan: Plan, store: ResponseStore) -> None:
    key = list(plan.rows())[80].label.key
    store.write(lambda txn: txn.put(key, b"damaged", db=store.database("responses")))


@pytest.mark.parametrize(
    ("spoil", "kind", "why"),
    [(break_a_row, DatasetError, "row 80"), (break_an_answer, StoreError, "is damaged")],
)
def test_what_is_wrong_is_said_as_by_one_process(
    tmp_path: Path,
    store: ResponseStore,
    spoil: Callable[[Path, Plan, ResponseStore], None],
    kind: type[DistillError],
    why: str,
):
    plan = a_plan_of_many(tmp_path, single("plain"))
    answer_all(store, plan)
    spoil(tmp_path, plan, store)
    fresh = a_plan(
        tmp_path,
        single("plain"),
        source=open_source(plan.task, str(tmp_path / "many.jsonl"), "train"),
    )
    told: list[str] = []
    for cores in (ONE_CORE, TWO):
        with pytest.raises(kind, match=why) as caught, chunks_of(fresh, store, cores) as chunks:
            list(chunks)
        told.append(str(caught.value))
    assert told[0] == told[1]


def test_rows_that_lie_elsewhere_are_read_by_one_process(tmp_path: Path, store: ResponseStore):
    plan = a_plan_of_many(tmp_path, single("plain"))
    answer_all(store, plan)
    held = list(plan.source.rows())
    sources = [
        # Neither can be had by another process; of the hub nobody knows how many there are.
        {"rows": lambda: iter(held), "count": lambda: None, "is_local": is_local}
        for is_local in (True, False)
    ]
    for changes in sources:
        other = replace(plan, source=replace(plan.source, **changes))
        with chunks_of(other, store) as chunks:
            assert sum(chunk.rows for chunk in chunks) == N
            assert children() == []


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv"])
def test_another_process_reads_the_same_rows(tmp_path: Path, name: str):
    plan = a_plan_of_many(tmp_path, ORIGINAL, name, votes=2)
    assert list(pickle.loads(pickle.dumps(plan)).rows()) == list(plan.rows())


def test_a_cursor_goes_on_back_and_over_rows(tmp_path: Path):
    plan = a_plan_of_many(tmp_path, ORIGINAL)
    rows, cursor = list(plan.rows()), RowCursor(plan)
    for start, stop in (
        (0, 5),
        (5, 9),
        (8, 20),
        (30, 31),
        (3, 6),
        (100, 999),
        (N + 5, 999),
        (1, 3),
    ):
        assert list(cursor.rows(start, stop)) == rows[start:stop]
    next(cursor.rows(50))  # and is left
    assert list(cursor.rows(50, 52)) == rows[50:52]


RUN = """
import sys
from pathlib import Path
from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.run.chunks import Cores
from stepdistill.annotator.run.pipeline import run
from stepdistill.annotator.settings.run import RunSettings
settings = RunSettings(task="demo", teacher="simulated", samples=60, out=Path(sys.argv[1]))
cores = Cores(processes=2, chunk_rows=7, from_answers=1, at_once=len(sys.argv) > 2)
run(settings, ConsoleOutput(quiet=True), cores)
"""


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_run_leaves_neither_process_nor_shards(tmp_path: Path, ending: signal.Signals):
    command = [sys.executable, "-c", RUN]
    subprocess.run([*command, "one"], cwd=tmp_path, check=True)
    run = subprocess.Popen([*command, "two", "at once"], cwd=tmp_path, stderr=subprocess.DEVNULL)
    while not (found := working_for(run.pid)):
        assert run.poll() is None
        time.sleep(0.01)
    os.kill(found[0], signal.SIGSTOP)  # so the run waits for it
    run.send_signal(ending)
    assert run.wait() != 0
    if ending != signal.SIGINT:
        os.kill(found[0], signal.SIGCONT)
    waited_until = time.monotonic() + 20
    while Path(f"/proc/{found[0]}").exists():
        assert time.monotonic() < waited_until
        time.sleep(0.05)
    left = list((tmp_path / "two").rglob("*.json*"))
    assert [path for path in left if path.suffix != ".part"] == []

    subprocess.run([*command, "two"], cwd=tmp_path, check=True)
    names = [path.name for path in (tmp_path / "one" / "train").iterdir()]
    for name in names:
        assert (tmp_path / "two/train" / name).read_bytes() == (
            tmp_path / "one/train" / name
        ).read_bytes()
    assert len(names) == len(list((tmp_path / "two/train").iterdir()))


def test_no_more_cores_are_used_than_there_are():
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)
    command = "from stepdistill.annotator.run.chunks import usable_cores; print(usable_cores())"
    cpu = min(os.sched_getaffinity(0))
    one = f"import os; os.sched_setaffinity(0, {{{cpu}}}); {command}"
    done = subprocess.run([sys.executable, "-c", one], capture_output=True, check=True)
    assert done.stdout == b"1\n"
