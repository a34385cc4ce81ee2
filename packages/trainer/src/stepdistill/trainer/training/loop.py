"""Step after step: learn, validate now and then, keep what must not be lost."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from statistics import fmean as mean
from typing import Protocol

import torch

from stepdistill.trainer.data.batches import Batch
from stepdistill.trainer.data.plan import StepPlan
from stepdistill.trainer.errors import Stopped, TrainingError
from stepdistill.trainer.scores import Score
from stepdistill.trainer.settings.train import TrainSettings
from stepdistill.trainer.training.engine import Engine, StepResult


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainPoint:
    """One line of the history: losses are means over the steps since the last line."""

    step: int
    loss: float
    losses: dict[str, float]
    grad_norm: float
    lr: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidPoint:
    """One validation."""

    step: int
    accuracy: float
    interval: tuple[float, float]
    right: int
    n: int


@dataclass(slots=True, kw_only=True)
class TrainingProgress:
    """How far a run has come: what a checkpoint keeps beside the engine's own state.

    step: steps done. best_step: after which the best validation stood; 0: none yet.
    train, valid: the history. unlogged: the steps since its last line.
    rows, input_tokens, target_tokens: what this rank learnt from.
    padded: tokens of this rank, padding included.
    seconds: of training, without validation.
    """

    step: int = 0
    best_step: int = 0
    train: list[TrainPoint] = field(default_factory=list[TrainPoint])
    valid: list[ValidPoint] = field(default_factory=list[ValidPoint])
    unlogged: list[StepResult] = field(default_factory=list[StepResult])
    rows: int = 0
    input_tokens: int = 0
    target_tokens: int = 0
    padded: int = 0
    seconds: float = 0.0

    @property
    def best(self) -> ValidPoint:
        """The validation of the best step."""
        return next(point for point in self.valid if point.step == self.best_step)

    def without_a_better(self) -> int:
        """Validations since the best one."""
        return sum(point.step > self.best_step for point in self.valid)


class CheckpointSaver(Protocol):
    """What the loop asks of checkpoints."""

    def save_best(self, step: int) -> None:
        """Keep the weights of now as the best."""
        ...

    def save(self, progress: TrainingProgress) -> None:
        """Keep all that going on from here takes."""
        ...


Watch = Callable[[int, TrainPoint | None, ValidPoint | None], None]
"""(step done, its log line if any, its validation if any) -> None; called at every step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopParts:
    """Whom the loop works with. stopping: whether somebody asked the run to stop."""

    engine: Engine
    plan: StepPlan
    validate: Callable[[], Score]
    saver: CheckpointSaver
    watches: Sequence[Watch]
    stopping: Callable[[], bool]


class Loop:
    """One training run; `run` is the way through it. Every rank must run it alike."""

    def __init__(self, parts: LoopParts, config: TrainSettings, progress: TrainingProgress) -> None:
        self._parts, self._config, self._progress = parts, config, progress
        self._table = config.table()
        self._terms = [task.name for task in self._table] + ["mutual"] * bool(config.mutual)

    def run(self) -> None:
        """Train to the last step. Raises TrainingError (not finite), Stopped (asked to)."""
        progress = self._progress
        for step, batches in self._prefetched():
            self._learn(step, batches)
            progress.step = step + 1
            line, valid = self._log(), self._validate()
            for watch in self._parts.watches:
                watch(progress.step, line, valid)
            # Asked on every rank, for they stop together.
            stop = self._parts.engine.world.any(self._parts.stopping())
            is_early = self._stops_early()
            # Before leaving, so that going on, or judging, starts from this very step.
            if stop or is_early or self._is_due(self._config.checkpoint_every):
                self._parts.saver.save(progress)
            if is_early:
                return
            if stop and progress.step < self._config.steps:
                raise Stopped(f"stopped after step {progress.step}: the same command goes on there")

    def _prefetched(self) -> Iterator[tuple[int, list[Batch]]]:
        """Each step's batches; the next ones are made while these are learnt."""
        plan, steps = self._parts.plan, range(self._progress.step, self._config.steps)
        with ThreadPoolExecutor(max_workers=1) as pool:
            upcoming = [pool.submit(plan.step, step) for step in steps[:1]]
            for step in steps:
                batches = upcoming.pop().result()
                upcoming += [pool.submit(plan.step, step + 1)]
                yield step, batches

    def _learn(self, step: int, batches: list[Batch]) -> None:
        began = time.perf_counter()
        engine, config, progress = self._parts.engine, self._config, self._progress
        # Every step has a random state of its own, so a run that goes on draws the same.
        torch.manual_seed(hash((config.seed, step, engine.world.rank)))
        result = engine.step(batches, config.learning_rate(step), self._weights(step))
        progress.unlogged.append(_finite(result, step + 1))
        progress.seconds += time.perf_counter() - began
        progress.rows += sum(batch.rows for batch in batches)
        progress.input_tokens += sum(batch.input_tokens for batch in batches)
        progress.target_tokens += sum(batch.target_tokens for batch in batches)
        progress.padded += sum(batch.padded for batch in batches)

    def _weights(self, step: int) -> tuple[float, ...]:
        done = step / max(1, self._config.steps - 1)
        weights = [task.weight_at(done) for task in self._table]
        return tuple(weights + [self._config.mutual] * bool(self._config.mutual))

    def _is_due(self, every: int) -> bool:
        step = self._progress.step
        return step % every == 0 or step == self._config.steps

    def _log(self) -> TrainPoint | None:
        if not self._is_due(self._config.log_every):
            return None
        step = self._progress.step
        unlogged = self._progress.unlogged
        losses = [mean(values) for values in zip(*(r.losses for r in unlogged), strict=True)]
        point = TrainPoint(
            step=step,
            loss=sum(w * loss for w, loss in zip(self._weights(step - 1), losses, strict=True)),
            losses=dict(zip(self._terms, losses, strict=True)),
            grad_norm=unlogged[-1].grad_norm,
            lr=self._config.learning_rate(step - 1),
        )
        unlogged.clear()
        self._progress.train.append(point)
        return point

    def _validate(self) -> ValidPoint | None:
        if not self._is_due(self._config.eval_every):
            return None
        score, progress = self._parts.validate(), self._progress
        point = ValidPoint(
            step=progress.step,
            accuracy=score.accuracy,
            interval=score.interval,
            right=score.right,
            n=score.n,
        )
        progress.valid.append(point)
        # At a tie the earlier student stays: the history alone decides, on every rank alike.
        if not progress.best_step or point.right > progress.best.right:
            progress.best_step = progress.step
            self._parts.saver.save_best(progress.step)
        return point

    def _stops_early(self) -> bool:
        patience = self._config.patience
        return bool(patience) and self._progress.without_a_better() >= patience


def _finite(result: StepResult, step: int) -> StepResult:
    if not all(map(math.isfinite, (*result.losses, result.grad_norm))):
        raise TrainingError(
            f"step {step}: the loss or its gradient is not finite: lower --lr, lengthen --warmup "
            "or take --precision fp32"
        )
    return result
