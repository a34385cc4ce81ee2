"""Step after step: learn, validate now and then, keep what must not be lost."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

import torch

from stepdistill.trainer.data.batches import Batch
from stepdistill.trainer.data.plan import StepPlan
from stepdistill.trainer.errors import Stopped, TrainingError
from stepdistill.trainer.settings.tasks import Table
from stepdistill.trainer.settings.train import SelectBy, TrainSettings
from stepdistill.trainer.training.checkpoint import (
    Checkpoints,
    TrainingProgress,
    TrainPoint,
    ValidPoint,
)
from stepdistill.trainer.training.engine import Engine
from stepdistill.trainer.training.selection import Validation, select

Watch = Callable[[int, TrainPoint | None, ValidPoint | None], None]
"""(step done, its log line if any, its validation if any) -> None; called at every step."""


@dataclass(frozen=True, kw_only=True)
class Loop:
    """One training run; `run` is the way through it. Every rank must run it alike."""

    config: TrainSettings
    progress: TrainingProgress  # grows with every step
    engine: Engine
    plan: StepPlan
    checkpoints: Checkpoints
    validate: Callable[[], Validation]
    watches: Sequence[Watch]
    stopping: Callable[[], bool]  # whether somebody asked the run to stop

    @cached_property
    def _table(self) -> Table:
        return self.config.table()

    @cached_property
    def _select_by(self) -> SelectBy:
        return self.config.selected_by

    def run(self) -> None:
        """Train to the last step. Raises TrainingError (not finite), Stopped (asked to)."""
        progress = self.progress
        if self._is_early():  # killed behind its last step, before its results
            return
        for step, batches in self._prefetched():
            self._learn(step, batches)
            progress.step = step + 1
            line, valid = self._log(), self._validate()
            for watch in self.watches:
                watch(progress.step, line, valid)
            # Asked on every rank, for they stop together.
            stop = self.engine.world.any(self.stopping())
            # Before leaving, so that going on, or judging, starts from this very step.
            is_early = self._is_early()
            if stop or is_early or self._is_due(self.config.checkpoint_every):
                self.checkpoints.save(progress)
            if is_early:
                return
            if stop and progress.step < self.config.steps:
                raise Stopped(f"stopped after step {progress.step}: the same command goes on there")

    def _is_early(self) -> bool:
        """Whether nothing better has come for so long that training ends."""
        return 0 < self.config.patience <= self.progress.without_a_better()

    def _prefetched(self) -> Iterator[tuple[int, list[Batch]]]:
        """Each step's batches; the next ones are made while these are learnt."""
        steps = range(self.progress.step, self.config.steps)
        # One thread is enough: a step takes longer to learn than to lay out.
        with ThreadPoolExecutor(max_workers=1) as pool:
            upcoming = [pool.submit(self.plan.step, step) for step in steps[:1]]
            for step in steps:
                batches = upcoming.pop().result()
                upcoming += [pool.submit(self.plan.step, step + 1)]
                yield step, batches

    def _learn(self, step: int, batches: list[Batch]) -> None:
        began = time.perf_counter()
        config, progress = self.config, self.progress
        # Every step has a random state of its own, so a run that goes on draws the same.
        torch.manual_seed(hash((config.seed, step, self.engine.world.rank)))
        result = self.engine.step(batches, config.learning_rate(step), self._weights(step))
        if not all(map(math.isfinite, (*result.losses, result.grad_norm))):
            raise TrainingError(
                f"step {step + 1}: the loss or its gradient is not finite: lower --lr, lengthen "
                "--warmup or take --precision fp32"
            )
        progress.unlogged.append(result)
        progress.seconds += time.perf_counter() - began
        progress.rows += sum(batch.rows for batch in batches)
        progress.input_tokens += sum(batch.input_tokens for batch in batches)
        progress.target_tokens += sum(batch.target_tokens for batch in batches)
        progress.padded += sum(batch.padded for batch in batches)

    def _weights(self, step: int) -> tuple[float, ...]:
        done = step / max(1, self.config.steps - 1)
        weights = [task.weight_at(done) for task in self._table]
        return tuple(weights + [self.config.mutual] * bool(self.config.mutual))

    def _is_due(self, every: int) -> bool:
        step = self.progress.step
        return step % every == 0 or step == self.config.steps

    def _log(self) -> TrainPoint | None:
        if not self._is_due(self.config.log_every):
            return None
        step, unlogged = self.progress.step, self.progress.unlogged
        losses = [fmean(values) for values in zip(*(r.losses for r in unlogged), strict=True)]
        names = [task.name for task in self._table] + ["mutual"] * bool(self.config.mutual)
        point = TrainPoint(
            step=step,
            loss=sum(w * loss for w, loss in zip(self._weights(step - 1), losses, strict=True)),
            losses=dict(zip(names, losses, strict=True)),
            grad_norm=unlogged[-1].grad_norm,
            lr=self.config.learning_rate(step - 1),
        )
        unlogged.clear()
        self.progress.train.append(point)
        return point

    def _validate(self) -> ValidPoint | None:
        if not self._is_due(self.config.eval_every):
            return None
        # The history alone decides, so on every rank alike.
        point = select(self.progress, self.validate(), self._select_by)
        if self.progress.best_step == point.step:
            self.checkpoints.save_best(point.step)
        return point
