"""The guide's commands, copied out of it and run by a shell, as its reader would."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.journeys.conftest import ROOT

GUIDE = ROOT / "docs" / "guide" / "first-project.md"
BLOCK = re.compile(r"```bash\n(.*?)```", re.DOTALL)
SET_UP = "make setup\nsource .venv/bin/activate\n"


def commands() -> list[str]:
    """The blocks of the guide, the set-up left out: these tests run in what it makes."""
    first, *others = BLOCK.findall(GUIDE.read_text(encoding="utf-8"))
    assert first == SET_UP
    return others


def follow(blocks: list[str], home: Path) -> subprocess.CompletedProcess[str]:
    """Run blocks in a folder that has what a clone has, and stop where one fails."""
    for name in ("docs", "packages", "prompts"):
        (home / name).mkdir() if name == "prompts" else (home / name).symlink_to(ROOT / name)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    alone = {"RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "OPENAI_API_KEY"}
    environment = {name: value for name, value in os.environ.items() if name not in alone}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(blocks)],
        cwd=home,
        env={**environment, "PATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_the_annotators_half_of_the_guide(tmp_path: Path) -> None:
    half = [block for block in commands() if block.startswith("annotate ")]
    done = follow(half, tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "tickets" / "cost.html").exists()
    assert (tmp_path / "runs" / "tickets" / "test" / "manifest.json").exists()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_whole_guide(tmp_path: Path) -> None:
    done = follow(commands(), tmp_path)
    assert done.returncode == 0, done.stderr
    assert '"label":"account"' in done.stdout.splitlines()[-1]
