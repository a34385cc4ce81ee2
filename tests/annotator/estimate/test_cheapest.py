"""The cheapest way that is done in time: modes, tiers and hosts against each other."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.estimate.cheapest import Ways, choose_cheapest, find_ways, ways_facts
from stepdistill.annotator.estimate.run_estimate import Knowledge
from stepdistill.annotator.money.prices import OwnPrices
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.study.metadata import Metadata
from stepdistill.common.errors import ConfigError

PROMPTS = Path(__file__).parents[3] / "prompts"
KNOWN = Knowledge(own=OwnPrices(), metadata=Metadata(task="demo"), day=date(2026, 12, 1))
HOUR_S = 3600.0
FLEX, BATCH = "flex, then online at OpenAI", "batches, then online at OpenAI"


@pytest.fixture(autouse=True)
def no_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "OPENROUTER_API_KEY", "GROQ_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def config(teacher: str = "gpt-4o-mini", **changes: Any) -> RunSettings:
    made = RunSettings(
        task="demo",
        splits=("train",),
        teacher=teacher,
        prompts=PROMPTS,
        store=Path("store"),
        out=Path("out"),
        samples=100,
        requests_per_minute=60,
    )
    return replace(made, **changes)


def ways(by_h: float, **changes: Any) -> Ways:
    return find_ways(config(**changes), KNOWN, by_h * HOUR_S)


def test_the_cheapest_that_is_in_time_is_chosen():
    found = ways(18)
    assert [way.name for way in found.ways] == [FLEX, BATCH, "online at OpenAI"]
    assert found.chosen is not None and found.chosen is found.ways[0]
    cost = {way.name: way.usd.likely for way in found.ways}
    assert cost[FLEX] == pytest.approx(cost["online at OpenAI"] / 2)
    assert found.chosen.config.tier == "flex" and found.chosen.config.tier_fallback
    assert "1.0 requests a second, by the limits given" in found.basis


def test_where_time_is_short_only_what_is_fast_remains():
    online = ways(0.05).chosen  # 3 min; 100 s online, and a little
    assert online is not None and online.name == "online at OpenAI"
    assert ways(0.01).chosen is None


def test_batches_are_left_early_enough_to_ask_the_rest_online():
    (batch,) = [way for way in ways(3).ways if way.name == BATCH]
    wait_s = batch.config.batch.fallback_online_after_s
    assert batch.config.batch_api and wait_s is not None
    assert wait_s + 100 <= batch.done_s <= 3 * HOUR_S
    (batch,) = [way for way in ways(40).ways if way.name == BATCH]
    assert batch.config.batch.fallback_online_after_s == 24 * HOUR_S
    assert batch.usd.high >= batch.usd.likely


def test_other_hosts_count_whose_key_is_set(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or")
    names = [way.name for way in ways(18).ways]
    assert "online, as openrouter:openai/gpt-4o-mini" in names


def test_the_way_is_shown_before_it_is_taken(capsys: pytest.CaptureFixture[str]):
    chosen = choose_cheapest(config(cheapest_by_s=18 * HOUR_S), ConsoleOutput())
    assert chosen.tier == "flex" and chosen.cheapest_by_s is None
    shown = capsys.readouterr().out
    assert f"taken: {FLEX}" in shown and "at most" in shown
    assert max(map(len, shown.splitlines()[:5])) <= 80


def test_no_way_in_time_is_one_line():
    with pytest.raises(ConfigError, match=r"no way is done within 1 min; the fastest takes 3 min"):
        choose_cheapest(config(cheapest_by_s=60.0), ConsoleOutput(quiet=True))


def test_what_programs_read_of_it():
    facts = ways_facts(ways(18))
    assert facts["chosen"] == FLEX and facts["by_s"] == 18 * HOUR_S


@pytest.mark.parametrize("changes", [{"batch_api": True}, {"tier": "flex"}, {"offline": True}])
def test_who_chooses_the_way_does_not_have_it_chosen(changes: dict[str, Any]):
    with pytest.raises(ConfigError, match="--cheapest-by chooses"):
        config(cheapest_by_s=60.0, **changes)
