"""Rows are written as far as the answers reach and on from there, in one pass over the rows."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stepdistill.annotator.plan.plan import Plan
from stepdistill.annotator.prompt.mix import Mix, single
from stepdistill.annotator.run.write import SplitWriter, fingerprint
from stepdistill.annotator.settings.shards import ShardSettings
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.common.errors import DatasetError, ShardError
from stepdistill.common.files.json_file import RawRow
from stepdistill.common.manifest import MANIFEST_NAME
from stepdistill.common.shards import read_manifest, verify
from tests.annotator.made import an_answer
from tests.annotator.plan.test_plan import a_plan

TWO = ShardSettings(rows_per_shard=2)
APART = Mix(label={"plain": 1.0}, rationale={"long": 1.0})


def told(_: int) -> None:
    pass


class CountedPasses:
    """The rows of a plan's source, and how often they were read."""

    def __init__(self, plan: Plan) -> None:
        self.begun = 0
        self._rows = plan.source.rows
        self.plan = replace(plan, source=replace(plan.source, rows=self.rows))

    def rows(self) -> Iterator[RawRow]:
        self.begun += 1
        return self._rows()


def answer(store: ResponseStore, plan: Plan, rows: Iterable[int]) -> None:
    planned = list(plan.rows())
    keys = [request.key for number in rows for request in planned[number].requests]
    store.put([(key, an_answer(f"Label: {key[0] % 5}\nRationale: See.")) for key in keys], [])


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def write(plan: Plan, store: ResponseStore, folder: Path) -> None:
    with SplitWriter(plan, folder, TWO) as shards:
        shards.write_rest(store, told)


def test_where_all_answers_are_there_the_rows_are_read_once(tmp_path: Path, store: ResponseStore):
    counted = CountedPasses(a_plan(tmp_path, single("plain")))
    answer(store, counted.plan, range(3))
    counted.begun = 0

    with SplitWriter(counted.plan, tmp_path / "out", TWO) as shards:
        assert shards.write_answered(store, told)
        assert shards.written == 3
        shards.write_rest(store, told)

    assert counted.begun == 1


@pytest.mark.parametrize("mix", [single("plain"), APART])
@pytest.mark.parametrize("first", [[], [0], [0, 1], [0, 2], [1, 2], [2]])
def test_shards_are_the_same_wherever_the_answers_end_at_first(
    tmp_path: Path, store: ResponseStore, mix: Mix, first: list[int]
):
    plan = a_plan(tmp_path, mix)
    answer(store, plan, first)
    with SplitWriter(plan, tmp_path / "on", TWO) as shards:
        assert not shards.write_answered(store, told)
        assert shards.written == next(row for row in range(3) if row not in first)
        answer(store, plan, range(3))
        shards.write_rest(store, told)
    write(plan, store, tmp_path / "once")

    assert content(tmp_path / "on") == content(tmp_path / "once")
    verify(tmp_path / "on", read_manifest(tmp_path / "on"))


def test_a_row_that_stays_without_an_answer_is_rejected(tmp_path: Path, store: ResponseStore):
    plan = a_plan(tmp_path, single("plain"))
    answer(store, plan, [0, 2])
    with SplitWriter(plan, tmp_path / "out", TWO) as shards:
        assert not shards.write_answered(store, told)
        manifest = shards.write_rest(store, told)

    assert (manifest.counts.records, manifest.counts.rejected) == (2, {"no_answer": 1})
    assert manifest.answers == 2


@pytest.mark.parametrize("trouble", [DatasetError("a broken line"), KeyboardInterrupt()])
def test_a_run_that_ends_early_leaves_the_shards_of_the_last_one(
    tmp_path: Path, store: ResponseStore, trouble: BaseException
):
    plan = a_plan(tmp_path, single("plain"))
    answer(store, plan, [0, 1])
    write(plan, store, tmp_path / "out")
    before = content(tmp_path / "out")

    with pytest.raises(type(trouble)), SplitWriter(plan, tmp_path / "out", TWO) as shards:
        shards.write_answered(store, told)
        raise trouble

    assert content(tmp_path / "out") == before


def test_a_run_that_ends_before_its_first_row_leaves_no_folder(
    tmp_path: Path, store: ResponseStore
):
    folder = tmp_path / "runs" / "sums" / "train"
    with (
        pytest.raises(DatasetError),
        SplitWriter(a_plan(tmp_path, single("plain")), folder, TWO) as out,
    ):
        out.write_answered(store, told)
        raise DatasetError("no")

    assert not (tmp_path / "runs").exists()


def test_a_folder_that_cannot_be_written_is_found_before_anything_is_asked(tmp_path: Path):
    (tmp_path / "out").touch()

    with pytest.raises(ShardError, match="cannot be written here"):
        SplitWriter(a_plan(tmp_path, single("plain")), tmp_path / "out", TWO).__enter__()
    assert MANIFEST_NAME not in {path.name for path in tmp_path.iterdir()}


def test_how_answers_are_read_is_in_the_fingerprint_where_it_is_not_as_usual(tmp_path: Path):
    plan = a_plan(tmp_path, single("plain"))
    usual = ShardSettings()
    others = (ShardSettings(min_confidence=0.5), ShardSettings(rationale_from="thinking"))

    found = {fingerprint(plan, each) for each in (usual, replace(usual), *others)}
    assert len(found) == 3
