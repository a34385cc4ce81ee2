"""The rate is that of the shards, low rates are part of higher ones, nothing is asked in vain."""

from pathlib import Path
from typing import Any

import pytest

from stepdistill.annotator.dataset.sources import open_source
from stepdistill.annotator.plan.plan import Plan, Unanswered
from stepdistill.annotator.prompt.mix import Mix, single
from stepdistill.annotator.run.rationale_rate import ration
from stepdistill.annotator.run.write import SplitWriter
from stepdistill.annotator.settings.shards import ShardSettings
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.common.manifest import Manifest
from stepdistill.common.shards import read_records
from tests.annotator.dataset.made import a_task, write_rows
from tests.annotator.made import an_answer
from tests.annotator.plan.test_plan import a_plan

N = 200
APART = Mix(label={"plain": 1.0}, rationale={"long": 1.0})


class Teacher:
    """Answers into the store, with reasons in four answers of five, and keeps count."""

    def __init__(self, store: ResponseStore) -> None:
        self.store = store
        self.asked: list[bytes] = []
        self.rounds = 0

    def settle(self, rests: list[Unanswered]) -> None:
        self.rounds += 1
        for rest in rests:
            keys = [each.key for each in rest.requests() if each.key not in self.store]
            self.asked += keys
            self.store.put([(key, self._answer(key)) for key in keys], [])

    def _answer(self, key: bytes) -> Any:
        reasons = "" if key[0] % 5 == 0 else "\nRationale: It is said in so many words."
        return an_answer(f"Label: yes{reasons}")


def a_plan_of_many(folder: Path, mix: Mix, **changes: Any) -> Plan:
    rows = [{"uid": str(n), "text": f"text {n}"} for n in range(N)]
    source = open_source(a_task(), str(write_rows(folder / "many.jsonl", rows)), "train")
    return a_plan(folder, mix, source=source, **changes)


def shards(
    plan: Plan, store: ResponseStore, folder: Path, rate: float, teacher: Teacher
) -> tuple[Manifest, set[str], list[str]]:
    """The manifest, the rows that have reasons, and what was told."""
    with SplitWriter(plan, folder, ShardSettings(rationale_rate=rate)) as split:
        told = ration([split], rate, store, teacher.settle)
        manifest = split.write_rest(store, lambda _: None)
    records = list(read_records(folder, manifest))
    return manifest, {r.id for r in records if r.rationale is not None}, told


@pytest.mark.parametrize("mix", [single("plain"), APART])
def test_the_rate_is_that_of_the_shards_and_low_rates_are_in_higher_ones(
    tmp_path: Path, store: ResponseStore, mix: Mix
):
    plan = a_plan_of_many(tmp_path, mix)
    before: set[str] = set()
    for rate in (0.0, 0.1, 0.25, 0.5, 0.75):
        manifest, explained, told = shards(plan, store, tmp_path / f"{rate}", rate, Teacher(store))
        assert len(explained) == round(rate * N)
        assert manifest.counts.records == N
        assert before <= explained
        assert told == []
        assert manifest.rationales is not None
        assert (manifest.rationales.records, manifest.rationales.asked_rate) == (
            len(explained),
            rate,
        )
        before = explained


def test_a_rate_out_of_reach_keeps_what_there_is_and_says_so(tmp_path: Path, store: ResponseStore):
    manifest, explained, told = shards(
        a_plan_of_many(tmp_path, single("plain")), store, tmp_path / "out", 0.95, Teacher(store)
    )

    assert len(told) == 1
    assert f"{len(explained)} of {N} records have reasons" in told[0]
    assert 0.7 * N < len(explained) < 0.9 * N
    assert manifest.counts.records == N


def test_reasons_of_their_own_template_are_paid_for_as_far_as_they_are_used(
    tmp_path: Path, store: ResponseStore
):
    teacher = Teacher(store)
    shards(a_plan_of_many(tmp_path, APART), store, tmp_path / "out", 0.25, teacher)

    wanted = round(0.25 * N)
    assert len(teacher.asked) == len(set(teacher.asked))
    assert wanted < len(teacher.asked) - N < 1.6 * wanted
    assert teacher.rounds >= 2


def test_a_replay_asks_nobody_and_gives_the_same_bytes(tmp_path: Path, store: ResponseStore):
    plan = a_plan_of_many(tmp_path, APART)
    shards(plan, store, tmp_path / "asked", 0.3, Teacher(store))
    nobody = Teacher(store)
    shards(plan, store, tmp_path / "replayed", 0.3, nobody)

    assert nobody.asked == []
    for path in (tmp_path / "asked").iterdir():
        assert path.read_bytes() == (tmp_path / "replayed" / path.name).read_bytes()


def test_more_rows_at_the_end_change_nobody_s_number(tmp_path: Path):
    few = a_plan_of_many(tmp_path, single("plain"), samples=N // 2)
    all_rows = a_plan_of_many(tmp_path, single("plain"))

    numbers = [few.uniform(planned.row) for planned in few.rows()]
    assert numbers == [all_rows.uniform(planned.row) for planned in all_rows.rows()][: N // 2]
