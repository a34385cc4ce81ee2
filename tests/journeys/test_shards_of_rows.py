"""One run on several machines, without an engine: shards of its rows, joined to the same bytes."""

import asyncio
import json
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest

from stepdistill.annotator.money.ceiling import budgets_in
from stepdistill.annotator.simulator.faults import Fault, FaultPlan
from stepdistill.annotator.simulator.server import SimulatorSettings
from stepdistill.annotator.store.response_store import ResponseStore
from tests.journeys.conftest import Annotate, digests
from tests.journeys.money import demo_data, with_prices
from tests.journeys.test_row_to_shard import simulator

RUN = ("run", "demo", "--teacher", "simulated", "--rows-per-shard", "40", "--quiet")
APART = "label: {label-first: 1}\nrationale: {reason-first: 1}\nseed: 3\n"


def shards(annotate: Annotate, n: int, *words: str | Path) -> Iterator[str]:
    """Run every shard on a store of its own; the folders, in no order."""
    for number in reversed(range(n)):
        own = ("--shard", f"{number}/{n}", "--store", f"store-{number}", "--out", f"out-{number}")
        done = annotate(*RUN, *words, *own)
        assert done.code == 0, done.err
        yield f"out-{number}"


@pytest.mark.parametrize(
    "words",
    [
        ("--samples", "203", "--split", "train,test"),
        ("--samples", "101", "--votes", "3"),
        ("--samples", "2"),  # fewer rows than shards
        ("--samples", "150", "--rationale-rate", "0.3"),
    ],
)
def test_shards_joined_are_byte_for_byte_one_machines(
    annotate: Annotate, tmp_path: Path, words: tuple[str, ...]
) -> None:
    assert annotate(*RUN, *words, "--store", "store", "--out", "whole").code == 0
    folders = list(shards(annotate, 3, *words))
    done = annotate("gather", *folders, "--out", "joined", "--json")
    assert (done.code, done.json["parts"]) == (0, 3), done.err
    assert digests(tmp_path / "joined") == digests(tmp_path / "whole")


def test_after_merging_stores_the_whole_asks_nothing_again(
    annotate: Annotate, tmp_path: Path
) -> None:
    words = ("--samples", "90")
    folders = list(shards(annotate, 2, *words))
    assert annotate("gather", *folders, "--out", "joined").code == 0
    merge = ("store", "merge", "store-0", "store-1", "--store", "merged", "--json")
    assert annotate(*merge).json == {"new": 90, "kept": 0}
    assert annotate(*merge).json == {"new": 0, "kept": 90}
    done = annotate(*RUN, *words, "--store", "merged", "--out", "joined", "--json")
    assert (done.json["already_done"], done.json["asked"]) == (True, 0)
    report = annotate("report", "joined", "--store", "merged", "--json")
    assert (report.code, "90" in report.out) == (0, True), report.err
    # And a shard after the whole asks nothing, either.
    shard = annotate(*RUN, *words, "--shard", "1/4", "--store", "merged", "--out", "four", "--json")
    assert (shard.json["asked"], shard.json["rows"]) == (0, 23)


def test_reasons_asked_apart_are_joined_where_every_shard_asked_for_enough(
    annotate: Annotate, tmp_path: Path
) -> None:
    words = ("--samples", "80", "--mix", "apart.yaml", "--rationale-rate", "0.5")
    (tmp_path / "apart.yaml").write_text(APART)
    done = annotate(*RUN, *words, "--store", "store", "--out", "whole")
    assert done.code == 0, done.err
    folders = list(shards(annotate, 2, *words))
    done = annotate("gather", *folders, "--out", "joined")
    if done.code == 0:
        whole, joined = (
            (tmp_path / name / "train" / "shard-00000.jsonl").read_bytes()
            for name in ("whole", "joined")
        )
        assert whole == joined
    else:
        assert "annotate store merge" in done.err


def test_parts_that_do_not_make_up_one_run_are_refused(annotate: Annotate, tmp_path: Path) -> None:
    folders = list(shards(annotate, 3, "--samples", "30"))
    other = ("--samples", "31", "--shard", "1/3", "--store", "store-1", "--out", "other")
    assert annotate(*RUN, *other).code == 0
    assert annotate(*RUN, "--samples", "30", "--store", "store-1", "--out", "whole").code == 0
    for parts, why in (
        (folders[:2], "of 3 shards shard 0 is missing"),
        ((*folders, folders[1]), "shard 1 is there twice"),
        ((folders[0], "other", folders[2]), "are not of one run"),
        (("whole", *folders[1:]), "these are all rows of their split"),
        (("nowhere",), "no split with a manifest.json"),
    ):
        done = annotate("gather", *parts, "--out", "joined")
        assert (done.code, done.err.count("\n")) == (2, 1), done.err
        assert why in done.err
        assert not (tmp_path / "joined").exists()
    assert annotate("gather", *folders, "--out", folders[0]).code == 2
    damaged = tmp_path / folders[1] / "train" / "shard-00000.jsonl"
    damaged.write_bytes(damaged.read_bytes().replace(b"a", b"b", 1))
    done = annotate("gather", *folders, "--out", "joined")
    assert (done.code, "sha256 differs" in done.err) == (2, True)


