"""All that touches DeepSpeed: the ranks, what they exchange, one optimizer step."""

import logging
import os
import warnings
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from torch import distributed

# DeepSpeed looks for an accelerator as soon as it is imported, and warns where it finds none.
if not torch.cuda.is_available():
    os.environ.setdefault("DS_ACCELERATOR", "cpu")

import deepspeed

from stepdistill.trainer.data.batches import Batch
from stepdistill.trainer.errors import TrainingError
from stepdistill.trainer.model.losses import TaskLosses, weigh
from stepdistill.trainer.model.student import Student
from stepdistill.trainer.training.on_cpu import plain_attention, quick_dropout

STATE_NAME = "state"

# Weights (their number) that a rank holds whole beside its own part, forwards and backwards, and
# gradients that it gathers at once. DeepSpeed's own are a billion: all of most students.
_AT_HAND = 20_000_000
_SPREAD = {
    "stage3_max_live_parameters": _AT_HAND,
    "stage3_max_reuse_distance": _AT_HAND,
    "stage3_prefetch_bucket_size": _AT_HAND // 2,
    "reduce_bucket_size": _AT_HAND,
}

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The processes of this run. Every method must be called by all of them, in the same order."""

    rank: int
    size: int
    device: torch.device
    local_rank: int = 0

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

    def broadcast(self, values: torch.Tensor) -> None:
        """Rank 0's values into everybody's."""
        if self.size > 1:
            distributed.broadcast(values, src=0)

    def any(self, value: bool) -> bool:
        """Whether it is true on any rank."""
        return self.sum(torch.tensor([float(value)], device=self.device)).item() > 0

    def from_first(self, value: _T | None) -> _T:
        """Rank 0's value; what the other ranks pass is not looked at."""
        box: list[Any] = [value]
        if self.size > 1:
            distributed.broadcast_object_list(box, src=0)
        return cast(_T, box[0])


def start() -> World:
    """Join the other ranks; RANK, WORLD_SIZE and MASTER_* must be in the environment.

    Raises TrainingError where they cannot meet.
    """
    # On a CPU DeepSpeed would compile a shared-memory op first, for most of a minute; gloo does.
    cast(dict[str, bool], deepspeed.ops.__compatible_ops__)["deepspeed_shm_comm"] = False
    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
    # DeepSpeed calls collectives by names that torch is about to change; no user can help that.
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"torch\.distributed")
    device = torch.device("cpu")
    if os.environ.get("DS_ACCELERATOR") != "cpu":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    try:
        if not deepspeed.comm.is_initialized():
            deepspeed.init_distributed(verbose=False)
    except (distributed.DistNetworkError, distributed.DistStoreError) as error:
        where = f"{os.environ['MASTER_ADDR']}, port {os.environ['MASTER_PORT']}"
        reason = str(error).strip().splitlines()[0]
        raise TrainingError(
            f"the ranks cannot meet at {where}; if another run is there, give "
            f"`deepspeed --master_port` a free one ({reason})"
        ) from None
    return World(
        rank=distributed.get_rank(),
        size=distributed.get_world_size(),
        device=device,
        local_rank=int(os.environ["LOCAL_RANK"]),
    )


def stop() -> None:
    """Leave the other ranks."""
    if deepspeed.comm.is_initialized():
        deepspeed.comm.destroy_process_group()


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """What DeepSpeed must know."""

    zero: int = 0  # stage
    bf16: bool = False
    clip: float = 1.0  # the gradient's norm at most
    weight_decay: float = 0.0
    mutual: bool = False  # one more term of the loss
    universal: bool = False  # load a checkpoint that was converted for other ranks

    @property
    def stage(self) -> int:
        """The ZeRO stage at work. In bf16 it is ZeRO that keeps the fp32 masters; on one rank stage
        1 shards nothing."""
        return max(self.zero, 1) if self.bf16 else self.zero


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """One optimizer step."""

    losses: tuple[float, ...]  # of each term, over its total on all ranks
    grad_norm: float  # of the whole step, before clipping


