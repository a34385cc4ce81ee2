"""A student that one rank has no room for, and two have, by ZeRO-3: a cgroup for each rank.

The limit lies between what one rank needs (24 bytes a weight, 3.1 GiB, and the libraries') and what
each of two was measured to hold at most (2.9 GiB).
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
import torch
from transformers.models.t5.configuration_t5 import T5Config
from transformers.models.t5.modeling_t5 import T5ForConditionalGeneration

from stepdistill.trainer.model.pretrained import pretrained
from stepdistill.trainer.model.student import Student
from tests.trainer.launching import TRAIN, environment, free_port
from tests.trainer.made_rows import arguments

LIMIT_BYTES = 3100 << 20
GROUPS = Path("/sys/fs/cgroup/memory")
BOUND_S = 500
_ENTERING = 'echo $$ > "$0" && exec "$@"'
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture
def groups() -> Iterator[list[Path]]:
    """Two cgroups (version 1), each with so much memory."""
    made = [GROUPS / f"stepdistill-{os.getpid()}-{rank}" for rank in range(2)]
    try:
        for group in made:
            group.mkdir()
            (group / "memory.limit_in_bytes").write_text(str(LIMIT_BYTES))
    except OSError as error:
        pytest.skip(f"no cgroup can be made here ({error})")
    yield made
    for group in made:
        group.rmdir()


@pytest.fixture
def base(student: Student, tmp_path: Path) -> Path:
    """A T5 of 140 million weights, most of them in few layers; in bf16, as many are stored."""
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=len(student.tokenizer),
        d_model=512,
        d_ff=32768,
        num_layers=2,
        num_decoder_layers=2,
        dropout_rate=0.0,
        decoder_start_token_id=0,  # pyright: ignore[reportCallIssue] - known to the base class
    )
    T5ForConditionalGeneration(config).bfloat16().save_pretrained(tmp_path / "base")
    student.tokenizer.save_pretrained(tmp_path / "base")
    return tmp_path / "base"


def _train(groups: list[Path], line: list[str]) -> list[tuple[int, str]]:
    """A rank in each group; exit codes and what they said."""
    world = {"WORLD_SIZE": str(len(groups)), "LOCAL_WORLD_SIZE": str(len(groups))}
    world |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    runs = [
        subprocess.Popen(
            [*("sh", "-c", _ENTERING), group / "cgroup.procs", sys.executable, TRAIN, *line],
            env=environment(**world, RANK=str(rank), LOCAL_RANK=str(rank)),
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        for rank, group in enumerate(groups)
    ]
    said = [run.communicate(timeout=BOUND_S)[1] for run in runs]
    return [(run.returncode, err) for run, err in zip(runs, said, strict=True)]


def test_two_ranks_train_what_one_has_no_room_for(
    groups: list[Path], base: Path, data: Path, tmp_path: Path
) -> None:
    sizes = {"steps": 2, "batch_size": 8, "eval_every": 2, "log_every": 1, "warmup": 1, "zero": 3}
    line = [*arguments(data, tmp_path / "out", **sizes, model=base), "--quiet"]
    [(code, said)] = _train(groups[:1], line)
    assert code == 2 and said.count("\n") <= 2, said
    assert "out of memory: 14" in said and "take more ranks" in said
    ended = _train(groups, line)
    assert [code for code, _ in ended] == [0, 0], ended
    found = orjson.loads((tmp_path / "out" / "results.json").read_bytes())
    assert found["cost"]["ranks"] == 2
    saved = pretrained(str(tmp_path / "out" / "model"), None)
    assert sum(weight.numel() for weight in saved.model.parameters()) > 140_000_000
