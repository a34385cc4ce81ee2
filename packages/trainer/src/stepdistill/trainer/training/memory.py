"""Whether a rank has room for its part of weights, gradients and optimizer: asked before it starts.

A system that lacks memory kills the process that asks for it, and that says nothing any more.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import torch

from stepdistill.trainer.errors import TrainingError
from stepdistill.trainer.training.engine import EngineSettings, World

_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")
_HELD = Path("/proc/self/statm")
_GIB = 1 << 30


def check_memory(model: torch.nn.Module, settings: EngineSettings, world: World) -> None:
    """Raises TrainingError on every rank alike: one of them is certain to lack memory."""
    weights = sum(weight.numel() for weight in model.parameters())
    needed = needed_bytes(weights, settings, world.size)
    room = room_bytes(world.device)
    if world.device.type == "cpu":
        room -= max(0, _held_bytes() - 4 * weights)  # libraries and rows; the weights are there
    lacking = [each for each in world.gather(max(1, room) if needed > room else 0) if each]
    if not lacking:
        return
    hint = (
        "more ranks, or a smaller --model"
        if settings.zero == 3
        else "--zero 3 with several ranks, which share it, or a smaller --model"
    )
    raise TrainingError(
        f"out of memory: {weights:,} weights with gradients and AdamW take {needed / _GIB:.1f} GiB "
        f"of each of {world.size} ranks, activations apart, and one has room for "
        f"{min(lacking) / _GIB:.1f} GiB: take {hint}"
    )


def needed_bytes(weights: int, settings: EngineSettings, ranks: int) -> int:
    """What a rank keeps from step to step, at least: weights, gradients, AdamW's two sums, and the
    fp32 weights that ZeRO updates. What its stage spreads is divided by the ranks."""
    kept, gradients = (2, 2) if settings.bf16 else (4, 4)
    stage = settings.stage
    optimizer = 12 if stage >= 1 else 8
    if stage == 3:  # its gradients are copied into fp32, all of a rank's part at once
        optimizer += 4
    each = kept / (ranks if stage == 3 else 1)
    each += gradients / (ranks if stage >= 2 else 1)
    each += optimizer / (ranks if stage >= 1 else 1)
    return int(weights * each)


def room_bytes(device: torch.device) -> int:
    """What this process may have at most: of its GPU, else of the machine or of its cgroups."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *_limits()])


def _held_bytes() -> int:
    """What this process holds now."""
    with suppress(OSError):
        pages = int(_HELD.read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return 0


def _limits() -> Iterator[int]:
    """Of the process's cgroup and of the one that a container takes for the whole, where they are
    limited. Of either version: memory.max, memory.limit_in_bytes."""
    own = list[str]()
    with suppress(OSError):
        own = _OWN_GROUPS.read_text(encoding="utf-8").splitlines()
    for line in own:
        _, kinds, path = line.split(":", 2)
        if kinds not in ("", "memory"):
            continue
        root, name = (
            (_GROUPS / "memory", "memory.limit_in_bytes") if kinds else (_GROUPS, "memory.max")
        )
        for folder in (root / path.lstrip("/"), root):
            with suppress(OSError, ValueError):  # no such file, or "max"
                yield int((folder / name).read_text(encoding="ascii"))
