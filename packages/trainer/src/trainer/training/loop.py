"""Step after step: learn, now and then sit the validation exam, remember the best weights."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from trainer.config import TrainConfig
from trainer.data.batches import Batch, Plan
from trainer.errors import TrainingError
from trainer.training.checkpoint import Weights, copy_weights
from trainer.training.engine import Engine, StepResult
from trainer.training.evaluation import Score


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainPoint:
    """One line of the history: losses are means over the steps since the last line."""

    step: int
    loss: float
    label_loss: float
    rationale_loss: float
    grad_norm: float
    lr: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidPoint:
    """One validation exam."""

    step: int
    accuracy: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What training left: the best step's weights and score, and how it went.

    rows, tokens: learnt from by this rank, padding not counted. seconds: without the exams.
    """

    weights: Weights
    best_step: int
    best: Score
    train_history: tuple[TrainPoint, ...]
    valid_history: tuple[ValidPoint, ...]
    rows: int
    tokens: int
    seconds: float


Watch = Callable[[int, TrainPoint | None, ValidPoint | None], None]
"""(step done, its log line if any, its exam if any) -> None; called at every step."""


def learning_rate(step: int, config: TrainConfig) -> float:
    """Linear warm-up to the peak, then linearly down to zero after the last step; from step 0."""
    warmup = min(config.warmup, config.steps // 2)
    if step < warmup:
        return config.peak_lr * (step + 1) / warmup
    return config.peak_lr * (config.steps - step) / (config.steps - warmup)


class Loop:
    """One training run; `run` is the way through it. Every rank must run it alike."""

    def __init__(
        self,
        engine: Engine,
        plan: Plan,
        validate: Callable[[], Score],
        config: TrainConfig,
        watch: Watch,
    ) -> None:
        self._engine, self._plan, self._validate = engine, plan, validate
        self._config, self._watch = config, watch
        self._unlogged: list[StepResult] = []
        self._train_history: list[TrainPoint] = []
        self._valid_history: list[ValidPoint] = []
        self._best: tuple[int, Score, Weights] | None = None
        self._rows = self._tokens = 0
        self._seconds = 0.0

    def run(self) -> Trained:
        """Train for config.steps steps. Raises TrainingError once a logged loss is no number."""
        for number in range(self._config.steps):
            self._learn(number)
            step = number + 1
            self._watch(step, self._log(step), self._sit_exam(step))
        assert self._best is not None  # the last step always sits the exam
        best_step, best, weights = self._best
        return Trained(
            weights=weights,
            best_step=best_step,
            best=best,
            train_history=tuple(self._train_history),
            valid_history=tuple(self._valid_history),
            rows=self._rows,
            tokens=self._tokens,
            seconds=self._seconds,
        )

    def _learn(self, number: int) -> None:
        began = time.perf_counter()
        batches = self._plan.step(number)
        self._unlogged.append(self._engine.step(batches, learning_rate(number, self._config)))
        self._seconds += time.perf_counter() - began
        self._count(batches)

    def _count(self, batches: list[Batch]) -> None:
        self._rows += sum(batch.rows for batch in batches)
        self._tokens += sum(batch.tokens for batch in batches)

    def _log(self, step: int) -> TrainPoint | None:
        if step % self._config.log_every and step != self._config.steps:
            return None
        label, rationale = torch.stack([r.losses for r in self._unlogged]).mean(0).tolist()
        alpha = self._config.alpha if self._config.mode == "step-by-step" else 1.0
        point = TrainPoint(
            step=step,
            loss=alpha * label + (1 - alpha) * rationale,
            label_loss=label,
            rationale_loss=rationale,
            grad_norm=self._unlogged[-1].grad_norm,
            lr=learning_rate(step - 1, self._config),
        )
        self._unlogged.clear()
        self._train_history.append(point)
        return _finite(point)

    def _sit_exam(self, step: int) -> ValidPoint | None:
        if step % self._config.eval_every and step != self._config.steps:
            return None
        score = self._validate()
        if self._best is None or score.right > self._best[1].right:
            self._best = (step, score, copy_weights(self._engine))
        point = ValidPoint(step=step, accuracy=score.accuracy, interval=score.interval)
        self._valid_history.append(point)
        return point


def _finite(point: TrainPoint) -> TrainPoint:
    if not math.isfinite(point.loss):
        raise TrainingError(
            f"step {point.step}: the loss is {point.loss}: lower --lr, lengthen --warmup or "
            "take --precision fp32"
        )
    return point
