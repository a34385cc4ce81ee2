"""What a rank must have room for, and a refusal where it has not."""

import pytest
import torch

from stepdistill.trainer.errors import TrainingError
from stepdistill.trainer.training.engine import EngineSettings, World
from stepdistill.trainer.training.memory import check_memory, needed_bytes, room_bytes


@pytest.mark.parametrize(
    ("zero", "bf16", "bytes_each"),
    [(0, False, 16), (1, False, 11), (2, False, 8), (3, False, 6), (0, True, 7), (3, True, 5)],
)
def test_what_four_ranks_keep_of_a_weight(zero: int, bf16: bool, bytes_each: int) -> None:
    assert needed_bytes(100, EngineSettings(zero=zero, bf16=bf16), 4) == 100 * bytes_each


def test_a_model_larger_than_the_machine_is_refused_in_one_line(world: World) -> None:
    with torch.device("meta"):  # takes no memory
        model = torch.nn.Linear(1 << 20, room_bytes(world.device) >> 20)
    with pytest.raises(TrainingError, match="take --zero 3 with several ranks"):
        check_memory(model, EngineSettings(), world)
    check_memory(torch.nn.Linear(2, 2), EngineSettings(), world)