class Engine:
    """A student under training. Every rank must make the same calls."""

    def __init__(self, student: Student, settings: EngineSettings, world: World) -> None:
        self.world = world
        self._settings = settings
        self._losses = TaskLosses(student, mutual=settings.mutual)
        self._zero = settings.stage
        self._clips_itself = self._zero == 0
        self._student = student
        optimizer = torch.optim.AdamW(
            self._losses.parameters(), lr=0.0, weight_decay=settings.weight_decay, fused=True
        )
        # The learning rate is set at every step; DeepSpeed's own schedules are not used.
        started = deepspeed.initialize(
            model=self._losses, optimizer=optimizer, config=self._config(), dist_init_required=False
        )
        self._engine = started[0]
        # DeepSpeed's own optimizer, or the one above; either way it has torch's param_groups.
        self._optimizer = cast(torch.optim.Optimizer, started[1])

    def step(self, batches: list[Batch], lr: float, weights: tuple[float, ...]) -> StepResult:
        """One optimizer step over this rank's micro-batches. weights: of each term's loss."""
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        self._engine.train()
        sums = torch.zeros(len(weights), device=self.world.device)
        with ExitStack() as stack:
            if self.world.device.type == "cpu":
                stack.enter_context(quick_dropout())
                stack.enter_context(plain_attention(self._student))
            for batch in batches:
                sums += self._learn(batch, weights, last=batch is batches[-1])
        grad_norm = self._finish()
        losses = zip(self.world.sum(sums).tolist(), batches[0].totals, strict=True)
        return StepResult(
            losses=tuple(loss / total if total else 0.0 for loss, total in losses),
            grad_norm=grad_norm,
        )

    @property
    def model(self) -> TaskLosses:
        """The student with its losses. Of ZeRO-3 each rank has but its part: see `whole`."""
        return self._losses

    @contextmanager
    def whole(self, weight: torch.Tensor, *, changed: bool = False) -> Generator[None]:
        """Within it, one weight has all its values, which ZeRO-3 else spreads over the ranks: one
        at a time, since no rank may have room for all of them.

        changed: it is written inside; rank 0's values then hold everywhere.
        """
        if self._zero < 3 or not isinstance(weight, torch.nn.Parameter):
            yield
            return
        with deepspeed.zero.GatheredParameters([weight], modifier_rank=0 if changed else None):
            yield

    @property
    def in_lockstep(self) -> bool:
        """Whether all ranks must run the same layers the same number of times."""
        return self._zero == 3

    @property
    def resizable_as_it_is(self) -> bool:
        """Whether a checkpoint suits any number of ranks: without ZeRO all hold the same."""
        return self._zero == 0

    def save(self, folder: Path) -> None:
        """Write weights and optimizer into folder/state."""
        self._engine.save_checkpoint(str(folder), tag=STATE_NAME, save_latest=False)

    def load(self, folder: Path, tag: str) -> None:
        """Read what `save` wrote, or what it was converted to."""
        self._engine.load_checkpoint(str(folder), tag=tag)

    def _learn(self, batch: Batch, weights: tuple[float, ...], *, last: bool) -> torch.Tensor:
        self._engine.set_gradient_accumulation_boundary(last)
        sums = self._engine(batch.to(self.world.device))
        # DeepSpeed means over ranks; the losses are shares of a sum already.
        self._engine.backward(weigh(sums, batch.totals, weights) * self.world.size)
        return sums.detach()

    def _finish(self) -> float:
        if self._clips_itself:
            norm = torch.nn.utils.clip_grad_norm_(self._losses.parameters(), self._settings.clip)
            self._engine.step()
        else:
            self._engine.step()
            norm = self._engine.get_global_grad_norm() or 0.0
        return float(norm)

    def _config(self) -> dict[str, object]:
        settings = self._settings
        return {
            # Only the product counts here: how many micro-batches a step has, the plan decides.
            "train_micro_batch_size_per_gpu": 1,
            "gradient_accumulation_steps": 1,
            # Plain fp32 tells nobody the norm it clips by, so that case is done in _finish.
            "gradient_clipping": 0.0 if self._clips_itself else settings.clip,
            "zero_optimization": {"stage": self._zero, **(_SPREAD if self._zero == 3 else {})},
            "bf16": {"enabled": settings.bf16},
            "checkpoint": {"load_universal": settings.universal},
            "steps_per_print": None,
        }
