"""A machine that is too small: one line, no traceback. Slow: processes that really are limited."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.trainer.launching import TRAIN, environment
from tests.trainer.made_rows import arguments

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def _limited(limit: int, most: int, *line: str) -> str:
    done = subprocess.run(
        [sys.executable, TRAIN, *line, "--quiet"],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(limit, (most, most)),
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_memory_that_is_used_up(data: Path, tmp_path: Path) -> None:
    line = arguments(data, tmp_path, steps=1, batch_size=6000)
    error = _limited(resource.RLIMIT_AS, 4 << 30, *line)
    assert "cpu: out of memory: lower --batch-tokens" in error


def test_a_disk_that_is_full(data: Path, tmp_path: Path) -> None:
    line = arguments(data, tmp_path, steps=1, batch_size=4)
    error = _limited(resource.RLIMIT_FSIZE, 300_000, *line)
    assert "best-1: cannot be written" in error and "the same command goes on" in error
