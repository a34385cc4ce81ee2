"""A search over a live teacher: stopped by its ceiling, taken further, replayed for nothing."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from stepdistill.annotator.errors import CeilingReached
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.study.metadata import load_metadata
from stepdistill.annotator.study.optimize.history import read_history
from stepdistill.annotator.study.optimize.report import as_html, facts
from tests.annotator.study.optimize.searching import a_teacher, billed_usd, search


def test_a_ceiling_ends_a_search_and_a_higher_one_takes_it_further(tmp_path: Path) -> None:
    with a_teacher(tmp_path, seed=7) as teacher:
        low = search(tmp_path, teacher, 7, ceiling="0.08", iterations=3)
        billed, before = billed_usd(teacher), read_history(low.history)
        high = search(tmp_path, teacher, 7, ceiling="1", iterations=3)
        n_asked = len(teacher.log.entries)
        replay = search(tmp_path, teacher, 7, ceiling="1", iterations=3)
        assert len(teacher.log.entries) == n_asked
    assert 0.05 < billed <= Decimal("0.08")
    assert low.stopped
    assert low.iterations < high.iterations
    assert read_history(high.history)[: len(before)] == before
    with ResponseStore.open(tmp_path / "store", write=False) as store:
        assert len(store) == n_asked == low.spent.asked + high.spent.asked
    assert high.spent.search_usd == pytest.approx(float(billed_usd(teacher)))
    assert replay.spent.asked == 0
    assert facts(replay) == facts(high) | {
        "asked": 0,
        "cached": n_asked,
        "cost_usd": 0.0,
    }


def test_the_report_says_what_the_winner_is_worth_and_how_it_was_found(tmp_path: Path) -> None:
    with a_teacher(tmp_path, seed=7) as teacher:
        found = search(tmp_path, teacher, 7, iterations=2, held_out=40)
    sure = found.confirmation
    assert found.found_better
    assert sure is not None
    assert sure.held_out.gain.rows == 40
    assert not sure.held_out.winner.correct.keys() & sure.searched.winner.correct.keys()
    searched, held_out = sure.searched.winner.score, sure.held_out.winner.score
    assert sure.bias == pytest.approx(searched.accuracy - held_out.accuracy)
    counts = found.counts()
    assert sum(counts.values()) == 16
    assert counts["scored"] + counts["stopped"] < 16
    bests = [line.best_score or 0 for line in found.lines]
    assert bests == sorted(bests)
    scores = load_metadata(found.metadata, "demo").results[0].templates
    assert scores[found.winner.id].correct == searched.correct
    assert len(scores) == 3 + counts["scored"] + counts["stopped"]
    page = as_html(found)
    assert found.winner.id in page
    assert f"{100 * held_out.accuracy:.1f} %" in page


def test_a_ceiling_below_the_start_is_an_error_of_its_own(tmp_path: Path) -> None:
    with a_teacher(tmp_path, seed=7) as teacher, pytest.raises(CeilingReached, match="--max-cost"):
        search(tmp_path, teacher, 7, ceiling="0.004")


def test_a_search_says_when_nothing_better_was_found_or_can_be_confirmed(tmp_path: Path) -> None:
    with a_teacher(tmp_path, seed=1) as teacher:
        nothing = search(tmp_path, teacher, 1, iterations=1, candidates=1, test_size=4)
        unsure = search(tmp_path, teacher, 1, iterations=2, held_out=0)
    assert not nothing.found_better
    assert "no template did better" in str(nothing.unconfirmed)
    assert as_html(replace(nothing, stopped="--max-cost: so it was"))
    assert unsure.found_better
    assert "no rows are left" in str(unsure.unconfirmed)
