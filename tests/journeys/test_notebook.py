"""The guide's Python, copied out of it: by a plain interpreter, and cell by cell in Jupyter."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.journeys.conftest import ROOT

BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
CELLS: list[str] = BLOCK.findall((ROOT / "docs/guide/python.md").read_text(encoding="utf-8"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with the guide's rows, and nothing else of a clone."""
    (tmp_path / "docs" / "guide").mkdir(parents=True)
    shutil.copy(ROOT / "docs" / "guide" / "tickets.csv", tmp_path / "docs" / "guide")
    return tmp_path


def world() -> dict[str, str]:
    """An environment in which nobody is a rank, and Python's own commands are found."""
    alone = {"RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "OPENAI_API_KEY"}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    kept = {name: value for name, value in os.environ.items() if name not in alone}
    return {**kept, "PATH": path, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": "cache"}


def test_the_annotators_half_of_the_page(home: Path) -> None:
    half = CELLS[: next(n for n, cell in enumerate(CELLS) if "subprocess" in cell)]
    assert len(half) == 5
    check = "assert answered.label.notna().all() and answered.message.equals(tickets.message)\n"
    command = [sys.executable, "-c", "\n".join([*half, check])]
    done = subprocess.run(command, cwd=home, env=world(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert " USD, " in done.stdout
    assert "$ annotate run tickets --teacher simulated --split train,valid,test" in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_page_as_a_notebook(home: Path) -> None:
    """Jupyter's cells run within an event loop, and show what the commands say on the way."""
    make: Any = nbformat.v4
    notebook = make.new_notebook(cells=[make.new_code_cell(cell) for cell in CELLS])
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(home)}})
    client.execute(env=world())
    shown = [output for cell in notebook.cells for output in cell.outputs]
    assert [output.output_type for output in notebook.cells[-1].outputs][-1] == "execute_result"
    assert "rationale" in notebook.cells[-1].outputs[-1].data["text/plain"]
    told = "".join(output.text for output in shown if output.output_type == "stream")
    assert "$ annotate run tickets" in told
