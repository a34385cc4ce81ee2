"""The packages install by plain pip, and an installed annotator brings its tasks along."""

import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_pip_installs_the_annotator_with_its_tasks_in_a_bare_environment(tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", with_pip=True)
    bare = tmp_path / "bare" / "bin"
    run(bare / "pip", "install", "--quiet", "./packages/common", "./packages/annotator")
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "prompts" / "mine").mkdir(parents=True)  # a ./prompts that lacks what is asked for

    assert run(bare / "annotate", "--version", cwd=elsewhere).strip() == "0.1.0"
    words = ("run", "demo", "--teacher", "simulated", "--samples", "5", "--json")
    assert '"records":5' in run(bare / "annotate", *words, cwd=elsewhere)
    code = "import stepdistill.annotator, importlib.util; print(importlib.util.find_spec('torch'))"
    assert run(bare / "python", "-c", code, cwd=elsewhere).strip() == "None"


@pytest.mark.slow
def test_three_wheels_are_built_and_the_annotators_holds_the_tasks(tmp_path: Path) -> None:
    made = run(sys.executable, "scripts/wheels.py", tmp_path).splitlines()
    assert [Path(line).name.split("-")[0] for line in made] == [
        "stepdistill_annotator",
        "stepdistill_common",
        "stepdistill_trainer",
    ]
    names = run(sys.executable, "-m", "zipfile", "-l", made[0])
    assert "stepdistill/annotator/shipped_tasks/svamp/task.yaml" in names
    assert "stepdistill/annotator/py.typed" in names
    one = tmp_path / "one"
    for wheel in made:
        run(sys.executable, "-m", "zipfile", "-e", wheel, one)
    tops = [run(sys.executable, "-m", "zipfile", "-l", wheel) for wheel in made]
    assert ["stepdistill/__init__.py" in top for top in tops] == [False, True, False]
    assert (one / "stepdistill" / "py.typed").exists()
    # As one site-packages has them: what they need is found in this environment.
    code = f"import sys; sys.path[:] = [{str(one)!r}, *(p for p in sys.path if '/src' not in p)]; "
    code += "from stepdistill import *; import stepdistill; print(Task, Student, stepdistill)"
    told = run(sys.executable, "-c", code, cwd=tmp_path)
    assert "stepdistill.annotator.notebook.Task" in told
    assert "stepdistill.trainer.notebook.Student" in told
    assert f"from '{one}" in told