def test_a_question_of_two_shards_is_counted_by_the_one_that_comes_later(
    annotate: Annotate, tmp_path: Path
) -> None:
    rows = demo_data(tmp_path, 60).read_text(encoding="utf-8").splitlines()
    # Of the second half of the rows ten ask what the first half asks, two of them the same.
    again = [*rows[:9], rows[8]]
    others = [json.loads(row) | {"id": f"again-{n}"} for n, row in enumerate(again)]
    lines = [*rows[:50], *map(json.dumps, others)]
    (tmp_path / "twice.jsonl").write_text("\n".join(lines), encoding="utf-8")
    words = ("--data", "twice.jsonl")
    said: list[str] = []
    for number in range(2):
        own = ("--shard", f"{number}/2", "--store", f"s{number}", "--out", f"o{number}")
        said += [annotate(*RUN, *words, *own).err, annotate(*RUN, *words, *own).err]
    assert [("stand in a shard before" in each) for each in said] == [False, False, True, False]
    assert "of 29 questions to ask 9 stand in a shard before this one" in said[2]
    merge = annotate("store", "merge", "s0", "s1", "--store", "all", "--json")
    assert merge.json == {"new": 50, "kept": 9}


@pytest.mark.parametrize("word", ["2/2", "1", "0/0", "a/b", "1/4/2", "1.5/4"])
def test_a_shard_that_is_none_is_refused(annotate: Annotate, word: str) -> None:
    done = annotate(*RUN, "--shard", word)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "i from 0" in done.err


async def test_money_and_limits_are_divided_and_one_ceiling_holds_for_all(
    annotate: Annotate, tmp_path: Path
) -> None:
    with_prices(tmp_path)
    demo_data(tmp_path, 400)
    async with simulator(tmp_path) as teacher:
        words = (
            *("run", "demo", "--teacher", "priced", "--base-url", teacher.base_url),
            *("--data", "train.jsonl", "--max-cost", "0.012", "--max-tokens", "60", "--quiet"),
        )
        for number in range(3):
            own = ("--shard", f"{number}/3", "--store", f"s{number}", "--out", f"o{number}")
            done = await asyncio.to_thread(annotate, *words, *own)
            assert done.code == 3
            assert "--max-cost 0.004 USD" in done.err
        merged = ("store", "merge", "s0", "s1", "s2", "--store", "all")
        assert (await asyncio.to_thread(annotate, *merged)).code == 0
        # What the shards have spent counts: little is left, and only that is spent.
        done = await asyncio.to_thread(annotate, *words, "--store", "all", "--out", "whole")
        assert done.code == 3
        assert "0.012 USD" in done.err
        billed = [entry.outcome for entry in teacher.log.entries if entry.outcome.billed]
        tokens = sum(each.prompt_tokens + 4 * each.completion_tokens for each in billed)
        assert 9_000 < tokens <= 12_000
    with ResponseStore.open(tmp_path / "all", write=False) as store:
        budgets = budgets_in(store)
    assert list(budgets) == ["demo"]
    assert budgets["demo"].bound_usd <= 0.012


async def test_rows_not_answered_are_said_and_asked_again(
    annotate: Annotate, tmp_path: Path
) -> None:
    faults = SimulatorSettings(faults=FaultPlan(rates={Fault.BAD_REQUEST: 0.2}, seed=1))
    ways = [("--shard", f"{n}/2", "--store", f"s{n}", "--out", f"o{n}") for n in (0, 1)]
    for teachers in (ways, [("--store", "s", "--out", "whole")]):
        async with simulator(tmp_path, faults) as teacher:  # one who remembers no attempts
            words = ("run", "demo", "--teacher", "t", "--base-url", teacher.base_url)
            for own in teachers:
                await asyncio.to_thread(annotate, *words, "--samples", "40", *own)
    done = annotate("gather", "o0", "o1", "--out", "joined", "--json")
    joined, alone = (
        json.loads((tmp_path / name / "train" / "manifest.json").read_bytes())
        for name in ("joined", "whole")
    )
    assert joined == alone, done.err
    assert joined["counts"]["rejected"]


def test_gathering_again_replaces_what_it_wrote(annotate: Annotate, tmp_path: Path) -> None:
    folders = list(shards(annotate, 2, "--samples", "30"))
    for order in permutations(folders):
        assert annotate("gather", *order, "--out", "joined").code == 0
    before = digests(tmp_path / "joined")
    assert annotate(*RUN, "--samples", "30", "--store", "store", "--out", "whole").code == 0
    assert before == digests(tmp_path / "whole")
