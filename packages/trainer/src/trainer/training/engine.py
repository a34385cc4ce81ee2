"""DeepSpeed behind a small door: the ranks, what they tell each other, one optimizer step."""

import logging
import os
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
from torch import distributed

# DeepSpeed looks for an accelerator as soon as it is imported, and warns where it finds none.
if not torch.cuda.is_available():
    os.environ.setdefault("DS_ACCELERATOR", "cpu")

import deepspeed

from trainer.data.batches import Batch
from trainer.model.losses import TaskLosses, weigh
from trainer.model.student import Student

CLIP = 1.0

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The processes of this run. Every method must be called by all of them, in the same order."""

    rank: int
    size: int
    device: torch.device

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """The values summed over the ranks, on all of them."""
        if self.size > 1:
            distributed.all_reduce(values)
        return values

    def gather(self, value: _T) -> list[_T]:
        """Each rank's value, in the order of the ranks."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        distributed.all_gather_object(values, value)
        return cast(list[_T], values)

    def from_first(self, value: _T | None) -> _T:
        """Rank 0's value; what the other ranks pass is not looked at."""
        box: list[Any] = [value]
        if self.size > 1:
            distributed.broadcast_object_list(box, src=0)
        return cast(_T, box[0])


def start() -> World:
    """Join the other ranks; RANK, WORLD_SIZE and MASTER_* must be in the environment."""
    # On a CPU DeepSpeed would compile a shared-memory op first, for most of a minute; gloo does.
    cast(dict[str, bool], deepspeed.ops.__compatible_ops__)["deepspeed_shm_comm"] = False
    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
    # DeepSpeed calls collectives by names that torch is about to change; no user can help that.
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"torch\.distributed")
    device = torch.device("cpu")
    if os.environ.get("DS_ACCELERATOR") != "cpu":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    if not deepspeed.comm.is_initialized():
        deepspeed.init_distributed(verbose=False)
    return World(rank=distributed.get_rank(), size=distributed.get_world_size(), device=device)


def stop() -> None:
    """Leave the other ranks."""
    if deepspeed.comm.is_initialized():
        deepspeed.comm.destroy_process_group()


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """What DeepSpeed must know. batch_size: rows a step, over all ranks and micro-batches."""

    batch_size: int
    accumulate: int
    zero: int
    bf16: bool
    alpha: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """One optimizer step. losses: (2,) label and rationale, each over its tokens on all ranks.

    grad_norm: of the whole step, before clipping.
    """

    losses: torch.Tensor
    grad_norm: float


class Engine:
    """A student under training. Every rank must make the same calls."""

    def __init__(self, student: Student, settings: EngineSettings, world: World) -> None:
        self._settings = settings
        self._world = world
        self._losses = TaskLosses(student.model)
        # In bf16 it is ZeRO that keeps the fp32 masters; on one rank stage 1 shards nothing.
        self._zero = max(settings.zero, 1) if settings.bf16 else settings.zero
        self._clips_itself = self._zero == 0
        optimizer = torch.optim.AdamW(self._losses.parameters(), lr=0.0, weight_decay=0.0)
        started = deepspeed.initialize(
            model=self._losses, optimizer=optimizer, config=self._config(), dist_init_required=False
        )
        self._engine = started[0]
        # DeepSpeed's own optimizer, or the one above; either way it has torch's param_groups.
        self._optimizer = cast(torch.optim.Optimizer, started[1])

    def step(self, batches: list[Batch], lr: float) -> StepResult:
        """One optimizer step over this rank's micro-batches."""
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        sums = torch.zeros(2, device=self._world.device)
        self._engine.train()
        for batch in batches:
            sums += self._learn(batch)
        grad_norm = self._finish()
        per_token = torch.tensor([batches[0].label_tokens, max(1, batches[0].rationale_tokens)])
        losses = self._world.sum(sums) / per_token.to(sums.device)
        return StepResult(losses=losses, grad_norm=grad_norm)

    @contextmanager
    def whole_model(self, *, changed: bool = False) -> Generator[TaskLosses]:
        """The model with all its weights at hand, which ZeRO-3 else spreads over the ranks.

        changed: the weights are written inside; rank 0's then hold everywhere.
        """
        if self._zero < 3:
            yield self._losses
            return
        parameters = list(self._losses.parameters())
        with deepspeed.zero.GatheredParameters(parameters, modifier_rank=0 if changed else None):
            yield self._losses

    @property
    def in_lockstep(self) -> bool:
        """Whether all ranks must run the same layers the same number of times."""
        return self._zero == 3

    def _learn(self, batch: Batch) -> torch.Tensor:
        device = self._world.device
        reasons = batch.rationale_ids
        sums = self._engine(
            batch.input_ids.to(device),
            batch.mask.to(device),
            batch.label_ids.to(device),
            None if reasons is None else reasons.to(device),
        )
        # DeepSpeed means over ranks and micro-batches; the losses are shares of a sum already.
        shares = self._world.size * self._settings.accumulate
        self._engine.backward(weigh(sums, batch, self._settings.alpha) * shares)
        if not self._engine.is_gradient_accumulation_boundary():
            self._engine.step()
        return sums.detach()

    def _finish(self) -> float:
        if self._clips_itself:
            norm = torch.nn.utils.clip_grad_norm_(self._losses.parameters(), CLIP)
            self._engine.step()
        else:
            self._engine.step()
            norm = self._engine.get_global_grad_norm() or 0.0
        return float(norm)

    def _config(self) -> dict[str, object]:
        settings = self._settings
        return {
            "train_batch_size": settings.batch_size,
            "gradient_accumulation_steps": settings.accumulate,
            # Plain fp32 tells nobody the norm it clips by, so that case is done in _finish.
            "gradient_clipping": 0.0 if self._clips_itself else CLIP,
            "zero_optimization": {"stage": self._zero},
            "bf16": {"enabled": settings.bf16},
            "steps_per_print": None,
        }
