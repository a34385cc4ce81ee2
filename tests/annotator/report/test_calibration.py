"""A teacher that is right as often as it is sure is found to be so, and one that is not as well."""

from random import Random

import pytest

from stepdistill.annotator.report.calibration import TeacherCalibration
from stepdistill.common.kinds.registry import kind_of
from stepdistill.common.record import PartRef, Record
from stepdistill.common.task import ClassSpec, LabelSpec

KIND = kind_of(LabelSpec(kind="classes", classes={n: ClassSpec() for n in ("a", "b", "c")}))


def a_record(
    gold: str | None = "a",
    probs: dict[str, float] | None = None,
    votes: dict[str, int] | None = None,
    label: str = "a",
) -> Record:
    nothing = PartRef(label=None, rationale=None)
    return Record(
        id="1",
        split="train",
        index=0,
        input={},
        label=label,
        rationale=None,
        gold=gold,
        templates=nothing,
        keys=nothing,
        confidence=0.99,
        label_probs=probs,
        label_votes=votes,
        label_confidence=votes[label] / sum(votes.values()) if votes else None,
    )


def counted(*records: Record) -> TeacherCalibration:
    found = TeacherCalibration()
    for record in records:
        found.add(record, KIND)
    return found


def test_who_is_right_as_often_as_sure_has_no_error():
    rng, records = Random(1), list[Record]()
    for _ in range(20_000):
        sure = rng.uniform(0.4, 1.0)
        gold = "a" if rng.random() < sure else rng.choice("bc")
        records.append(a_record(gold=gold, probs={"a": sure, "b": (1 - sure) / 2}))
    found = counted(*records)
    assert (found.rows, found.source) == (20_000, "logprobs")
    assert found.ece < 0.01
    assert all(each.bounds[0] - 0.02 < each.said < each.bounds[1] + 0.02 for each in found.bins)


def test_who_is_surer_than_right_has_the_difference():
    wrong, right = a_record(gold="b", probs={"a": 0.9}), a_record(probs={"a": 0.9})
    found = counted(wrong, right)
    assert found.ece == pytest.approx(0.4)
    assert [(each.low, each.high, each.rows) for each in found.bins] == [(0.9, 0.95, 2)]
    # What is missing to 1 is shared by the labels that are not listed.
    assert found.nll == pytest.approx(-(-2.9957 - 0.1054) / 2, abs=1e-3)


def test_votes_count_where_nothing_else_is_told():
    found = counted(a_record(votes={"a": 4, "b": 1}), a_record(probs={"a": 0.9998}))
    assert found.source == "logprobs and votes"
    assert found.brier == pytest.approx((0.04 + 0.04) / 2, abs=1e-3)
    assert counted(a_record(votes={"a": 1})).bins[0].said == 1.0


def test_nothing_is_said_where_nothing_is_known():
    assert counted(a_record(gold=None, probs={"a": 1.0}), a_record()).facts is None


def test_the_worst_loss_is_bounded():
    sure = a_record(gold="c", probs={"a": 0.9, "b": 0.1})
    assert counted(sure).nll == pytest.approx(9.21, abs=0.01)
