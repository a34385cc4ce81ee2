"""The words of `annotate simulate`: what they mean, and a clear line where they mean nothing."""

import pytest

from stepdistill.annotator.commands.simulate import batch_settings, simulator_settings
from stepdistill.annotator.settings.simulate import SimulateSettings
from stepdistill.annotator.simulator.batch.log import CallKind
from stepdistill.annotator.simulator.faults import Fault
from stepdistill.annotator.simulator.server import SimulatedModel
from stepdistill.common.errors import ConfigError


def settings_of(faults: list[str], call_faults: list[str] | None = None) -> SimulateSettings:
    return SimulateSettings(
        "demo",
        batch_seconds=6.0,
        batch_window=60.0,
        batch_tokens=1000,
        batch_faults=tuple(faults),
        call_faults=tuple(call_faults or []),
        seed=7,
    )


def test_what_they_mean():
    words = settings_of(
        ["finished=0.5", "strangers=2", "server_error=0.1", "length=0.2", "fails=any_code"],
        ["batches.create:lost=0.3", "batches.create:dropped=0.1", "files.content:torn=1"],
    )
    settings = batch_settings(words)

    plan = settings.plan
    assert (plan.finished, plan.strangers, plan.fails) == (0.5, 2, "any_code")
    assert (plan.repeated, plan.left_out) == (0, 0)
    assert plan.rows.rates == {Fault.SERVER_ERROR: 0.1, Fault.LENGTH: 0.2}
    assert (plan.times.validating_s, plan.times.running_s, plan.times.finalizing_s) == (1, 4, 1)
    assert (plan.times.window_s, settings.limits.enqueued_tokens, settings.seed) == (60, 1000, 7)
    assert settings.calls[CallKind.CREATE].rates == {Fault.LOST: 0.3, Fault.DROPPED: 0.1}
    assert settings.calls[CallKind.DOWNLOAD].rates == {Fault.TORN: 1.0}


@pytest.mark.parametrize(
    ("faults", "call_faults", "hint"),
    [
        (["finished=much"], [], "finished: 'much' is not a number"),
        (["strangers=nan"], [], "not a number"),
        (["finished=2"], [], "shares"),
        (["torn=0.1"], [], "cannot befall a row"),
        (["unheard=0.1"], [], "--batch-fault unheard=0.1: .*kinds:"),
        (["server_error"], [], "not a number"),
        ([], ["batches.make:lost=0.1"], "batches.create"),
        ([], ["lost=0.1"], "not CALL:KIND=SHARE"),
        ([], ["batches.create:length=0.1"], "cannot befall a call of batches.create"),
    ],
)
def test_words_that_mean_nothing(faults: list[str], call_faults: list[str], hint: str):
    with pytest.raises(ConfigError, match=hint):
        batch_settings(settings_of(faults, call_faults))


@pytest.mark.parametrize("word", ["torn", "torn=", "torn=nan", "torn=some"])
def test_a_share_that_is_not_a_number(word: str):
    with pytest.raises(ConfigError, match="not a number"):
        simulator_settings(SimulateSettings("demo", faults=(word,)))


def test_models_and_their_last_days():
    words = SimulateSettings("demo", models=("one", "two=2027-01-14"))
    assert simulator_settings(words).models == (
        SimulatedModel(id="one"),
        SimulatedModel(id="two", shutdown_date="2027-01-14"),
    )
    with pytest.raises(ConfigError, match="--model two=soon: write the date as"):
        simulator_settings(SimulateSettings("demo", models=("two=soon",)))
