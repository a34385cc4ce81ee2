"""One optimizer step: the same numbers however its rows are shared out."""

import copy
from dataclasses import replace

import pytest

from stepdistill.trainer.data.batches import Layout
from stepdistill.trainer.data.plan import Sharing, StepPlan, StepSettings
from stepdistill.trainer.model.student import Student
from stepdistill.trainer.training.engine import Engine, EngineSettings, StepResult, World
from tests.trainer.made_tokens import lengthy_rows, tokens_of

TOKENS = tokens_of(lengthy_rows(24))
WHOLE = StepSettings(batch_size=8, seed=1)
# Small, because Adam makes a large step of a rounding error where a gradient is nearly zero.
LR = 1e-5


def _steps(
    student: Student, world: World, plan: StepPlan, **settings: int | bool
) -> list[StepResult]:
    own = replace(student, model=copy.deepcopy(student.model))
    engine = Engine(own, EngineSettings(**settings), world)  # pyright: ignore[reportArgumentType]
    return [engine.step(plan.step(number), LR, (0.5, 0.5)) for number in range(3)]


@pytest.mark.parametrize(
    "sharing", [Sharing(accumulate=4), Sharing(accumulate=8), Sharing(most_tokens=90)]
)
@pytest.mark.parametrize("zero", [0, 1, 2])
def test_micro_batches_change_nothing(
    student: Student, world: World, sharing: Sharing, zero: int
) -> None:
    plan = StepPlan(TOKENS, replace(WHOLE, sharing=sharing))
    assert len(plan.step(0)) >= 4
    whole = _steps(student, world, StepPlan(TOKENS, WHOLE))
    for one, many in zip(whole, _steps(student, world, plan, zero=zero), strict=True):
        assert many.losses == pytest.approx(one.losses, rel=1e-5)
        assert many.grad_norm == pytest.approx(one.grad_norm, rel=1e-5)


def test_lengths_that_are_rounded_up_change_nothing(student: Student, world: World) -> None:
    whole = _steps(student, world, StepPlan(TOKENS, WHOLE))
    rounded = _steps(student, world, StepPlan(TOKENS, replace(WHOLE, layout=Layout(round_to=8))))
    for one, padded in zip(whole, rounded, strict=True):
        assert padded.losses == pytest.approx(one.losses, rel=1e-5)
        assert padded.grad_norm == pytest.approx(one.grad_norm, rel=1e-5)


@pytest.mark.parametrize(
    ("sharing", "layout"),
    [
        (Sharing(), Layout(pack=64)),
        (Sharing(accumulate=4), Layout(pack=40, round_to=8)),
        (Sharing(most_tokens=160), Layout(pack=48)),
    ],
)
def test_inputs_that_share_lines_change_nothing(
    student: Student, world: World, sharing: Sharing, layout: Layout
) -> None:
    plan = StepPlan(TOKENS, replace(WHOLE, sharing=sharing, layout=layout))
    lines = [len(batch.input_ids) for number in range(3) for batch in plan.step(number)]
    asked = [task.counts(plan.rows(number)) > 0 for task in TOKENS for number in range(3)]
    assert sum(lines) < 0.8 * sum(here.sum() for here in asked)
    whole = _steps(student, world, StepPlan(TOKENS, WHOLE))
    for one, packed in zip(whole, _steps(student, world, plan), strict=True):
        assert packed.losses == pytest.approx(one.losses, rel=1e-5)
        assert packed.grad_norm == pytest.approx(one.grad_norm, rel=1e-5)


def test_bf16_keeps_close_to_fp32(student: Student, world: World) -> None:
    whole = _steps(student, world, StepPlan(TOKENS, WHOLE))
    half = _steps(student, world, StepPlan(TOKENS, WHOLE), bf16=True)
    for one, other in zip(whole, half, strict=True):
        assert other.losses == pytest.approx(one.losses, rel=0.02)
        assert other.losses != one.losses
