"""A student's weights out of training and into it again, however they are spread over the ranks.

Of ZeRO-3 no rank holds more than its part, one whole weight, and what of a file is being written:
weights are gathered one at a time, each into a file that the system may drop from memory.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from safetensors import safe_open

from stepdistill.trainer.model.encoder import trained
from stepdistill.trainer.model.loading import in_file
from stepdistill.trainer.model.student import Student
from stepdistill.trainer.training.engine import Engine


def file_size(engine: Engine) -> str:
    """Of one of a student's files at most: as much is in memory while it is written."""
    return "1GB" if engine.in_lockstep else "50GB"


def gathered(engine: Engine, scratch: Path | None) -> dict[str, torch.Tensor]:
    """All weights by name, tied ones once, on the CPU, since the device has no room for a second
    student. scratch: a folder for those of ZeRO-3; None: only help another rank to gather them."""
    found = dict[str, torch.Tensor]()
    for number, (name, weight) in enumerate(_saved(engine.model.student)):
        with engine.whole(weight):
            if scratch is None:
                continue
            values = weight.detach()
            found[name] = (
                in_file(values, scratch / str(number), values.dtype)
                if engine.in_lockstep
                else values.to("cpu", copy=True)
            )
    return found


def put(engine: Engine, student: Student, folder: Path) -> None:
    """The weights of a saved student into the engine's, by rank 0; all must call it."""
    model = engine.model.student
    read = _reader(engine, student, folder) if engine.world.rank == 0 else None
    # The optimizer knows nothing of it, so no step may follow.
    with torch.no_grad():
        for name, weight in _saved(model):
            with engine.whole(weight, changed=True):
                if read is not None:
                    weight.copy_(read(name))
            # Leaving `whole` tells the others of what ZeRO-3 spreads: parameters.
            if not engine.in_lockstep or not isinstance(weight, torch.nn.Parameter):
                engine.world.broadcast(weight)


def _reader(engine: Engine, student: Student, folder: Path) -> Callable[[str], torch.Tensor]:
    """The weights in a folder, by their names in the model."""
    if engine.in_lockstep:
        files = [safe_open(path, "pt") for path in sorted(folder.glob("*.safetensors"))]
        where = {name: file for file in files for name in file.keys()}  # noqa: SIM118 - no mapping
        if all(name in where for name, _ in _saved(engine.model.student)):
            return lambda name: where[name].get_tensor(name)
    # Not straight from the file: some families write other names than they have.
    spec = None if student.head is None else student.head.spec
    return dict(_saved(trained(folder, spec).model)).__getitem__


def _saved(model: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """All that a student is made of, tied weights once: parameters, and the buffers that are saved
    with them, such as BART's bias on its words."""
    yield from model.named_parameters()
    saved = model.state_dict()
    yield from ((name, buffer) for name, buffer in model.named_buffers() if name in saved)
