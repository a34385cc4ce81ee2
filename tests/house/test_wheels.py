"""The packages install by plain pip, and an installed annotator brings its tasks along."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any, cast

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
REVIEWS = (("It broke within a day.", 1), ("It does what it says.", 3), ("I love it.", 5))


def run(*command: str | Path, cwd: Path = ROOT, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
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


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_the_first_example_and_the_notebook_where_nothing_but_the_wheels_is(tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", with_pip=True)
    bare = tmp_path / "bare" / "bin"
    # The build of torch that is here: without a GPU the other one is gigabytes of libraries.
    torch = f"torch=={importlib.metadata.version('torch')}"
    wheels = run(sys.executable, "scripts/wheels.py", tmp_path / "wheels").splitlines()
    run(bare / "pip", "install", "--quiet", torch, *wheels, "nbclient", "ipykernel")

    home = tmp_path / "home"  # and nothing of a clone
    home.mkdir()
    path = f"{bare}{os.pathsep}{os.environ['PATH']}"
    unset = {"PYTHONPATH", "VIRTUAL_ENV", "OPENAI_API_KEY"}
    env = {**{n: v for n, v in os.environ.items() if n not in unset}, "PATH": path}
    env["OMP_NUM_THREADS"] = "1"

    example = re.search(r"```bash\n(stepdistill distil .*?)```", README.read_text(), re.DOTALL)
    assert example is not None
    words = example[1].replace("\\\n", " ").split()
    assert words[2:5] == ["reviews.csv", "--label", "stars"]
    reviews = [f"{text} {n},{stars}" for n in range(40) for text, stars in REVIEWS]
    (home / "reviews.csv").write_text("\n".join(["review,stars", *reviews]) + "\n")
    here = {"--teacher": "simulated", "--student": "micro"}  # nobody is paid, nothing downloaded
    words = [here.get(before, word) for before, word in zip(["", *words], words, strict=False)]
    told = run(*words, "--yes", cwd=home, env=env)
    assert (home / "runs/reviews/student/model/config.json").is_file(), told

    shutil.copytree(ROOT / "docs/guide", home / "docs/guide")
    cells = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs/guide/python.md").read_text(), re.DOTALL
    )
    page, files = home / "page.ipynb", cast(Any, nbformat)
    notebook = files.v4.new_notebook(cells=[files.v4.new_code_cell(cell) for cell in cells])
    files.write(notebook, str(page))
    run(bare / "jupyter-execute", page, "--inplace", "--timeout=600", cwd=home, env=env)
    executed = files.read(str(page), as_version=4)
    assert "rationale" in executed.cells[-1].outputs[-1].data["text/plain"]
